//! What this process lacks itself: open files. That is nobody else's failure, so a call that
//! meets it waits and is not counted.

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

/// There was no socket for a call or a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many open files in the coordinator")]
pub(crate) struct Shortage;

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
    /// When people were told last, and 0 if they never were.
    told: Arc<AtomicU64>,
}

/// The right to one, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    _permit: OwnedSemaphorePermit,
}

impl Sockets {
    pub(super) fn new(most: usize) -> Self {
        let free = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { free, told: Arc::default() }
    }

    /// One, if there is any. It never waits: whoever has kept some must give them up first.
    pub(super) fn take(&self) -> Result<Socket, Shortage> {
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| Shortage)?;
        Ok(Socket { _permit: permit })
    }

    /// Tells people, once in a while.
    pub(super) fn tell(&self, now: Mono) {
        let (told, at) = (self.told.load(Ordering::Relaxed), now.0.max(1));
        if told != 0 && now.since(Mono(told)) < TELL_EVERY {
            return;
        }
        let is_mine = self.told.compare_exchange(told, at, Ordering::Relaxed, Ordering::Relaxed);
        if is_mine.is_ok() {
            tracing::warn!(
                event = "too_many_open_files",
                "too many open files: calls wait until there are fewer, and no attempt is used \
                 up. Raise the limit (LimitNOFILE, ulimit -n), or lower server.max_connections"
            );
        }
    }
}
