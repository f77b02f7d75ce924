//! What this process lacks itself: open files, or room for another look-up. That is nobody else's
//! failure, so a call that meets it waits and is not counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tercet_wire::Mono;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How often people are told at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The numbers of Linux, which the BSDs share but for those above 12.
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EADDRNOTAVAIL: i32 = 99;
const ENOBUFS: i32 = 105;

/// What there was too little of for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Shortage {
    /// A socket, or a file, for it or for its look-up.
    #[error("too many open files in the coordinator")]
    OpenFiles,
    /// As many look-ups as there may be are under way, for other names.
    #[error("too many names are being looked up by the coordinator")]
    LookUps,
}

/// Whether it was this process that lacked something.
pub(super) fn is_ours(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | ENOBUFS))
}

/// Whether there was no port left to connect from: a connection that was asked for said so.
pub(super) fn is_out_of_ports(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EADDRNOTAVAIL)
}

/// The sockets that calls may have, so that something is left for the journal and for clients.
#[derive(Debug, Clone)]
pub(super) struct Sockets {
    free: Arc<Semaphore>,
}

/// The right to one, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    _permit: OwnedSemaphorePermit,
}

impl Sockets {
    pub(super) fn new(most: usize) -> Self {
        let free = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { free }
    }

    /// One, if there is any. It never waits: whoever has kept some must give them up first.
    pub(super) fn take(&self) -> Result<Socket, Shortage> {
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| Shortage::OpenFiles)?;
        Ok(Socket { _permit: permit })
    }
}

/// When people were told of each shortage last, and 0 if they never were.
#[derive(Debug, Default)]
pub(super) struct Told {
    open_files: AtomicU64,
    look_ups: AtomicU64,
}

impl Told {
    /// Tells people, once in a while.
    pub(super) fn tell(&self, shortage: Shortage, now: Mono) {
        match shortage {
            Shortage::OpenFiles if is_due(&self.open_files, now) => tracing::warn!(
                event = "too_many_open_files",
                "too many open files: calls wait until there are fewer, and no attempt is used \
                 up. Raise the limit (LimitNOFILE, ulimit -n), or lower server.max_connections"
            ),
            Shortage::LookUps if is_due(&self.look_ups, now) => tracing::warn!(
                event = "too_many_look_ups",
                "too many names are being looked up: calls to names that are not known wait, and \
                 no attempt is used up. Look whether the name servers answer, and who registers \
                 so many names"
            ),
            Shortage::OpenFiles | Shortage::LookUps => {}
        }
    }
}

/// Whether it is time to tell people again. Of several who ask at once, one is told so.
fn is_due(told: &AtomicU64, now: Mono) -> bool {
    let (before, now) = (told.load(Ordering::Relaxed), now.0.max(1));
    let is_over = before == 0 || Mono(now).since(Mono(before)) >= TELL_EVERY;
    is_over && told.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
