//! What tests of the whole system are written with: the daemon as a process, participants
//! that do what the test says, and a client that shows what was answered.
//!
//! Everything waited for is an event that stays, and one that does not come within `GUARD` ends the
//! test with the name of what was missing. What can only be asked for is asked for with a pause between,
//! in which those can work who are to bring it about.

mod authority;
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

pub use authority::{Authority, Issued};
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

/// Longer than anything takes that happens at all, however busy the machine is.
pub const GUARD: Duration = Duration::from_secs(120);

/// The pause between two questions whether something has happened.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

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

/// Looks again and again until it sees something.
///
/// # Panics
/// It was not seen within `GUARD`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    soon(what, looking).await
}
