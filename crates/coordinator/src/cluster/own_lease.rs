//! Until when a node may take it that no other has taken its place.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_wire::Mono;

/// How long ago this life's last batch was written, as far as it knows, against the lease. Cheap
/// to clone; all clones speak of the same life.
///
/// The others take over from a life that has written nothing for a lease. What it still calls
/// then may meet what they call: an acknowledgement repeated does no harm, and neither does a Try
/// that comes after its own Cancel, to a participant with a guard. It is not sent all the same,
/// where that can be known: it reserves what nobody has asked for any more.
#[derive(Clone)]
pub struct OwnLease {
    /// None where nobody else could take anything over.
    held: Option<Arc<Held>>,
}

struct Held {
    clock: Arc<dyn Clock>,
    lease: Duration,
    /// When the last batch was written, at the earliest.
    written: AtomicU64,
    ended: AtomicBool,
}

impl OwnLease {
    /// That of a process that has its database to itself: it has no end.
    #[must_use]
    pub fn endless() -> Self {
        Self { held: None }
    }

    /// One that runs from this moment on, until it is renewed.
    #[must_use]
    pub fn from(moment: Mono, lease: Duration, clock: Arc<dyn Clock>) -> Self {
        let (written, ended) = (AtomicU64::new(moment.0), AtomicBool::new(false));
        Self { held: Some(Arc::new(Held { clock, lease, written, ended })) }
    }

    /// A batch of this life was written, not before this moment.
    pub fn written_since(&self, moment: Mono) {
        if let Some(held) = &self.held {
            held.written.fetch_max(moment.0, Ordering::Relaxed);
        }
    }

    /// This life leaves: from here on others drive what it drove.
    pub fn end(&self) {
        if let Some(held) = &self.held {
            held.ended.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody else can have taken over yet.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Some(held) = &self.held else { return true };
        held.age() <= held.lease && !held.ended.load(Ordering::Relaxed)
    }

    /// How long ago the last batch was written, at most; none where it does not matter.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.held.as_ref().map(|held| held.age())
    }
}

impl Held {
    fn age(&self) -> Duration {
        self.clock.mono().since(Mono(self.written.load(Ordering::Relaxed)))
    }
}

impl fmt::Debug for OwnLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnLease").field("age", &self.age()).finish_non_exhaustive()
    }
}
