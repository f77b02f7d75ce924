//! The same daemon on each kind of database, in turns.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::case::{Case, USUAL};
use super::figures::{Figures, Spread, ratio};
use super::plan::seconds;
use super::testbed::Testbed;
use crate::clock;
use crate::load::Pace;
use crate::report::{self, Table, maybe, percent, spread};
use crate::rig::{Daemon, Journal, Machine, RigError, ServerProcesses};

/// Rounds of each, in turns.
const ROUNDS: usize = 7;

/// Transactions under way at once.
const AT_ONCE: [usize; 4] = [1, 16, 64, 256];

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Stores {
    day: String,
    machine: Machine,
    measured: Vec<OnStore>,
    /// What was answered wrongly. Nothing, if all is well.
    pub(crate) wrong: Vec<String>,
}

/// The rounds of one case on one of them.
#[derive(Debug, Serialize)]
struct OnStore {
    store: &'static str,
    connections: usize,
    rounds: Vec<Figures>,
}

/// Measures it: a file, and the databases of these URLs, each of which is to be empty.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn run(
    program: &Path,
    below: &Path,
    servers: &[(&'static str, String, ServerProcesses)],
) -> Result<Stores, RigError> {
    let machine = Machine::look(below)?;
    eprintln!("{machine}");
    let mut testbed = Testbed::new(program, below)?;
    let mut daemons: Vec<(&'static str, Daemon)> =
        vec![(Journal::Sqlite.name(), testbed.daemon(Journal::Sqlite, &[])?)];
    for (name, url, processes) in servers {
        // Where its database is, it is told as anybody would tell it.
        let mut daemon = testbed.daemon(Journal::Sqlite, &[("TERCET_DATABASE__URL", url)])?;
        daemon.server = *processes;
        daemons.push((name, daemon));
    }
    let mut measured = Vec::new();
    for connections in AT_ONCE {
        let case = Case::new(&format!("{connections} connections"), connections, USUAL);
        let mut all: Vec<OnStore> = Vec::new();
        all.extend(daemons.iter().map(|(store, _)| OnStore {
            store,
            connections,
            rounds: Vec::new(),
        }));
        for round in 1..=ROUNDS {
            for ((store, daemon), on_store) in daemons.iter().zip(&mut all) {
                let figures = testbed.round(daemon, &case, Pace::Closed, seconds(0.5, 3.0))?;
                eprintln!(
                    "round {round}/{ROUNDS}  {:<16} {store:<10} {:>7.0} tx/s",
                    case.name, figures.per_second
                );
                on_store.rounds.push(figures);
            }
        }
        measured.append(&mut all);
    }
    Ok(Stores { day: clock::today(), machine, measured, wrong: testbed.wrong().to_vec() })
}

/// Prints and writes it: `stores.json` and `stores.md`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn publish(stores: &Stores, below: &Path) -> io::Result<()> {
    let about = format!("{}, `make bench-stores`: {}", stores.day, stores.machine);
    let rate: fn(&Figures) -> f64 = |figures| figures.per_second;
    let row = |on: &OnStore| {
        let of = |figure: fn(&Figures) -> f64| Spread::of(&on.rounds, figure);
        let file = stores.measured.iter().find(|other| other.connections == on.connections);
        let of_the_file = file.map_or(0.0, |file| Spread::of(&file.rounds, rate).median);
        vec![
            on.connections.to_string(),
            on.store.to_owned(),
            spread(of(rate), 0),
            percent(ratio(of(rate).median, of_the_file)),
            spread(of(|figures| figures.p50_ms), 1),
            spread(of(|figures| figures.p99_ms), 1),
            spread(of(|figures| figures.daemon_us), 0),
            maybe(of(|figures| figures.database_us).median, 0),
            maybe(of(|figures| figures.statements_per_transaction).median, 2),
            maybe(of(|figures| figures.commits_per_transaction).median, 2),
        ]
    };
    let table = Table {
        title: format!(
            "On each database, in turns: 2 branches, median (min–max) of {ROUNDS} rounds"
        ),
        head: vec![
            "connections",
            "database",
            "tx/s",
            "of SQLite",
            "p50 ms",
            "p99 ms",
            "daemon µs/tx",
            "database µs/tx",
            "stmts/tx",
            "commits/tx",
        ],
        rows: stores.measured.iter().map(row).collect(),
    };
    report::write(&about, &[table], "", stores, below, ("stores.json", "stores.md"))
}
