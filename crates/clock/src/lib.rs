//! The one place where clocks are read and dice are thrown. Everything else is given
//! time and entropy as values, so that it can be tested, simulated and repeated;
//! `clippy.toml` forbids reading them elsewhere.
#![expect(clippy::disallowed_methods, reason = "this is the door they come in by")]

use std::time::{Duration, Instant, SystemTime};

use tercet_wire::{ActId, Epoch, Incarnation, Instance, Mono, Now, Wall};
use uuid::Uuid;

/// time and entropy.
pub trait Clock: Send + Sync + 'static {
    /// The moment, and fresh entropy for it.
    fn now(&self) -> Now;

    /// The moment for what lasts, and no more.
    fn mono(&self) -> Mono {
        self.now().mono
    }

    /// Fresh entropy alone, for one more thing of the same moment.
    fn entropy(&self) -> u64 {
        self.now().entropy
    }

    /// A life of a gid, never given twice. Also the text of a gid that we make. Later
    /// ones are greater, which keeps the journal's indexes appending.
    fn new_instance(&self) -> Instance;

    /// Something that an operator does. Later ones are greater, as of instances.
    fn new_act(&self) -> ActId {
        ActId(self.new_instance().uuid())
    }

    /// A life of a node, never given twice on any node of any cluster. Positive.
    fn new_incarnation(&self) -> Incarnation;

    /// A text that nobody can guess: over 240 bits of a generator for secrets that the operating system seeds.
    fn new_secret(&self) -> String {
        format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
    }

    /// A life of the engine within this process.
    fn new_epoch(&self) -> Epoch {
        Epoch(self.now().entropy)
    }
}

/// The clocks and dice of this machine.
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        // A clock set before 1970 reads as 1970: timestamps are then wrong, as they would be anyway.
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.mono(), wall: Wall::default().after(wall), entropy: self.entropy() }
    }

    fn mono(&self) -> Mono {
        Mono::default().after(self.started.elapsed())
    }

    fn entropy(&self) -> u64 {
        fastrand::u64(..)
    }

    fn new_instance(&self) -> Instance {
        Instance::new(Uuid::now_v7())
    }

    fn new_incarnation(&self) -> Incarnation {
        // A jitter's dice would not do: two nodes that throw alike would take each other
        // for themselves. A UUIDv4 is randomness that the operating system has seeded but for six
        // fixed bits, which folding the halves onto each other covers.
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let random = (high ^ low) >> 1;
        Incarnation(i64::try_from(random).unwrap_or(i64::MAX).max(1))
    }
}

/// Measures how long something takes, for metrics; finer than `Mono`. Nothing may be
/// decided by it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_begins_at_zero_and_wall_time_in_this_century() {
        let clock = SystemClock::start();
        let now = clock.now();
        assert!(now.mono < Mono(60_000), "{now:?}");
        assert!(now.wall > Wall(1_700_000_000_000), "{now:?}");
        assert!(clock.mono() >= now.mono);
        assert!(clock.now().mono >= now.mono);
    }

    #[test]
    fn no_two_lives_have_the_same_name() {
        let clock = SystemClock::start();
        let instances: Vec<Instance> = (0..1_000).map(|_| clock.new_instance()).collect();
        assert!(instances.is_sorted(), "later instances are greater");
        assert!(instances.windows(2).all(|pair| pair[0] != pair[1]));
        let mut incarnations: Vec<i64> = (0..1_000).map(|_| clock.new_incarnation().0).collect();
        incarnations.sort_unstable();
        assert!(incarnations.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(incarnations[0] > 0);
    }
}
