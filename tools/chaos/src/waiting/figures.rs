//! What was measured while very many transactions waited.

use std::fmt;
use std::time::Duration;

use crate::report::machine;
use crate::spread::{Short, Spread};

/// Of the healthy participant's transactions that began in one stretch of time.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) name: &'static str,
    pub(super) lasted: Duration,
    /// How long they took.
    pub(super) took: Spread,
    /// Processor time the coordinator used.
    pub(super) processor: Duration,
}

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(super) transactions: usize,
    pub(super) settings: Vec<(String, String)>,
    pub(super) windows: Vec<Window>,
    /// Bytes of memory the coordinator had in use, and when.
    pub(super) memory: [(&'static str, u64); 4],
    /// From the dead participant's return until every transaction was finished.
    pub(super) finished_after: Duration,
    /// Calls the dead participant got after its return.
    pub(super) calls: usize,
    /// The most of them at once.
    pub(super) most_at_once: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transactions = self.transactions;
        writeln!(
            f,
            "| a healthy participant's transactions | p50 | p99 | per second | coordinator's processor time |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        for Window { name, lasted, took, processor } in &self.windows {
            let seconds = lasted.as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 transactions")]
            let rate = took.len() as f64 / seconds;
            let cores = processor.as_secs_f64() / seconds;
            let (p50, p99) = (Short(took.percentile(50)), Short(took.percentile(99)));
            let lasted = Short(*lasted);
            writeln!(f, "| {name} ({lasted}) | {p50} | {p99} | {rate:.0} | {cores:.2} cores |")?;
        }
        writeln!(f, "\n| the coordinator's memory | MiB |\n|---|---|")?;
        for (when, bytes) in self.memory {
            writeln!(f, "| {when} | {} |", bytes >> 20)?;
        }
        writeln!(
            f,
            "\nAll {transactions} waiting transactions were finished {} after the participant came \
             back; it got {} calls, at most {} at once.",
            Short(self.finished_after),
            self.calls,
            self.most_at_once,
        )?;
        for (key, value) in &self.settings {
            writeln!(f, "Setting: `{key}={value}`.")?;
        }
        writeln!(f, "Machine: {}.", machine())
    }
}
