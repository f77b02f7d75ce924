//! The figures of one round, and what several rounds say together.

use std::time::Duration;

use serde::Serialize;

use crate::load::Counted;

/// The figures of one round.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Figures {
    /// Transactions each second.
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// Processor time of each program for each transaction.
    pub(crate) daemon_us: f64,
    pub(crate) generator_us: f64,
    pub(crate) sink_us: f64,
    /// Of the server that the database is on, if there is one.
    pub(crate) database_us: f64,
    /// SQL statements, batches and records of the journal.
    pub(crate) statements_per_transaction: f64,
    pub(crate) statements_per_batch: f64,
    pub(crate) commits_per_transaction: f64,
    pub(crate) records_per_batch: f64,
    /// Bytes that the daemon had written to disks.
    pub(crate) bytes_per_transaction: f64,
    /// How long after the last answer the last transaction ended, where answers do not wait for
    /// that.
    pub(crate) ended_later_ms: f64,
    /// Transactions that ended, with those that were not measured.
    pub(crate) transactions: u64,
    /// Answers that were not right.
    pub(crate) wrong: u64,
}

/// What the daemon counted of its journal during a round.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalCounts {
    pub(super) statements: f64,
    pub(super) commits: f64,
    pub(super) batches: f64,
    pub(super) records: f64,
}

/// Processor time used, and what was written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) daemon: Duration,
    pub(super) sink: Duration,
    pub(super) database: Duration,
    /// Bytes that the daemon had written to disks.
    pub(super) written: u64,
}

impl Used {
    /// What was used since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            daemon: self.daemon.saturating_sub(before.daemon),
            sink: self.sink.saturating_sub(before.sink),
            database: self.database.saturating_sub(before.database),
            written: self.written.saturating_sub(before.written),
        }
    }
}

/// What all transactions of a load took that end after their answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToTheEnd {
    /// From the first request to the last end.
    pub(super) used: Used,
    /// From the last answer to the last end.
    pub(super) later: Duration,
}

impl Figures {
    pub(super) fn new(counted: &Counted, used: Used, journal: JournalCounts) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
        let ended = counted.ended as f64;
        Self {
            per_second: counted.per_second(),
            p50_ms: counted.latency_ms(50.0),
            p99_ms: counted.latency_ms(99.0),
            p999_ms: counted.latency_ms(99.9),
            daemon_us: counted.each_us(used.daemon),
            generator_us: counted.each_us(counted.cpu),
            sink_us: counted.each_us(used.sink),
            database_us: counted.each_us(used.database),
            ended_later_ms: 0.0,
            statements_per_transaction: ratio(journal.statements, ended),
            statements_per_batch: ratio(journal.statements, journal.commits),
            commits_per_transaction: ratio(journal.commits, ended),
            records_per_batch: ratio(journal.records, journal.batches),
            bytes_per_transaction: counted.each(used.written),
            transactions: counted.ended,
            wrong: counted.wrong,
        }
    }
}

impl Figures {
    /// With the processor time of all transactions to their end: what is used while they are
    /// measured is in part for others, which were accepted before.
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
    pub(super) fn until_the_end(self, to_the_end: ToTheEnd) -> Self {
        let ToTheEnd { used, later } = to_the_end;
        let each_us = |used: Duration| ratio(used.as_secs_f64() * 1e6, self.transactions as f64);
        Self {
            daemon_us: each_us(used.daemon),
            sink_us: each_us(used.sink),
            database_us: each_us(used.database),
            ended_later_ms: later.as_secs_f64() * 1e3,
            ..self
        }
    }
}

/// One by another; of nothing, nothing.
pub(crate) fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { 0.0 }
}

/// Several rounds of one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of a figure over some rounds; of none, zero.
    pub(crate) fn of(rounds: &[Figures], figure: impl Fn(&Figures) -> f64) -> Self {
        Self::over(rounds.iter().map(figure))
    }

    /// Of values; of none, zero.
    pub(crate) fn over(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) && middle > 0 {
            f64::midpoint(at(middle - 1), at(middle))
        } else {
            at(middle)
        };
        Self { median, min: at(0), max: at(values.len().saturating_sub(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_both_ends() {
        let round = |per_second| Figures { per_second, ..Figures::default() };
        let table: [(&[f64], f64, f64, f64); 4] = [
            (&[], 0.0, 0.0, 0.0),
            (&[3.0], 3.0, 3.0, 3.0),
            (&[5.0, 1.0, 2.0], 2.0, 1.0, 5.0),
            (&[4.0, 1.0], 2.5, 1.0, 4.0),
        ];
        for (values, median, min, max) in table {
            let rounds: Vec<Figures> = values.iter().copied().map(round).collect();
            let spread = Spread::of(&rounds, |figures| figures.per_second);
            assert_eq!(spread, Spread { median, min, max }, "{values:?}");
        }
    }

    #[test]
    fn to_the_end_all_are_counted_and_not_those_measured() {
        let used = Used { daemon: Duration::from_millis(30), ..Used::default() };
        let later = Duration::from_millis(20);
        // Those measured are said to have cost something else: in part they cost it afterwards.
        let measured = Figures { transactions: 300, daemon_us: 7.0, ..Figures::default() };
        let figures = measured.until_the_end(ToTheEnd { used, later });
        let is = format!("{:.0} µs, {:.0} ms", figures.daemon_us, figures.ended_later_ms);
        assert_eq!(is, "100 µs, 20 ms");
    }
}
