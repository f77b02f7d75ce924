//! The pure heart of Tercet: the rules of one transaction and the engine over all live ones.
//!
//! Nothing here does IO, reads a clock, rolls dice or waits. Time and entropy arrive with
//! the input; what should happen leaves as values. `Cargo.toml` and `clippy.toml` keep it so.

mod dispatch;
mod engine;
pub mod invariants;
mod record;
mod recovery;
mod ring;
mod stored;
mod transaction;

pub use dispatch::{
    Admission, BreakerSettings, BreakerState, Destination, Expired, Health, Line, LineSettings,
    Moved, Next, Offered, ParticipantHealth, Room, Turn, Turned, Vacancy, health,
};
pub use engine::input::{Ask, Input, Load, ReplyTo, Request, Ticket, Until, Wait};
pub use engine::output::{
    Call, Effect, Held, Output, Parked, Refusal, Reply, Snapshot, Sweep, Told,
};
pub use engine::{Census, Engine, EngineSettings};
pub use record::{Change, Decided, Decision, Happening, Outcome, Record, TryAnswer};
pub use recovery::{PageRead, Unreadable, read_page};
pub use ring::{Commands, Event, Ring};
pub use stored::{Misfit, Stored};
pub use transaction::{Branch, Calling, Phase, Rules, Standing, Transaction, history_bound};
