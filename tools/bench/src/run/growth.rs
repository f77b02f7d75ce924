//! How cost grows: with finished transactions in the database, with live ones that wait, and
//! with history that is written.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::case::{CONNECTIONS, Case, USUAL};
use super::figures::Figures;
use super::gids;
use super::memory::{self, HELD, ROOM};
use super::plan::seconds;
use super::screens::{self, Screens};
use super::testbed::{Testbed, Timing};
use crate::clock;
use crate::load::{Pace, Shape};
use crate::report::{self, Table, mib, whole};
use crate::rig::{Daemon, Journal, Machine, RigError};
use crate::sink::Profile;

/// Rounds at each size; shown is the one in the middle by transactions each second.
const ROUNDS: usize = 3;

/// Rounds of each kind of gids where nothing else is measured.
const ROUNDS_OF_GIDS: usize = 7;

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    day: String,
    machine: Machine,
    finished: Vec<AtSize>,
    waiting: Vec<AtSize>,
    history: Vec<AtSize>,
    gids: Vec<gids::AtSize>,
    screens: Screens,
    /// What was answered wrongly. Nothing, if all is well.
    pub(crate) wrong: Vec<String>,
}

/// The usual case at some size.
#[derive(Debug, Serialize)]
struct AtSize {
    what: String,
    rounds: Vec<Figures>,
    resident_kib: u64,
}

/// Measures it, with up to `most` finished transactions and a tenth of that waiting.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn run(program: &Path, below: &Path, most: u64) -> Result<Growth, RigError> {
    let machine = Machine::look(below)?;
    eprintln!("{machine}");
    let mut testbed = Testbed::new(program, below)?;
    Ok(Growth {
        day: clock::today(),
        machine,
        finished: finished(&mut testbed, most)?,
        waiting: waiting(&mut testbed, most / 10)?,
        history: history(&mut testbed)?,
        gids: gids::run(&mut testbed, &sizes(most)[1..], ROUNDS, seconds(1.0, 5.0))?,
        screens: screens(&mut testbed, most)?,
        wrong: testbed.wrong().to_vec(),
    })
}

/// Whose gids, by itself.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    day: String,
    machine: Machine,
    gids: Vec<gids::AtSize>,
    /// What was answered wrongly. Nothing, if all is well.
    pub(crate) wrong: Vec<String>,
}

/// Measures what whose gids costs alone, with up to `most` finished transactions of each kind.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn name(program: &Path, below: &Path, most: u64) -> Result<Named, RigError> {
    let machine = Machine::look(below)?;
    eprintln!("{machine}");
    let mut testbed = Testbed::new(program, below)?;
    let gids = gids::run(&mut testbed, &[most / 20, most], ROUNDS_OF_GIDS, seconds(0.5, 3.0))?;
    Ok(Named { day: clock::today(), machine, gids, wrong: testbed.wrong().to_vec() })
}

/// Prints and writes it: `gids.json` and `gids.md`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn publish_gids(named: &Named, below: &Path) -> io::Result<()> {
    let about = format!("{}, `make bench-gids`: {}", named.day, named.machine);
    report::write(&about, &[gids::table(&named.gids)], "", named, below, ("gids.json", "gids.md"))
}

/// Lists and screens by themselves.
#[derive(Debug, Serialize)]
pub(crate) struct Looked {
    day: String,
    machine: Machine,
    screens: Screens,
    /// What was answered wrongly. Nothing, if all is well.
    pub(crate) wrong: Vec<String>,
}

/// Measures lists and screens alone, with `most` finished transactions and a tenth of that waiting.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn look(program: &Path, below: &Path, most: u64) -> Result<Looked, RigError> {
    let machine = Machine::look(below)?;
    eprintln!("{machine}");
    let mut testbed = Testbed::new(program, below)?;
    Ok(Looked {
        day: clock::today(),
        machine,
        screens: screens(&mut testbed, most)?,
        wrong: testbed.wrong().to_vec(),
    })
}

/// Sizes that grow tenfold up to this, three of them.
fn sizes(most: u64) -> [u64; 3] {
    [most / 100, most / 10, most]
}

fn finished(testbed: &mut Testbed, most: u64) -> Result<Vec<AtSize>, RigError> {
    let daemon = testbed.daemon(Journal::Sqlite, &[])?;
    let mut at = Vec::new();
    let mut there = 0;
    for size in sizes(most) {
        memory::run(testbed, &daemon, "filling", USUAL, size.saturating_sub(there).max(1))?;
        let measured = measure(testbed, &daemon, format!("{size} finished"), USUAL)?;
        let ended: u64 = measured.rounds.iter().map(|figures| figures.transactions).sum();
        there = size.max(there) + ended;
        at.push(measured);
    }
    Ok(at)
}

fn waiting(testbed: &mut Testbed, most: u64) -> Result<Vec<AtSize>, RigError> {
    let daemon = testbed.daemon(Journal::Sqlite, &ROOM)?;
    let mut at = vec![measure(testbed, &daemon, "none waiting".to_owned(), USUAL)?];
    let mut there = 0;
    for size in sizes(most) {
        memory::run(testbed, &daemon, "those that wait", HELD, size.saturating_sub(there).max(1))?;
        there = size;
        at.push(measure(testbed, &daemon, format!("{size} waiting"), USUAL)?);
    }
    Ok(at)
}

fn history(testbed: &mut Testbed) -> Result<Vec<AtSize>, RigError> {
    let daemon = testbed.daemon(Journal::Sqlite, &[])?;
    let flaky = Shape { profile: Profile::Flaky, ..USUAL };
    Ok(vec![
        measure(testbed, &daemon, "no call fails, no history".to_owned(), USUAL)?,
        measure(testbed, &daemon, "every call fails once, 4 lines of history".to_owned(), flaky)?,
    ])
}

fn screens(testbed: &mut Testbed, most: u64) -> Result<Screens, RigError> {
    let daemon = testbed.daemon(Journal::Sqlite, &ROOM)?;
    screens::run(testbed, &daemon, most, most / 10)
}

fn measure(
    testbed: &mut Testbed,
    daemon: &Daemon,
    what: String,
    shape: Shape,
) -> Result<AtSize, RigError> {
    let case = Case::new(&what, CONNECTIONS, shape);
    let timing: Timing = seconds(1.0, 5.0);
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(testbed.round(daemon, &case, Pace::Closed, timing)?);
    }
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let resident_kib = daemon.process.memory()?.resident_kib;
    eprintln!("{what}: {:.0} tx/s", rounds[ROUNDS / 2].per_second);
    Ok(AtSize { what, rounds, resident_kib })
}

/// Prints and writes it: `growth.json` and `growth.md`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn publish(growth: &Growth, below: &Path) -> io::Result<()> {
    let about = format!("{}, `make bench-growth`: {}", growth.day, growth.machine);
    let [views, beside] = screens::tables(&growth.screens);
    let tables = [
        table("With finished transactions in the database", &growth.finished),
        table("With live transactions that wait for another participant", &growth.waiting),
        table("With history", &growth.history),
        gids::table(&growth.gids),
        views,
        beside,
    ];
    report::write(&about, &tables, "", growth, below, ("growth.json", "growth.md"))
}

/// Prints and writes it: `screens.json` and `screens.md`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn publish_screens(looked: &Looked, below: &Path) -> io::Result<()> {
    let about = format!("{}, `make bench-screens`: {}", looked.day, looked.machine);
    let tables = screens::tables(&looked.screens);
    report::write(&about, &tables, "", looked, below, ("screens.json", "screens.md"))
}

fn table(title: &str, sizes: &[AtSize]) -> Table {
    let row = |at: &AtSize| {
        let figures = &at.rounds[ROUNDS / 2];
        let ends = [&at.rounds[0], &at.rounds[ROUNDS - 1]].map(|round| whole(round.per_second));
        vec![
            at.what.clone(),
            format!("{} ({}–{})", whole(figures.per_second), ends[0], ends[1]),
            format!("{:.1}", figures.p50_ms),
            format!("{:.1}", figures.p99_ms),
            whole(figures.daemon_us),
            format!("{:.2}", figures.statements_per_transaction),
            mib(at.resident_kib),
        ]
    };
    Table {
        title: format!("{title} (SQLite, 2 branches, {CONNECTIONS} connections)"),
        head: vec!["", "tx/s", "p50 ms", "p99 ms", "daemon µs/tx", "stmts/tx", "resident"],
        rows: sizes.iter().map(row).collect(),
    }
}
