//! Calls to participants.
//!
//! ```text
//!            send(call, place)                       one task per call under way
//!  runtime ───────────────────▶ route: line ─ turn? ─▶ exchange ──▶ participant
//!   ▲ ▲ ▲                        │  ▲  │                 │
//!   │ │ └── NoRoom ◀── no room ──┘  │  └ next turns ◀────┤ health
//!   │ └──── vacancies ◀── room ─────┤                    │
//!   └────── place ◀── answer ───────┼────────────────────┘
//!                                 watch: comes back when the line says
//! ```
//!
//! The dispatcher never waits for anybody and nobody waits for it: a call has its place in
//! the runtime's inbox before it is sent, and what a destination has no room for goes back
//! to the engine at once. It knows nothing of transactions: it reports what was answered,
//! and what that means is the protocol's verdict. Whose turn it is, and whether a destination
//! is well enough to be called, is decided by the protocol's `DestinationQueue`; here are its time, its
//! entropy, and the calls.

mod breaker_log;
mod breaker_turns;
mod call_loop;
mod capacity;
mod destination;
mod destinations;
mod dispatch;
mod http_call;
mod outcome;
mod paused;
mod request;
mod settings;
mod signing;
#[cfg(test)]
mod tests;

pub use breaker_turns::{BreakerTurn, BreakerTurns};
pub use capacity::FreedCapacity;
pub use dispatch::{Dispatcher, NoRoom, start};
pub use outcome::{Outcome, Place};
pub use settings::DispatcherSettings;
pub use signing::Signing;
