//! How much the other side may say: bytes that it sends drive loops that are not ours (HTTP's,
//! TLS's), so they are counted beneath them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use thiserror::Error;

/// Bytes of everything up to the end of an answer's head, interim answers with it; and of a TLS
/// handshake. Servers send some hundred bytes, and certificates of some thousand.
pub(super) const HEAD_BYTES: usize = 256 * 1024;

/// The other side has said more than anybody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than {HEAD_BYTES} bytes before an answer")]
pub(crate) struct TooMuch;

/// What one connection may still say, known to it and to whoever uses it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowance {
    counts: Arc<Counts>,
}

/// Only one task uses a connection at a time, so nothing here orders anything else.
#[derive(Debug, Default)]
struct Counts {
    left: AtomicUsize,
    heard: AtomicBool,
}

impl Allowance {
    /// From now on it may say so much, and has said nothing.
    pub(super) fn grant(&self, bytes: usize) {
        self.counts.left.store(bytes, Ordering::Relaxed);
        self.counts.heard.store(false, Ordering::Relaxed);
    }

    /// Before it is listened to: whether it may say more.
    pub(super) fn check(&self) -> Result<(), TooMuch> {
        match self.counts.left.load(Ordering::Relaxed) {
            0 => Err(TooMuch),
            _ => Ok(()),
        }
    }

    /// It has said so much, encrypted or not.
    pub(super) fn spend(&self, bytes: usize) {
        let left = self.counts.left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.counts.left.store(left, Ordering::Relaxed);
    }

    /// A byte of an answer has come. That TLS is ended in order is none.
    pub(super) fn hear(&self) {
        self.counts.heard.store(true, Ordering::Relaxed);
    }

    /// Whether a byte of an answer has come since the last grant.
    pub(super) fn heard(&self) -> bool {
        self.counts.heard.load(Ordering::Relaxed)
    }
}
