//! What a saga and a message cost beside a TCC.

use super::cells::{maybe, spread};
use super::table::Table;
use crate::rig::Journal;
use crate::run::{CONNECTIONS, Figures, Measured, SAGA, Spread};

/// Each of them on each journal, the first being what the others are compared with.
pub(super) fn patterns(measured: &[Measured]) -> Table {
    let usual = measured.first();
    let rounds = usual.map_or(0, |usual| usual.sqlite.len());
    let rows = measured.iter().flat_map(|measured| {
        [Journal::Memory, Journal::Sqlite].map(|journal| row(measured, usual, journal))
    });
    Table {
        title: format!(
            "Patterns, in turns, {CONNECTIONS} connections, median (min–max) of {rounds} rounds: \
             a message counts when it is accepted, with what it costs until it is delivered"
        ),
        head: vec![
            "case",
            "journal",
            "tx/s",
            "p50 ms",
            "p99 ms",
            "daemon µs/tx",
            "of a TCC's",
            "sink",
            "stmts/tx",
            "stmts/batch",
            "records/batch",
            "last delivered after, ms",
        ],
        rows: rows.collect(),
    }
}

fn row(measured: &Measured, usual: Option<&Measured>, journal: Journal) -> Vec<String> {
    let of = |figure: fn(&Figures) -> f64| Spread::of(measured.of(journal), figure);
    let against = usual.filter(|usual| usual.case != measured.case);
    let against = against.map(|usual| measured.daemon_against(usual, journal));
    vec![
        measured.case.clone(),
        journal.name().to_owned(),
        spread(of(|figures| figures.per_second), 0),
        spread(of(|figures| figures.p50_ms), 1),
        spread(of(|figures| figures.p99_ms), 1),
        spread(of(|figures| figures.daemon_us), 0),
        against.map_or_else(|| "–".to_owned(), |against| spread(against, 2)),
        spread(of(|figures| figures.sink_us), 1),
        maybe(of(|figures| figures.statements_per_transaction).median, 2),
        maybe(of(|figures| figures.statements_per_batch).median, 1),
        maybe(of(|figures| figures.records_per_batch).median, 1),
        maybe(of(|figures| figures.ended_later_ms).median, 0),
    ]
}

/// Processor time of the durable daemon for a saga, against a TCC's in the same round.
pub(super) fn saga_against_tcc(measured: &[Measured]) -> f64 {
    let saga = measured.iter().find(|measured| measured.case == SAGA);
    let against = saga.zip(measured.first());
    against.map_or(0.0, |(saga, usual)| saga.daemon_against(usual, Journal::Sqlite).median)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(case: &str, daemon_us: [f64; 3]) -> Measured {
        let round = |daemon_us| Figures { daemon_us, ..Figures::default() };
        let (case, connections) = (case.to_owned(), CONNECTIONS);
        Measured { case, connections, memory: Vec::new(), sqlite: daemon_us.map(round).into() }
    }

    #[test]
    fn a_ratio_is_that_of_rounds_that_were_in_turns() {
        // A machine that was slow for a while: the medians, 200 and 150, would say 0.75.
        let tcc = measured("TCC of 2 branches", [100.0, 200.0, 210.0]);
        let saga = measured(SAGA, [150.0, 300.0, 140.0]);
        let measured = [tcc, saga];
        assert_eq!(format!("{:.2}", saga_against_tcc(&measured)), "1.50");
        let rows = patterns(&measured).rows;
        // Of each first without a log, then on a file.
        assert_eq!([&rows[1][6], &rows[3][6]], ["–", "1.50 (0.67–1.50)"]);
    }
}
