//! The pure heart of Tercet: the rules of one transaction and the engine over all live ones.
//!
//! Nothing here does IO, reads a clock, rolls dice or waits. Time and entropy arrive with
//! the input; what should happen leaves as values. `Cargo.toml` and `clippy.toml` keep it so.

mod act;
mod cluster;
mod core;
mod dispatch;
mod driver;
mod engine;
mod group_commit;
mod hold_change;
pub mod invariants;
mod job;
mod journal_event;
mod outages;
mod participant_pause;
mod record;
mod recovery;
mod saga_revision;
mod stored;
mod transaction;

pub use act::{Act, Acted};
pub use cluster::{
    Judgement, LifeRow, LifeState, Lives, Look, MOST_IN_CHUNK, NodeWatch, NodeWatchSettings, Share,
    Suspect, SuspectedFor, TakeOver, TakeOverAnswer, TakeOverStep, judge,
};
pub use core::{Commands, Core, Event};
pub use dispatch::{
    Admission, BreakerSettings, BreakerState, Capacity, CapacityFreed, Destination,
    DestinationQueue, DestinationQueueSettings, Expired, FRESH_AFTER_TROUBLE, FreedCapacities,
    Health, KeptConnections, Moved, Next, NoAnswer, Offered, ParticipantHealth, Permit, Turned,
    Watch, WatchedQueue, health, is_kept_after, is_sent_again,
};
pub use driver::{Driver, DriverSettings, Ended, Lane, for_what_is_in_flight};
pub use engine::input::{Ask, HeldDecision, Input, Load, ReplyTo, Request, Ticket, Until, Wait};
pub use engine::output::{
    Call, CallResults, DeferredEffect, Effect, Output, PageRequest, Parked, Refusal, Reply,
    ReplyKind, Snapshot,
};
pub use engine::{Census, Engine, EngineSettings, WaitingFor};
pub use group_commit::{
    Backlog, Batch, Caps, Chunk, Committed, GroupCommit, GroupCommitSettings, Leave, Submitted,
    TransactionKey, Weight,
};
pub use hold_change::HoldChange;
pub use job::{JobRevision, JobWrite, Tick, Ticked};
pub use journal_event::{JournalEvent, Urgency};
pub use outages::{OutageNews, Outages};
pub use participant_pause::ParticipantPause;
pub use record::{
    BranchRecord, Change, Decided, Decision, HistoryEvent, LastAnswer, PendingResolution, Record,
    Tried, TryAnswer,
};
pub use recovery::{PageRead, Unreadable, read_page};
pub use saga_revision::{ActAlone, SagaRevision};
pub use stored::{ApplyError, ResultRecord, StoredTransaction, begins};
pub use transaction::{
    Branch, BranchState, CallState, Paused, PausedNames, Phase, Rules, Transaction, history_bound,
};
