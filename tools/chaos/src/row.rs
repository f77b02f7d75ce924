//! What was measured of one fault: a row of the table.

use std::fmt;
use std::time::{Duration, Instant};

use crate::load::{Detours, InitiatorLog};
use crate::spread::{Short, Spread};
use crate::verdict::Verdict;

/// The table's head.
pub(crate) const HEAD: &str = "\
| fault | RTO (fault healed → all affected finished) p50/max | RPO (acknowledged and lost) | finished right | throughput against no fault |
|---|---|---|---|---|";

/// A row, with what stands below the table about it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The fault, and how long or how often.
    pub(crate) fault: String,
    /// From the healing to the end of each transaction that was under way then.
    pub(crate) recovery: Spread,
    /// How long a transaction takes in the windows without a fault.
    pub(crate) ordinary: Spread,
    /// How long one takes that is begun and ends while the fault lasts.
    pub(crate) during: Spread,
    pub(crate) verdict: Verdict,
    pub(crate) detours: Detours,
    pub(crate) rates: Rates,
    /// What became of strangers' transactions, in words, and whether it is wrong.
    pub(crate) strangers: Option<(String, bool)>,
    /// What the test kit found meanwhile, in words; empty if it could not run.
    pub(crate) kit: String,
    /// Whether the test kit found a broken rule.
    pub(crate) kit_broken: bool,
}

/// Transactions finished per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    /// In the windows before and after, without a fault.
    pub(crate) without: f64,
    /// While the fault lasted.
    pub(crate) during: f64,
    /// In the first seconds after it was healed.
    pub(crate) healed: f64,
}

/// How many of these ended per second between two moments.
pub(crate) fn rate(logs: &[InitiatorLog], from: Instant, until: Instant) -> f64 {
    let within =
        |ledger: &&InitiatorLog| ledger.finished.is_some_and(|at| from <= at && at < until);
    let seconds = until.saturating_duration_since(from).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 transactions")]
    let count = logs.iter().filter(within).count() as f64;
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

/// How long those took that were begun and ended within one of these windows, so that no fault
/// has met them.
pub(crate) fn ordinary(logs: &[InitiatorLog], windows: &[(Instant, Instant)]) -> Spread {
    let took = |ledger: &InitiatorLog| -> Option<Duration> {
        let (begun, finished) = (ledger.begun, ledger.finished?);
        let within = windows.iter().any(|(from, until)| *from <= begun && finished < *until);
        within.then(|| finished.duration_since(begun))
    };
    Spread::of(logs.iter().filter_map(took))
}

/// From each healing to the end of what was begun before it and ended after it, and before the
/// next.
pub(crate) fn recovery(logs: &[InitiatorLog], healed: &[Instant]) -> Spread {
    let met = |ledger: &InitiatorLog| -> Option<Duration> {
        let finished = ledger.finished?;
        let healed = healed.iter().rev().find(|healed| **healed < finished)?;
        (ledger.begun < *healed).then(|| finished.duration_since(*healed))
    };
    Spread::of(logs.iter().filter_map(met))
}

impl Row {
    /// Whether nothing was lost, nothing is wrong, and no guard failed.
    pub(crate) fn is_clean(&self) -> bool {
        let strangers_are_well = !self.strangers.as_ref().is_some_and(|(_, wrong)| *wrong);
        self.verdict.is_clean() && !self.kit_broken && strangers_are_well
    }

    /// What there is to say beside the row.
    pub(crate) fn note(&self) -> String {
        let Self { fault, recovery, ordinary, during, verdict, detours, rates, kit, .. } = self;
        let mut note = format!(
            "* {fault}: {} transactions, {} confirmed; {} under way when it healed. Without fault one \
             takes {} (p50), {} (p99) to {} (max). {:.0}/s without fault, {:.0}/s during, {:.0}/s in the first seconds after; initiators asked again {} \
             times after no answer, {} times after 429 or 503.",
            verdict.begun,
            verdict.confirmed,
            recovery.len(),
            Short(ordinary.percentile(50)),
            Short(ordinary.percentile(99)),
            Short(ordinary.max()),
            rates.without,
            rates.during,
            rates.healed,
            detours.unanswered,
            detours.refused,
        );
        if during.len() > 0 {
            let (p50, p99) = (Short(during.percentile(50)), Short(during.percentile(99)));
            note.push_str(&format!(" Begun and ended during it: {p50} (p50), {p99} (p99)."));
        }
        if let Some((words, wrong)) = &self.strangers {
            note.push_str(&format!(" Meanwhile {words}{}.", if *wrong { ": WRONG" } else { "" }));
        }
        if !kit.is_empty() {
            note.push_str(&format!(" Test kit meanwhile: {kit}."));
        }
        let wrong = verdict.sums.iter().chain(&verdict.wrong);
        for line in wrong.take(5) {
            note.push_str(&format!("\n  * WRONG: {line}"));
        }
        note
    }
}

/// As a line of the table.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, recovery, verdict, rates, .. } = self;
        let Verdict { begun, right, lost, sums, .. } = verdict;
        let (p50, max) = (Short(recovery.percentile(50)), Short(recovery.max()));
        // Rounded down: 100 % is said only of all.
        let percent = (right * 1_000).checked_div(*begun).unwrap_or(1_000);
        let (whole, tenth) = (percent / 10, percent % 10);
        let sums = if sums.is_empty() { "" } else { ", SUMS OFF" };
        let against = |rate: f64| (rate / rates.without - 1.0) * 100.0;
        write!(
            f,
            "| {fault} | {p50} / {max} | {lost} | {whole}.{tenth} % of {begun}{sums} | {:+.0} % \
             (after healing {:+.0} %) |",
            against(rates.during),
            against(rates.healed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn what_a_fault_has_met_is_measured_from_the_last_healing_before_its_end() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let ledger = |begun, finished| {
            let mut ledger = InitiatorLog::new("order-1".to_owned(), at(begun));
            ledger.finished = Some(at(finished));
            ledger
        };
        let logs = [
            ledger(0, 5),       // Over before anything was healed.
            ledger(0, 17),      // Met by the first fault.
            ledger(0, 105),     // Met by both.
            ledger(50, 120),    // Met by the second.
            ledger(110, 1_000), // Begun after all was well.
        ];
        let recovery = recovery(&logs, &[at(10), at(100)]);
        assert_eq!(recovery, Spread::of([7, 5, 20].map(Duration::from_millis)));
        assert!((rate(&logs, at(0), at(100)) - 20.0).abs() < 1e-9);
    }
}
