//! What the durable daemon must do on two cores, beside what it did.

use super::cells::{percent, whole};
use super::patterns::saga_against_tcc;
use super::table::Table;
use crate::rig::Journal;
use crate::run::{CONNECTIONS, Figures, Measured, Outcome, Spread, ratio};

/// One thing that is wanted.
struct Target {
    what: String,
    must: f64,
    aim: f64,
    is: f64,
    /// Whether more is better.
    more: bool,
    show: fn(f64) -> String,
}

impl Target {
    fn row(&self) -> Vec<String> {
        let reaches = |wanted: f64| if self.more { self.is >= wanted } else { self.is <= wanted };
        let verdict = match (reaches(self.must), reaches(self.aim)) {
            (_, true) => "aim reached",
            (true, false) => "must reached",
            (false, false) => "missed",
        };
        let sign = if self.more { "≥" } else { "≤" };
        let show = |value: f64| (self.show)(value);
        vec![
            self.what.clone(),
            format!("{sign} {}", show(self.must)),
            format!("{sign} {}", show(self.aim)),
            show(self.is),
            verdict.to_owned(),
        ]
    }
}

fn millis(value: f64) -> String {
    format!("{value:.1} ms")
}

fn micros(value: f64) -> String {
    format!("{value:.0} µs")
}

fn one_digit(value: f64) -> String {
    format!("{value:.1}")
}

fn times(value: f64) -> String {
    format!("{value:.2} ×")
}

fn kib(value: f64) -> String {
    format!("{value:.1} KiB")
}

/// What is wanted and what there is.
pub(super) fn targets(outcome: &Outcome) -> Table {
    let of = |measured: Option<&Measured>, journal: Journal, figure: fn(&Figures) -> f64| {
        measured.map_or(0.0, |measured| Spread::of(measured.of(journal), figure).median)
    };
    let at = |connections: usize| {
        outcome.main.iter().find(move |measured| measured.connections == connections)
    };
    let durable = |connections, figure| of(at(connections), Journal::Sqlite, figure);
    let rate: fn(&Figures) -> f64 = |figures| figures.per_second;
    let p50: fn(&Figures) -> f64 = |figures| figures.p50_ms;
    let p99: fn(&Figures) -> f64 = |figures| figures.p99_ms;
    let cpu: fn(&Figures) -> f64 = |figures| figures.daemon_us;
    let bound =
        |connections| ratio(durable(connections, rate), of(at(connections), Journal::Memory, rate));
    let open = outcome.side.iter().find(|measured| measured.case.starts_with("open"));
    let all = outcome.main.iter().chain(&outcome.side).chain(&outcome.patterns);
    let per_batch = all.map(|measured| {
        let figures = |figures: &Figures| figures.statements_per_batch;
        Spread::of(&measured.sqlite, figures).max
    });
    let generator = durable(CONNECTIONS, |figures| figures.generator_us);
    let less = |what: &str, must, aim, is, show| Target {
        what: what.to_owned(),
        must,
        aim,
        is,
        more: false,
        show,
    };
    let more =
        |what: &str, must, aim, is, show| Target { more: true, ..less(what, must, aim, is, show) };
    let targets = [
        less("64 connections: daemon CPU/tx", 120.0, 80.0, durable(64, cpu), micros),
        less("64 connections: p99", 15.0, 9.0, durable(64, p99), millis),
        more("64 connections: tx/s", 8_500.0, 13_000.0, durable(64, rate), whole),
        less("256 connections: daemon CPU/tx", 105.0, 72.0, durable(256, cpu), micros),
        more("256 connections: tx/s", 9_500.0, 16_000.0, durable(256, rate), whole),
        more("16 connections: tx/s", 6_000.0, 9_000.0, durable(16, rate), whole),
        less("16 connections: p99", 5.0, 5.0, durable(16, p99), millis),
        less("1 connection: p50", 1.1, 0.8, durable(1, p50), millis),
        more("durable / no log at 64", 0.60, 0.65, bound(64), percent),
        more("durable / no log at 256", 0.70, 0.80, bound(256), percent),
        less("statements per batch, the most", 10.0, 6.0, per_batch.fold(0.0, f64::max), one_digit),
        more(
            "open transaction at 64: tx/s",
            4_000.0,
            7_000.0,
            of(open, Journal::Sqlite, rate),
            whole,
        ),
        less(
            "a saga of 3 steps: daemon CPU/tx, of a TCC's",
            1.6,
            1.6,
            saga_against_tcc(&outcome.patterns),
            times,
        ),
        less(
            "memory per waiting transaction, over its payload",
            4.0,
            2.0,
            outcome.memory.bytes_each() / 1024.0,
            kib,
        ),
        less("generator CPU/tx at 64", 10.0, 10.0, generator, one_digit),
    ];
    Table {
        title: "Targets (two branches, 200 bytes, SQLite, everything on two cores)".to_owned(),
        head: vec!["target", "must", "aim", "is", ""],
        rows: targets.iter().map(Target::row).collect(),
    }
}
