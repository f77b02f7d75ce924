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
//! Time and entropy are arguments, so that the dispatcher and a simulation run the same code.

mod breaker;
mod destination;
mod destination_queue;
#[cfg(test)]
mod destination_queue_tests;
#[cfg(test)]
mod destination_queue_walk_tests;
mod failure_streak;
mod freed_capacities;
mod health;
mod kept_connections;
mod waiting_calls;
mod watched_queue;

pub use breaker::{BreakerSettings, Permit};
pub use destination::{CapacityFreed, Destination};
pub use destination_queue::{
    Admission, Capacity, DestinationQueue, DestinationQueueSettings, Expired, Moved, Next, Turned,
};
pub use freed_capacities::FreedCapacities;
pub use health::{Health, ParticipantHealth, health};
pub use kept_connections::{
    FRESH_AFTER_TROUBLE, KeptConnections, NoAnswer, is_kept_after, is_sent_again,
};
pub use tercet_wire::BreakerState;
pub use waiting_calls::Offered;
pub use watched_queue::{Watch, WatchedQueue};
