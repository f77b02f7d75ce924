//! The tables of a run.

use super::cells::{maybe, mib, percent, spread, whole};
use super::patterns::patterns;
use super::table::Table;
use super::targets::targets;
use crate::rig::Journal;
use crate::run::{AtRate, ByTls, Figures, Measured, Outcome, Spread, gids, ratio};

/// All tables of a run, in the order in which they are read.
pub(crate) fn tables(outcome: &Outcome) -> Vec<Table> {
    let rounds = outcome.main.first().map_or(0, |measured| measured.sqlite.len());
    // A run that is too short for them reaches no target, and misses none.
    let targets = outcome.counts.then(|| targets(outcome));
    let measured = [
        cases(
            format!("Closed loop: the main cases, median (min–max) of {rounds} rounds"),
            &outcome.main,
        ),
        cases("Closed loop: other cases, one round each".to_owned(), &outcome.side),
        patterns(&outcome.patterns),
        by_tls(&outcome.by_tls),
        rates(&outcome.rates),
        gids::table(&outcome.gids),
        memory(outcome),
    ];
    targets.into_iter().chain(measured).collect()
}

const HEAD: [&str; 13] = [
    "case",
    "journal",
    "tx/s",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "daemon µs/tx",
    "generator",
    "sink",
    "stmts/tx",
    "stmts/batch",
    "records/batch",
    "of no log",
];

fn cases(title: String, measured: &[Measured]) -> Table {
    let rows = measured.iter().flat_map(|measured| {
        [Journal::Memory, Journal::Sqlite].map(|journal| row(measured, journal))
    });
    Table { title, head: HEAD.into(), rows: rows.collect() }
}

fn row(measured: &Measured, journal: Journal) -> Vec<String> {
    let rounds = measured.of(journal);
    let of = |figure: fn(&Figures) -> f64| Spread::of(rounds, figure);
    let rate: fn(&Figures) -> f64 = |figures| figures.per_second;
    let part = match journal {
        Journal::Memory => "–".to_owned(),
        Journal::Sqlite => {
            percent(ratio(of(rate).median, Spread::of(&measured.memory, rate).median))
        }
    };
    vec![
        measured.case.clone(),
        journal.name().to_owned(),
        spread(of(rate), 0),
        spread(of(|figures| figures.p50_ms), 1),
        spread(of(|figures| figures.p99_ms), 1),
        spread(of(|figures| figures.p999_ms), 1),
        spread(of(|figures| figures.daemon_us), 0),
        spread(of(|figures| figures.generator_us), 1),
        spread(of(|figures| figures.sink_us), 1),
        maybe(of(|figures| figures.statements_per_transaction).median, 2),
        maybe(of(|figures| figures.statements_per_batch).median, 1),
        maybe(of(|figures| figures.records_per_batch).median, 1),
        part,
    ]
}

fn by_tls(by_tls: &ByTls) -> Table {
    let rate: fn(&Figures) -> f64 = |figures| figures.per_second;
    let plain = Spread::of(&by_tls.plain, rate).median;
    let row = |how: &str, rounds: &[Figures]| {
        let of = |figure: fn(&Figures) -> f64| Spread::of(rounds, figure);
        vec![
            how.to_owned(),
            spread(of(rate), 0),
            spread(of(|figures| figures.p50_ms), 1),
            spread(of(|figures| figures.p99_ms), 1),
            spread(of(|figures| figures.daemon_us), 0),
            percent(ratio(of(rate).median, plain)),
        ]
    };
    Table {
        title: "TLS 1.3 and a token, against neither (SQLite, 2 branches, 64 connections)"
            .to_owned(),
        head: vec!["spoken", "tx/s", "p50 ms", "p99 ms", "daemon µs/tx", "of plain"],
        rows: vec![row("plain HTTP", &by_tls.plain), row("TLS, with a token", &by_tls.tls)],
    }
}

fn rates(rates: &[AtRate]) -> Table {
    let row = |at: &AtRate| {
        let figures = &at.figures;
        vec![
            whole(at.offered),
            at.journal.name().to_owned(),
            whole(figures.per_second),
            format!("{:.1}", figures.p50_ms),
            format!("{:.1}", figures.p99_ms),
            format!("{:.1}", figures.p999_ms),
            whole(figures.daemon_us),
        ]
    };
    Table {
        title: "Fixed rate (2 branches): latency from the moment each was to begin, one round each"
            .to_owned(),
        head: vec![
            "offered tx/s",
            "journal",
            "ended tx/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "daemon µs/tx",
        ],
        rows: rates.iter().map(row).collect(),
    }
}

fn memory(outcome: &Outcome) -> Table {
    let memory = &outcome.memory;
    let row = |what: String, value: String| vec![what, value];
    Table {
        title: "Memory of the daemon (SQLite, 2 branches)".to_owned(),
        head: vec!["what", "is"],
        rows: vec![
            row(
                format!("resident after {} transactions", memory.transactions),
                mib(memory.resident_kib),
            ),
            row("the most that was resident".to_owned(), mib(memory.peak_kib)),
            row(
                format!("resident with {} waiting for participants", memory.waiting),
                mib(memory.resident_waiting_kib),
            ),
            row("… before them".to_owned(), mib(memory.resident_before_kib)),
            row(
                format!("each of them, over its {} bytes of payload", memory.payload_bytes),
                format!("{:.0} bytes", memory.bytes_each()),
            ),
        ],
    }
}
