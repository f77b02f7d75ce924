//! The same daemon on each kind of database, in turns; and two of it on one database.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::case::{CONNECTIONS, Case, USUAL};
use super::figures::{Figures, Spread, ratio};
use super::plan::seconds;
use super::testbed::Testbed;
use crate::clock;
use crate::load::{Driven, Pace, Shape};
use crate::report::{self, Table, maybe, percent, spread};
use crate::rig::{Daemon, Journal, Machine, RigError, ServerProcesses};

/// Rounds of each, in turns.
const ROUNDS: usize = 7;

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Stores {
    day: String,
    machine: Machine,
    measured: Vec<OnStore>,
    /// One node against two, on the first of the servers.
    nodes: Vec<OnNodes>,
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

/// The rounds of one case on so many nodes of one database.
#[derive(Debug, Serialize)]
struct OnNodes {
    case: String,
    nodes: usize,
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
    at_once: &[usize],
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
    for &connections in at_once {
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
    // The file's daemon comes first.
    let nodes = match (servers.first(), daemons.get(1)) {
        (Some((_, url, _)), Some((_, daemon))) => on_nodes(&mut testbed, daemon, url)?,
        _ => Vec::new(),
    };
    let wrong = testbed.wrong().to_vec();
    Ok(Stores { day: clock::today(), machine, measured, nodes, wrong })
}

/// A node by itself and with another beside it, in turns: the other comes and goes.
fn on_nodes(testbed: &mut Testbed, daemon: &Daemon, url: &str) -> Result<Vec<OnNodes>, RigError> {
    let open = Shape { driven: Driven::Initiator, ..USUAL };
    let mut measured = Vec::new();
    for (name, shape) in [("2 branches", USUAL), ("open (begin, 2 × register, confirm)", open)] {
        let case = Case::new(name, CONNECTIONS, shape);
        let of = |nodes| OnNodes { case: name.to_owned(), nodes, rounds: Vec::new() };
        let (mut one, mut two) = (of(1), of(2));
        for round in 1..=ROUNDS {
            one.rounds.push(testbed.round(daemon, &case, Pace::Closed, seconds(0.5, 3.0))?);
            let other = testbed.daemon(Journal::Sqlite, &[("TERCET_DATABASE__URL", url)])?;
            let figures =
                testbed.round_on(daemon, &[other], &case, Pace::Closed, seconds(0.5, 3.0))?;
            eprintln!("round {round}/{ROUNDS}  two nodes {name} {:>7.0} tx/s", figures.per_second);
            two.rounds.push(figures);
        }
        measured.extend([one, two]);
    }
    Ok(measured)
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
    let of_one = |on: &OnNodes| {
        let one = stores.nodes.iter().find(|other| other.case == on.case);
        one.map_or(0.0, |one| Spread::of(&one.rounds, rate).median)
    };
    let row = |on: &OnNodes| {
        let of = |figure: fn(&Figures) -> f64| Spread::of(&on.rounds, figure);
        vec![
            on.case.clone(),
            on.nodes.to_string(),
            spread(of(rate), 0),
            percent(ratio(of(rate).median, of_one(on))),
            spread(of(|figures| figures.p50_ms), 1),
            spread(of(|figures| figures.p99_ms), 1),
            spread(of(|figures| figures.daemon_us), 0),
            maybe(of(|figures| figures.database_us).median, 0),
        ]
    };
    let nodes = Table {
        title: format!(
            "One node and two of them on PostgreSQL, in turns, {CONNECTIONS} connections, each \
             request at the next node: median (min–max) of {ROUNDS} rounds"
        ),
        head: vec![
            "case",
            "nodes",
            "tx/s",
            "of one",
            "p50 ms",
            "p99 ms",
            "daemons µs/tx",
            "database µs/tx",
        ],
        rows: stores.nodes.iter().map(row).collect(),
    };
    report::write(&about, &[table, nodes], "", stores, below, ("stores.json", "stores.md"))
}
