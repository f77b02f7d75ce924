//! What is answered: the bodies of responses.

mod audit;
mod books;
mod job;
mod operator;
mod saga;
mod view;

pub use audit::AuditEntryView;
pub use books::BookEntry;
pub use job::{BegunJobView, JobFailureView, JobView, ListedJobView, MatchedView};
pub use operator::{
    AnswersView, NodeView, ParticipantView, ParticipantsView, PausedParticipantView, PausedView,
    ReleasedView, RestoredView, RetriedView, StatsView,
};
pub use saga::{ListedSagaView, SagaView, StepView};
pub use view::{
    AnswerView, AttemptsView, BranchView, BranchesView, EventView, LastAnswerView, Page,
    PendingResolutionView, RegisteredView, SummaryView, TransactionView, UrlsView,
};
