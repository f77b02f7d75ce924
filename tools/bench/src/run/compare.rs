//! One daemon against another, in turns: what a change brings, whatever else the machine does.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::case::{CONNECTIONS, Case, USUAL};
use super::figures::{Figures, Spread, ratio};
use super::plan::seconds;
use super::testbed::Testbed;
use crate::clock;
use crate::load::{Driven, Gids, Pace, Shape};
use crate::report::{self, Table, spread};
use crate::rig::{Daemon, Journal, Machine, RigError};

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    day: String,
    machine: Machine,
    cases: Vec<Pair>,
    /// What was answered wrongly. Nothing, if all is well.
    pub(crate) wrong: Vec<String>,
}

/// The rounds of a case by both.
#[derive(Debug, Serialize)]
struct Pair {
    case: String,
    before: Vec<Figures>,
    now: Vec<Figures>,
}

/// Measures both.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn run(
    before: &Path,
    now: &Path,
    below: &Path,
    rounds: usize,
) -> Result<Compared, RigError> {
    let machine = Machine::look(below)?;
    eprintln!("{machine}");
    let mut testbed = Testbed::new(now, below)?;
    let daemons = [
        Daemon::start(&std::path::absolute(before)?, Journal::Sqlite, below, &[])?,
        testbed.daemon(Journal::Sqlite, &[])?,
    ];
    let cases = cases();
    let pair = |case: &Case| Pair { case: case.name.clone(), before: vec![], now: vec![] };
    let mut pairs: Vec<Pair> = cases.iter().map(pair).collect();
    for round in 1..=rounds {
        for (case, pair) in cases.iter().zip(&mut pairs) {
            let mut of_both = Vec::with_capacity(daemons.len());
            for daemon in &daemons {
                of_both.push(testbed.round(daemon, case, Pace::Closed, seconds(0.5, 3.0))?);
            }
            let rates: Vec<_> =
                of_both.iter().map(|figures| report::whole(figures.per_second)).collect();
            eprintln!("round {round}/{rounds}  {:<40} {}", case.name, rates.join(" → "));
            pair.now.extend(of_both.pop());
            pair.before.extend(of_both.pop());
        }
    }
    let wrong = testbed.wrong().to_vec();
    Ok(Compared { day: clock::today(), machine, cases: pairs, wrong })
}

fn cases() -> Vec<Case> {
    let usual = |connections| {
        Case::new(&format!("2 branches, {connections} connections"), connections, USUAL)
    };
    let others = [
        ("random gids of the initiator's", Shape { gids: Gids::Random, ..USUAL }),
        ("10 branches", Shape { branches: 10, ..USUAL }),
        ("open (begin, 2 × register, confirm)", Shape { driven: Driven::Initiator, ..USUAL }),
    ];
    let others = others.map(|(name, shape)| Case::new(name, CONNECTIONS, shape));
    [1, 16, 64, 256].map(usual).into_iter().chain(others).collect()
}

/// Prints and writes it: `compare.json` and `compare.md`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn publish(compared: &Compared, below: &Path) -> io::Result<()> {
    let about = format!("{}, `tercet-bench compare`: {}", compared.day, compared.machine);
    let rounds = compared.cases.first().map_or(0, |pair| pair.now.len());
    let table = Table {
        title: format!(
            "Before → now (SQLite), in turns, medians of {rounds} rounds; *ratio*: of the same round, median (min–max)"
        ),
        head: vec![
            "case",
            "tx/s",
            "ratio",
            "p99.9 ms",
            "daemon µs/tx",
            "ratio",
            "KiB written/tx",
            "ratio",
            "commits/tx",
        ],
        rows: compared.cases.iter().map(row).collect(),
    };
    report::write(&about, &[table], "", compared, below, ("compare.json", "compare.md"))
}

fn row(pair: &Pair) -> Vec<String> {
    let both = |figure: fn(&Figures) -> f64, digits: usize| {
        let of = |rounds: &[Figures]| Spread::of(rounds, figure).median;
        format!("{:.digits$} → {:.digits$}", of(&pair.before), of(&pair.now))
    };
    let against = |figure: fn(&Figures) -> f64| {
        let pairs = pair.now.iter().zip(&pair.before);
        spread(Spread::over(pairs.map(|(now, before)| ratio(figure(now), figure(before)))), 2)
    };
    let rate: fn(&Figures) -> f64 = |figures| figures.per_second;
    let cpu: fn(&Figures) -> f64 = |figures| figures.daemon_us;
    let written: fn(&Figures) -> f64 = |figures| figures.bytes_per_transaction / 1024.0;
    vec![
        pair.case.clone(),
        both(rate, 0),
        against(rate),
        both(|figures| figures.p999_ms, 1),
        both(cpu, 0),
        against(cpu),
        both(written, 1),
        against(written),
        both(|figures| figures.commits_per_transaction, 3),
    ]
}
