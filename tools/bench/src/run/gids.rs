//! What whose gids transactions have costs: the coordinator's own, and the initiator's in order and in none, each in a
//! database of its own that grows.

use serde::Serialize;

use super::case::{CONNECTIONS, Case, USUAL};
use super::figures::{Figures, Spread, ratio};
use super::memory;
use super::testbed::{Testbed, Timing};
use crate::load::{Gids, Pace, Shape};
use crate::report::{Table, spread};
use crate::rig::{Daemon, Journal, RigError};

/// Each kind, and its name in tables. The first is what the others are compared with.
const KINDS: [(Gids, &str); 3] = [
    (Gids::Generated, "generated"),
    (Gids::Sequential, "the initiator's, in order"),
    (Gids::Random, "the initiator's, in none"),
];

/// Rounds of each kind with so many transactions finished, in turns.
#[derive(Debug, Serialize)]
pub(crate) struct AtSize {
    finished: u64,
    /// As [`KINDS`] are.
    kinds: Vec<Vec<Figures>>,
}

/// Measures it at each of these sizes, which grow.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn run(
    testbed: &mut Testbed,
    sizes: &[u64],
    rounds: usize,
    timing: Timing,
) -> Result<Vec<AtSize>, RigError> {
    let mut daemons: Vec<Filled> = Vec::with_capacity(KINDS.len());
    for (gids, name) in KINDS {
        let daemon = testbed.daemon(Journal::Sqlite, &[])?;
        let case = Case::new(name, CONNECTIONS, Shape { gids, ..USUAL });
        daemons.push(Filled { daemon, case, finished: 0 });
    }
    let mut at = Vec::with_capacity(sizes.len());
    for finished in sizes {
        for filled in &mut daemons {
            filled.up_to(*finished, testbed)?;
        }
        let mut kinds = vec![Vec::with_capacity(rounds); KINDS.len()];
        for round in 1..=rounds {
            for (filled, measured) in daemons.iter_mut().zip(&mut kinds) {
                let figures = testbed.round(&filled.daemon, &filled.case, Pace::Closed, timing)?;
                eprintln!(
                    "round {round}/{rounds}  {finished:>8} finished, gids {:<26} {:>7.0} tx/s",
                    filled.case.name, figures.per_second
                );
                filled.finished += figures.transactions;
                measured.push(figures);
            }
        }
        at.push(AtSize { finished: *finished, kinds });
    }
    Ok(at)
}

/// A daemon and what has finished in its database.
struct Filled {
    daemon: Daemon,
    case: Case,
    finished: u64,
}

impl Filled {
    fn up_to(&mut self, finished: u64, testbed: &mut Testbed) -> Result<(), RigError> {
        let missing = finished.saturating_sub(self.finished);
        if missing > 0 {
            memory::run(testbed, &self.daemon, "filling", self.case.shape, missing)?;
            self.finished = finished;
        }
        Ok(())
    }
}

/// A row for each kind at each size.
pub(crate) fn table(sizes: &[AtSize]) -> Table {
    let rounds = sizes.first().and_then(|at| at.kinds.first()).map_or(0, Vec::len);
    let rows = sizes.iter().flat_map(|at| {
        KINDS.iter().zip(&at.kinds).map(move |((_, name), figures)| row(at, name, figures))
    });
    Table {
        title: format!(
            "Whose gids (SQLite, 2 branches, {CONNECTIONS} connections), in turns, median (min–max) of {rounds} \
             rounds; *of generated*: of the same round"
        ),
        head: vec![
            "finished",
            "gids",
            "tx/s",
            "of generated",
            "p99 ms",
            "daemon µs/tx",
            "of generated",
            "KiB written/tx",
            "of generated",
        ],
        rows: rows.collect(),
    }
}

fn row(at: &AtSize, name: &str, figures: &[Figures]) -> Vec<String> {
    let of = |figure: fn(&Figures) -> f64| Spread::of(figures, figure);
    let against = |figure: fn(&Figures) -> f64| {
        let generated = at.kinds.first().map(Vec::as_slice).unwrap_or_default();
        let pairs = figures.iter().zip(generated);
        spread(Spread::over(pairs.map(|(these, those)| ratio(figure(these), figure(those)))), 2)
    };
    let rate: fn(&Figures) -> f64 = |figures| figures.per_second;
    let cpu: fn(&Figures) -> f64 = |figures| figures.daemon_us;
    let written: fn(&Figures) -> f64 = |figures| figures.bytes_per_transaction / 1024.0;
    vec![
        at.finished.to_string(),
        name.to_owned(),
        spread(of(rate), 0),
        against(rate),
        spread(of(|figures| figures.p99_ms), 1),
        spread(of(cpu), 0),
        against(cpu),
        spread(of(written), 1),
        against(written),
    ]
}
