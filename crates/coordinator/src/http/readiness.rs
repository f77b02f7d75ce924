//! Whether this node takes work, and whether its loop turns.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Facts that the parts of the daemon tell and the probes show. Cheap to clone; all clones speak
/// of the same node. A new one is not ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Facts>);

#[derive(Default)]
struct Facts {
    started: AtomicBool,
    writable: AtomicBool,
    draining: AtomicBool,
    stopping: AtomicBool,
    held: AtomicBool,
    beat_age: RwLock<Option<BeatAge>>,
}

type BeatAge = Arc<dyn Fn() -> Option<Duration> + Send + Sync>;

impl Readiness {
    /// From here on everything is answered: what was unfinished is taken up.
    pub fn start(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// This node was fenced: until it has begun anew it owns nothing.
    pub fn begin_anew(&self) {
        self.0.started.store(false, Ordering::Relaxed);
        self.set_writable(false);
    }

    /// By this it is known how long ago the engine's loop last went round; none while there is no
    /// loop.
    pub fn watch(&self, beat_age: impl Fn() -> Option<Duration> + Send + Sync + 'static) {
        // There is one loop at a time: that of a node that begins anew takes the old one's place.
        *self.0.beat_age.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(beat_age));
    }

    /// Whether the journal can write and this node owns its transactions.
    pub fn set_writable(&self, writable: bool) {
        self.0.writable.store(writable, Ordering::Relaxed);
    }

    /// From here on the probe says that this node stops, so that balancers look elsewhere; everything
    /// is still answered.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// From here on new work is refused; what is under way is still answered.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether what was undecided in a backup is held, since the database was restored from it.
    pub fn set_held(&self, held: bool) {
        self.0.held.store(held, Ordering::Relaxed);
    }

    /// Whether that is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Whether what was unfinished is taken up.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.0.started.load(Ordering::Relaxed)
    }

    /// Whether the journal can write.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.0.writable.load(Ordering::Relaxed)
    }

    /// Whether this node is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed) || self.is_stopping()
    }

    /// Whether new work is refused.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// How long ago the engine's loop last went round; none while there is no loop.
    #[must_use]
    pub fn beat_age(&self) -> Option<Duration> {
        let beat_age = self.0.beat_age.read().unwrap_or_else(PoisonError::into_inner).clone();
        beat_age.and_then(|age| age())
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { started, writable, draining, stopping, held, beat_age: _ } = self;
        f.debug_struct("Facts")
            .field("started", started)
            .field("writable", writable)
            .field("draining", draining)
            .field("stopping", stopping)
            .field("held", held)
            .finish_non_exhaustive()
    }
}
