//! What the console is tried with: a coordinator with tokens and participants that do as they are told, and
//! a browser without a window, driven by chromedriver.
//!
//! `tests/console/run` installs what is missing and runs the tests; a program that cannot be had is a failure.

mod browser;
mod participant;
mod put_back;
mod stage;

pub use browser::{Browser, Look};
pub use participant::Participant;
pub use stage::{Role, Stage, free_port, program, sha256, token, tokens};

use std::time::Duration;

/// Longer than anything takes that happens at all, however busy the machine is.
pub const GUARD: Duration = Duration::from_secs(120);

/// Looks again and again until it sees something.
///
/// # Panics
/// It was not seen within `GUARD`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    eventually_within(GUARD, what, look).await
}

/// The same for what takes longer.
///
/// # Panics
/// It was not seen within that time.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(
    guard: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(guard, looking).await {
        Ok(seen) => seen,
        Err(_) => panic!("within {} s this was not seen: {what}", guard.as_secs()),
    }
}
