//! The pure heart of Tercet: ids, time, what travels over the wire, what an answer
//! means, the rules of one transaction and the engine over all live ones.
//!
//! Nothing here does IO, reads a clock, rolls dice or waits. Time and luck arrive with
//! the input; what should happen leaves as values. `Cargo.toml` and `clippy.toml` keep it so.

mod backoff;
mod dispatch;
mod engine;
mod ids;
pub mod invariants;
mod op;
mod record;
mod recovery;
mod ring;
mod spec;
mod status;
mod stored;
mod time;
mod transaction;
mod verdict;
pub mod wire;

pub use backoff::{Backoff, spread};
pub use dispatch::{
    Admission, BreakerSettings, BreakerState, Destination, Expired, Health, Line, LineSettings,
    Moved, Next, Offered, ParticipantHealth, Room, Turn, Turned, Vacancy, health,
};
pub use engine::input::{
    Ask, Input, Load, NewBranch, ReplyTo, Request, Resolution, Ticket, Until, Wait,
};
pub use engine::output::{
    Call, Effect, Held, Output, Parked, Refusal, Reply, Snapshot, Sweep, Told,
};
pub use engine::{Census, Engine, EngineSettings};
pub use ids::{
    BRANCH_ID_MAX_LEN, BranchId, Epoch, GID_MAX_LEN, Gid, Incarnation, Instance, InvalidId, Seq,
};
pub use op::{Op, PerOp, UnknownOp};
pub use record::{Change, Decided, Decision, Happening, Outcome, Record, TryAnswer};
pub use recovery::{PageRead, Unreadable, read_page};
pub use ring::{Commands, Event, Ring};
pub use spec::{BranchSpec, Fingerprint, Spec, host_port};
pub use status::{
    BranchStatus, EventKind, Pattern, Reason, ResolvedAs, Status, TryBy, UnknownName,
};
pub use stored::{Misfit, Stored};
pub use time::{InvalidTime, Mono, Now, Wall};
pub use transaction::{Branch, Calling, Phase, Rules, Standing, Transaction, history_bound};
pub use verdict::{
    Answer, IN_PROGRESS_PAUSE, RETRY_AFTER_MAX, RETRY_AFTER_MIN, Trouble, Verdict, verdict,
};
