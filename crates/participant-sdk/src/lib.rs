#![cfg_attr(feature = "sea-orm", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "sea-orm"),
    doc = "Start Tercet's transactions, and build a guard of your own."
)]

#[cfg(feature = "sea-orm")]
mod answer;
#[cfg(feature = "sea-orm")]
mod checked;
mod client;
mod clock;
mod context;
#[cfg(feature = "sea-orm")]
mod failure;
mod guard;
mod idempotency;
mod legs;
mod outbox;
#[cfg(feature = "sea-orm")]
mod participant;
mod problem;
mod results;
#[cfg(feature = "sea-orm")]
mod router;
mod signed_calls;
#[cfg(feature = "sea-orm")]
mod sql;
#[cfg(feature = "test-kit")]
pub mod test_kit;
#[cfg(test)]
mod tests_support;

#[cfg(feature = "sea-orm")]
pub use checked::{CHECKED_PURGE_AFTER, Checked, NotRecorded};
pub use client::{
    Cancellation, Client, ClientBuilder, ClientError, NewBranch, NewTransaction, NotConfirmed,
    OpenTransaction, Outcome, OwnTry, Registered, SagaRun, Token, WaitFor,
};
pub use context::{BadHeader, Context};
#[cfg(feature = "sea-orm")]
pub use failure::Failure;
#[cfg(feature = "sea-orm")]
pub use guard::purge::{PURGE_AFTER, Purged};
#[cfg(feature = "sea-orm")]
pub use guard::store::Store;
pub use guard::table::{
    Action, Arrival, Contradiction, LATE_TRY_MARGIN, Recorded, State, decide, is_long_past,
};
pub use idempotency::{
    Idempotency, IdempotencyKey, IdempotencyService, KeyPolicy, KeyStore, KeyStoreError,
};
pub use legs::Legs;
#[cfg(feature = "sea-orm")]
pub use outbox::{NotSent, OUTBOX_PURGE_AFTER, Outbox, OutboxEntry, Relay, RelayTask};
pub use outbox::{OutboxState, relay_rules};
#[cfg(feature = "sea-orm")]
pub use participant::Participant;
pub use results::ResultError;
#[cfg(feature = "sea-orm")]
pub use router::router;
pub use signed_calls::{SignedCalls, SignedCallsService};
pub use tercet_wire::{AnswerView, BranchView, Problem, ProblemCode, SummaryView, TransactionView};
pub use tercet_wire::{BranchId, Gid, Instance, InvalidId, JsonText, Op, UnknownOp, Wall};
pub use tercet_wire::{BranchStatus, Reason, Status};
pub use tercet_wire::{FailureKind, Verdict};
pub use tercet_wire::{InvalidSigningKey, SigningKey};
