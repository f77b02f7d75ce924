//! Many seeds, one after another or on all cores; a run of one seed told in words.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::coverage::Coverage;
use crate::log::Log;
use crate::world::{Ended, World};

/// Every seed of this many is run twice, to see that both runs are the same.
const TWICE: u64 = 50;

/// A promise was broken.
#[derive(Debug, Clone)]
pub struct Failure {
    /// In the world of this seed.
    pub seed: u64,
    /// Which promise, and by what.
    pub broken: String,
    /// The last things that happened before.
    pub events: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(f, "  {event}")?;
        }
        writeln!(f, "seed {}: {}", self.seed, self.broken)?;
        write!(f, "once more: make sim SEED={} RUNS=1 TRACE=1", self.seed)
    }
}

/// What many seeds came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Seeds run.
    pub seeds: u64,
    /// The failure with the lowest seed, of those that were found.
    pub failure: Option<Failure>,
    /// What should happen in some seed, with how often it did.
    pub reached: Vec<(String, u64)>,
    /// What should happen in some seed and did in none.
    pub missing: Vec<String>,
}

/// Runs `runs` seeds from `first` on, on so many threads; stops at the first failure.
#[must_use]
pub fn run(first: u64, runs: u64, threads: usize) -> Outcome {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let coverage = Mutex::new(Coverage::default());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut seen = Coverage::default();
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= runs {
                        break;
                    }
                    match one(first.wrapping_add(index)) {
                        Ok(covered) => seen.add(&covered),
                        Err(failure) => {
                            stop.store(true, Ordering::Relaxed);
                            locked(&failures).push(failure);
                        }
                    }
                }
                locked(&coverage).add(&seen);
            });
        }
    });
    let coverage = locked(&coverage).clone();
    let mut failures = std::mem::take(&mut *locked(&failures));
    failures.sort_by_key(|failure: &Failure| failure.seed);
    Outcome {
        seeds: runs.min(next.into_inner()),
        failure: failures.into_iter().next(),
        reached: coverage.table(),
        missing: coverage.missing(),
    }
}

/// Prints every event of one seed as it happens.
pub fn trace(seed: u64) {
    let _ = world(seed, Log::Print);
}

fn one(seed: u64) -> Result<Coverage, Failure> {
    let ended =
        world(seed, if seed.is_multiple_of(TWICE) { Log::hash_all() } else { Log::Nothing });
    if let Some(broken) = ended.broken {
        // The same once more, told in words.
        let events = world(seed, Log::last()).log.into_lines();
        return Err(Failure { seed, broken, events });
    }
    if let Some(hash) = ended.log.hash()
        && world(seed, Log::hash_all()).log.hash() != Some(hash)
    {
        let broken = "two runs of one seed differ".to_owned();
        return Err(Failure { seed, broken, events: Vec::new() });
    }
    Ok(ended.coverage)
}

/// A panic in the world is a broken promise like any other.
fn world(seed: u64, log: Log) -> Ended {
    let ended = catch_unwind(AssertUnwindSafe(|| World::new(seed, log).run()));
    ended.unwrap_or_else(|_| Ended {
        broken: Some("it panicked".to_owned()),
        coverage: Coverage::default(),
        log: Log::Nothing,
    })
}

/// What is in it is whole after every statement, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
