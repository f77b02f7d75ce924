//! What was measured, as it is written down.

use serde::Serialize;

use super::figures::{Figures, Spread, ratio};
use super::gids::AtSize;
use crate::rig::{Journal, Machine};

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) day: String,
    pub(crate) command: String,
    /// Whether it was long enough for its figures to mean anything.
    pub(crate) counts: bool,
    pub(crate) machine: Machine,
    pub(crate) main: Vec<Measured>,
    pub(crate) side: Vec<Measured>,
    /// The usual case, a saga and a message, in turns.
    pub(crate) patterns: Vec<Measured>,
    pub(crate) by_tls: ByTls,
    pub(crate) rates: Vec<AtRate>,
    /// The usual case by whose gids it has, in turns.
    pub(crate) gids: Vec<AtSize>,
    pub(crate) memory: MemoryOutcome,
    /// What was answered wrongly. Nothing, if all is well.
    pub(crate) wrong: Vec<String>,
}

/// The rounds of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) case: String,
    pub(crate) connections: usize,
    pub(crate) memory: Vec<Figures>,
    pub(crate) sqlite: Vec<Figures>,
}

/// Rounds of the usual case on a file, in turns: as everywhere else, and by TLS with a token.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ByTls {
    pub(crate) plain: Vec<Figures>,
    pub(crate) tls: Vec<Figures>,
}

/// A round at a fixed rate.
#[derive(Debug, Serialize)]
pub(crate) struct AtRate {
    pub(crate) journal: Journal,
    /// Transactions offered each second.
    pub(crate) offered: f64,
    pub(crate) figures: Figures,
}

/// Memory of the daemon.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct MemoryOutcome {
    /// After this many transactions.
    pub(crate) transactions: u64,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
    /// With this many that wait for participants.
    pub(crate) waiting: u64,
    pub(crate) resident_before_kib: u64,
    pub(crate) resident_waiting_kib: u64,
    /// Of payload in each of those.
    pub(crate) payload_bytes: u64,
}

impl MemoryOutcome {
    /// Bytes for each that waits, without its payload.
    #[expect(clippy::cast_precision_loss, reason = "memory here is far below 2^53 bytes")]
    pub(crate) fn bytes_each(&self) -> f64 {
        let grown = self.resident_waiting_kib.saturating_sub(self.resident_before_kib) * 1024;
        grown as f64 / self.waiting.max(1) as f64 - self.payload_bytes as f64
    }
}

impl Measured {
    pub(crate) fn of(&self, journal: Journal) -> &[Figures] {
        match journal {
            Journal::Memory => &self.memory,
            Journal::Sqlite => &self.sqlite,
        }
    }

    /// Processor time of the daemon for each transaction, against another case's in the same
    /// round: rounds of a run that lie apart differ by more than cases do.
    pub(crate) fn daemon_against(&self, other: &Self, journal: Journal) -> Spread {
        let pairs = self.of(journal).iter().zip(other.of(journal));
        Spread::over(pairs.map(|(figures, other)| ratio(figures.daemon_us, other.daemon_us)))
    }

    pub(super) fn add(&mut self, journal: Journal, figures: Figures) {
        match journal {
            Journal::Memory => self.memory.push(figures),
            Journal::Sqlite => self.sqlite.push(figures),
        }
    }
}
