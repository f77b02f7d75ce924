//! Whether this node takes work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two facts that the parts of the daemon tell and `/readyz` shows. Cheap to clone; all
/// clones speak of the same node. A new one is not ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    writable: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Whether the journal can write and this node owns its transactions.
    pub fn set_writable(&self, writable: bool) {
        self.0.writable.store(writable, Ordering::Relaxed);
    }

    /// From here on new work is refused; what is under way is still answered.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
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
}
