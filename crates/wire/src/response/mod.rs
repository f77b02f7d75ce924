//! What is answered: the bodies of responses.

mod audit;
mod books;
mod operator;
mod view;

pub use audit::AuditEntryView;
pub use books::BookEntry;
pub use operator::{
    AnswersView, NodeView, ParticipantView, ParticipantsView, RetriedView, StatsView,
};
pub use view::{
    AnswerView, AttemptsView, BranchView, EventView, LastAnswerView, Page, PendingResolutionView,
    SummaryView, TransactionView,
};
