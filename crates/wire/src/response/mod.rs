//! What is answered: the bodies of responses.

mod audit;
mod operator;
mod saga;
mod view;

pub use audit::AuditEntryView;
pub use operator::{
    AnswersView, NodeView, ParticipantView, ParticipantsView, RetriedView, StatsView,
};
pub use saga::{ListedSagaView, SagaView, StepView};
pub use view::{
    AnswerView, AttemptsView, BranchView, EventView, LastAnswerView, Page, PendingResolutionView,
    SummaryView, TransactionView,
};
