//! What is decided about calls on their way, without making any: what counts as one
//! destination, whose turn it is there, and whether it is well enough to be called.
//!
//! ```text
//!  offer ──▶ queue ──▶ turn ──▶ (the call is made elsewhere) ──▶ ended(health)
//!              ▲         ▲                                           │
//!              │         └── breaker: closed · open · half-open ◀────┘
//!              └── room is told to who asked for it
//! ```
//!
//! Time and luck are arguments, so that the dispatcher and a simulation run the same code.

mod breaker;
mod destination;
mod health;
mod line;
#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod line_walk_tests;
mod queue;
mod row;

pub use breaker::{BreakerSettings, BreakerState, Turn};
pub use destination::{Destination, Vacancy};
pub use health::{Health, ParticipantHealth, health};
pub use line::{Admission, Expired, Line, LineSettings, Moved, Next, Room, Turned};
pub use queue::Offered;
