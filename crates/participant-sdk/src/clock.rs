//! time and entropy, read here and nowhere else in this crate. Nothing that must be right depends on
//! them: they date rows, spread retries, name transactions, and turn away a Try whose deadline is an
//! hour past.

#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tercet_wire::{ClockNews, Mono, Now, SteadyWall, Wall};
use uuid::Uuid;

/// The time of day, as this machine has it.
pub(crate) fn now() -> Wall {
    observed(|_, now| now.wall)
}

/// The time of day or, where the clock has parted from its own progress, what is earlier: nothing is
/// over by it that may not be.
pub(crate) fn early() -> Wall {
    observed(|steady, now| steady.of(now).wall)
}

/// Likewise, what is later: what is kept from now on is kept long enough.
pub(crate) fn late() -> Wall {
    observed(|steady, now| steady.ended(now.wall, now.mono))
}

/// Whether the clock has parted from its own progress: then nothing is deleted by it.
#[cfg(feature = "sea-orm")]
pub(crate) fn is_doubted() -> bool {
    observed(|steady, _| steady.is_parted())
}

/// Looks at both clocks. That they have parted is told once.
fn observed<T>(read: impl FnOnce(&SteadyWall, Now) -> T) -> T {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};
    static CLOCKS: OnceLock<(Instant, Mutex<SteadyWall>)> = OnceLock::new();
    let wall =
        || Wall::default().after(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let (started, steady) = CLOCKS.get_or_init(|| {
        let now = Now { wall: wall(), ..Now::default() };
        (Instant::now(), Mutex::new(SteadyWall::start(now, None, Duration::ZERO)))
    });
    let now = Now { mono: Mono::default().after(started.elapsed()), wall: wall(), entropy: 0 };
    // It is whole after every look, so a panic elsewhere does not spoil it.
    let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
    match steady.observe(now) {
        None => {}
        Some(ClockNews::Parted { ahead_ms }) => tracing::warn!(
            ahead_ms,
            "the wall clock has parted from the monotonic clock: nothing is deleted for its age until they agree"
        ),
        Some(ClockNews::Believed) => tracing::info!("the wall clock is believed again"),
    }
    read(&steady, now)
}

/// Time that passes, whatever is done to the time of day.
#[cfg(feature = "sea-orm")]
pub(crate) fn mono() -> Mono {
    observed(|_, now| now.mono)
}

/// Uniformly random bits, from which jitter is taken.
pub(crate) fn entropy() -> u64 {
    fastrand::u64(..)
}

/// A new name for a transaction: time-ordered, so that the coordinator's index grows at one end.
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}
