//! Messages that are sent exactly when a local SQL transaction commits.
//!
//! ```text
//!   initiator's SQL transaction            relay, in any number of processes
//!     business change                        claim: a few rows that are due, for the time of a lease
//!     insert (gid, request, pending)         begin with the row's gid, for each: safe to repeat
//!     commit                                 mark: sent; later, once asked: confirmed or cancelled
//!
//!   pending ──▶ sent ──▶ confirmed | cancelled
//!      └──────────┴────▶ dead (with the reason; `again` brings it back)
//! ```
//!
//! Nothing of it is exactly once by itself: a relay that dies between hand-over and mark leaves a row whose lease runs out,
//! and the next one begins the same gid again, which the coordinator answers with the transaction as it is.

mod claims;
mod counting;
mod hand_over;
mod purge;
mod relay;
mod round;
mod row;
mod store;

pub use purge::OUTBOX_PURGE_AFTER;
pub use relay::{Relay, RelayTask};
pub use row::OutboxState;
pub use store::{NotSent, Outbox, OutboxEntry};
