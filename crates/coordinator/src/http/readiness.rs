//! Whether this node takes work, and whether its loop turns.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Facts that the parts of the daemon tell and the probes show. Cheap to clone; all clones speak
/// of the same node. A new one is not ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Facts>);

#[derive(Default)]
struct Facts {
    started: AtomicBool,
    writable: AtomicBool,
    stopping: AtomicBool,
    beat_age: OnceLock<Box<dyn Fn() -> Option<Duration> + Send + Sync>>,
}

impl Readiness {
    /// From here on everything is answered: what was unfinished is taken up.
    pub fn start(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// By this it is known how long ago the engine's loop last went round; none while there is no
    /// loop.
    pub fn watch(&self, beat_age: impl Fn() -> Option<Duration> + Send + Sync + 'static) {
        // There is one loop; a second one would not be this node's.
        let _ = self.0.beat_age.set(Box::new(beat_age));
    }

    /// Whether the journal can write and this node owns its transactions.
    pub fn set_writable(&self, writable: bool) {
        self.0.writable.store(writable, Ordering::Relaxed);
    }

    /// From here on new work is refused; what is under way is still answered.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
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

    /// Whether new work is refused.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// How long ago the engine's loop last went round; none while there is no loop.
    #[must_use]
    pub fn beat_age(&self) -> Option<Duration> {
        self.0.beat_age.get().and_then(|age| age())
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { started, writable, stopping, beat_age: _ } = self;
        f.debug_struct("Facts")
            .field("started", started)
            .field("writable", writable)
            .field("stopping", stopping)
            .finish_non_exhaustive()
    }
}
