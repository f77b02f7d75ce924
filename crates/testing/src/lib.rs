//! What tests of the whole system are written with: the daemon as a process, participants
//! that do what the test says, and a client that shows what was answered.
//!
//! Nothing here sleeps. Everything waited for is an event, and one that does not come
//! within `GUARD` ends the test with the name of what was missing.

mod binary;
mod client;
mod log;
mod participant;
mod port;
mod raw_participant;
mod receiver;
mod script;
mod server;
mod small_disk;
mod tercet;

use std::time::Duration;

pub use binary::tercet as daemon;
pub use client::{Client, Response};
pub use participant::{Participant, Received};
pub use port::Port;
pub use raw_participant::{Arrival, RawParticipant};
pub use receiver::{Delivery, Receiver};
pub use script::{Gate, Reaction};
pub use server::serve;
pub use small_disk::SmallDisk;
pub use tercet::{Tercet, program};

/// Longer than anything takes that happens at all.
pub const GUARD: Duration = Duration::from_secs(30);

/// Waits for an event.
///
/// # Panics
/// It did not come within `GUARD`.
pub async fn soon<F: Future>(what: &str, event: F) -> F::Output {
    match tokio::time::timeout(GUARD, event).await {
        Ok(output) => output,
        Err(_) => panic!("within {} s this was not seen: {what}", GUARD.as_secs()),
    }
}
