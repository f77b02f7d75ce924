//! Calls to participants: the only module with an HTTP client.
//!
//! ```text
//!            send(call, place)                       one task per call under way
//!  runtime ───────────────────▶ destination ─ turn? ─▶ exchange ──▶ participant
//!     ▲ ▲                          │    │                 │
//!     │ └── NoRoom ◀── queue full ─┘    └ queue ◀─ next ──┤
//!     └──────────────── place ◀── answer ─────────────────┘
//! ```
//!
//! The dispatcher never waits for anybody and nobody waits for it: a call has its place in
//! the runtime's inbox before it is sent, and what a destination has no room for goes back
//! to the engine at once. It knows nothing of transactions: it reports what was answered,
//! and what that means is the protocol's verdict.

mod destination;
mod destinations;
mod dispatch;
mod exchange;
mod failure;
mod request;
mod retry_after;
mod settings;
#[cfg(test)]
mod tests;

pub use dispatch::{Dispatcher, NoRoom, start};
pub use exchange::StartError;
pub use settings::DispatcherSettings;
