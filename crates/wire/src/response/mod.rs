//! What is answered: the bodies of responses.

mod audit;
mod books;
mod operator;
mod saga;
mod view;

pub use audit::AuditEntryView;
pub use books::BookEntry;
pub use operator::{
    AnswersView, NodeView, ParticipantView, ParticipantsView, ReleasedView, RestoredView,
    RetriedView, StatsView,
};
pub use saga::{ListedSagaView, SagaView, StepView};
pub use view::{
    AnswerView, AttemptsView, BranchView, BranchesView, EventView, LastAnswerView, Page,
    PendingResolutionView, RegisteredView, SummaryView, TransactionView,
};
