//! What it costs to be observed: the same daemon with more and less of logs, metrics and traces, in turns.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use serde::Serialize;

use super::case::{CONNECTIONS, Case, USUAL};
use super::figures::{Figures, Spread, ratio};
use super::plan::seconds;
use super::testbed::Testbed;
use crate::clock;
use crate::load::Pace;
use crate::report::{self, Table, spread};
use crate::rig::{Daemon, Journal, Machine, RigError, view};

/// Rounds of each, in turns.
const ROUNDS: usize = 9;

/// From one fetch of the metrics to the next: more often than any Prometheus is set to.
const BETWEEN_SCRAPES: Duration = Duration::from_secs(1);

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Observed {
    day: String,
    machine: Machine,
    ways: Vec<Way>,
    /// What was answered wrongly. Nothing, if all is well.
    pub(crate) wrong: Vec<String>,
}

/// One way to be observed.
#[derive(Debug, Serialize)]
struct Way {
    what: &'static str,
    rounds: Vec<Figures>,
}

/// Measures it.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn run(program: &Path, below: &Path) -> Result<Observed, RigError> {
    let machine = Machine::look(below)?;
    eprintln!("{machine}");
    let mut testbed = Testbed::new(program, below)?;
    // As a participant that answers everything, it is a collector that takes everything.
    let collector = format!("http://{}/collector/accept/spans", testbed.sink_address());
    let to_collector = ("TERCET_TRACES__ENDPOINT", collector.as_str());
    let ways: [(&str, &[(&str, &str)]); 5] = [
        ("as it comes: log at info, no traces", &[]),
        ("log of errors alone", &[("TERCET_LOG__FILTER", "error,tercet_coordinator::serve=info")]),
        ("metrics fetched every second", &[]),
        ("traces, one of a hundred", &[to_collector, ("TERCET_TRACES__SAMPLE_RATIO", "0.01")]),
        ("traces, all", &[to_collector]),
    ];
    let mut daemons = Vec::with_capacity(ways.len());
    let mut measured = Vec::with_capacity(ways.len());
    for (what, settings) in ways {
        daemons.push(testbed.daemon(Journal::Sqlite, settings)?);
        measured.push(Way { what, rounds: Vec::with_capacity(ROUNDS) });
    }
    let case = Case::new("observed", CONNECTIONS, USUAL);
    for round in 1..=ROUNDS {
        for (daemon, way) in daemons.iter().zip(&mut measured) {
            let timing = seconds(0.5, 3.0);
            let figures = if way.what.starts_with("metrics") {
                scraped(daemon, || testbed.round(daemon, &case, Pace::Closed, timing))?
            } else {
                testbed.round(daemon, &case, Pace::Closed, timing)?
            };
            eprintln!("round {round}/{ROUNDS}  {:<36} {:>7.0} tx/s", way.what, figures.per_second);
            way.rounds.push(figures);
        }
    }
    let wrong = testbed.wrong().to_vec();
    Ok(Observed { day: clock::today(), machine, ways: measured, wrong })
}

/// A round beside which the metrics are fetched.
fn scraped(
    daemon: &Daemon,
    round: impl FnOnce() -> Result<Figures, RigError>,
) -> Result<Figures, RigError> {
    let ended = AtomicBool::new(false);
    let (figures, fetched) = thread::scope(|threads| {
        let fetching = threads.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                view(daemon.address, "/metrics")?;
                sleep(BETWEEN_SCRAPES);
            }
            Ok(())
        });
        let figures = round();
        ended.store(true, Ordering::Relaxed);
        (figures, fetching.join().unwrap_or(Ok(())))
    });
    fetched.and(figures)
}

/// Prints and writes it: `observed.json` and `observed.md`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn publish(observed: &Observed, below: &Path) -> io::Result<()> {
    let about = format!("{}, `make bench-observed`: {}", observed.day, observed.machine);
    let Some(first) = observed.ways.first() else { return Ok(()) };
    let row = |way: &Way| {
        // Round by round, since rounds that lie apart differ by more than ways do.
        let against = |figure: fn(&Figures) -> f64| {
            let pairs = way.rounds.iter().zip(&first.rounds);
            Spread::over(pairs.map(|(one, other)| ratio(figure(one), figure(other))))
        };
        vec![
            way.what.to_owned(),
            spread(Spread::of(&way.rounds, |figures| figures.per_second), 0),
            spread(against(|figures| figures.per_second), 2),
            spread(Spread::of(&way.rounds, |figures| figures.daemon_us), 0),
            spread(against(|figures| figures.daemon_us), 2),
        ]
    };
    let table = Table {
        title: format!(
            "Observed, in turns: 2 branches, {CONNECTIONS} connections, median (min–max) of {ROUNDS} rounds"
        ),
        head: vec!["", "tx/s", "of the first", "daemon µs/tx", "of the first"],
        rows: observed.ways.iter().map(row).collect(),
    };
    report::write(&about, &[table], "", observed, below, ("observed.json", "observed.md"))
}
