//! How lists and the console's pages fare with much in the database: how long each takes, and whether
//! the hot path feels somebody who looks at them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use serde::Serialize;

use super::case::{CONNECTIONS, Case, USUAL};
use super::figures::{Figures, Spread, ratio};
use super::memory::{self, HELD};
use super::plan::seconds;
use super::testbed::Testbed;
use crate::load::Pace;
use crate::report::{Table, spread, whole};
use crate::rig::{Daemon, RigError, some_gid, view};

/// Times that each view is fetched. The first of a page comes from the disk's cache at best.
const FETCHES: usize = 15;

/// Rounds of the hot path with and without somebody who looks, in turns.
const ROUNDS: usize = 7;

/// Between two pages of somebody who looks: a person who clicks about once a second, and whose page
/// fetches itself anew.
const BETWEEN_PAGES: Duration = Duration::from_millis(500);

/// What is looked at: lists by each filter and order, counts, and the console's five screens. `GID` is
/// that of some transaction.
const VIEWS: [&str; 23] = [
    "/v1/transactions",
    "/v1/transactions?order=oldest",
    "/v1/transactions?status=trying&order=oldest",
    "/v1/transactions?status=confirmed&order=oldest",
    "/v1/transactions?status=cancelled",
    "/v1/transactions?parked=true",
    "/v1/transactions?open=true&order=oldest",
    "/v1/transactions?pattern=saga",
    "/v1/transactions?reason=deadline",
    "/v1/transactions?gid_prefix=0",
    "/v1/transactions?status=trying&metadata.shop=north",
    "/v1/transactions?status=confirmed&metadata.shop=nowhere",
    "/v1/transactions/GID?include=payload",
    "/v1/transactions/GID/events",
    "/v1/stats",
    "/v1/participants",
    "/console",
    "/console/transactions",
    "/console/transactions?status=trying&order=oldest",
    "/console/transactions?gid_prefix=0",
    "/console/transactions/GID",
    "/console/participants",
    "/console/operations",
];

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Screens {
    finished: u64,
    unfinished: u64,
    views: Vec<Viewed>,
    alone: Vec<Figures>,
    looked_at: Vec<Figures>,
}

/// One view, fetched some times on a daemon that does nothing else.
#[derive(Debug, Serialize)]
struct Viewed {
    path: String,
    median_ms: f64,
    most_ms: f64,
    bytes: usize,
}

/// Fills a daemon with `finished` transactions and `unfinished` ones, and looks.
///
/// # Errors
/// As of a round, and where a view is not answered with 200.
pub(crate) fn run(
    testbed: &mut Testbed,
    daemon: &Daemon,
    finished: u64,
    unfinished: u64,
) -> Result<Screens, RigError> {
    memory::run(testbed, daemon, "filling", USUAL, finished)?;
    memory::run(testbed, daemon, "those that wait", HELD, unfinished)?;
    let gid = some_gid(daemon.address)?;
    let paths: Vec<String> = VIEWS.iter().map(|path| path.replace("GID", &gid)).collect();
    let mut views = Vec::with_capacity(paths.len());
    for (path, shown) in paths.iter().zip(VIEWS) {
        views.push(fetched(daemon.address, path, shown)?);
    }
    let (mut alone, mut looked_at) = (Vec::new(), Vec::new());
    let case = Case::new("beside who looks", CONNECTIONS, USUAL);
    for _ in 0..ROUNDS {
        let timing = seconds(1.0, 4.0);
        alone.push(testbed.round(daemon, &case, Pace::Closed, timing)?);
        let ended = AtomicBool::new(false);
        let (round, looked) = thread::scope(|threads| {
            let looking = threads.spawn(|| look(daemon.address, &paths, &ended));
            let round = testbed.round(daemon, &case, Pace::Closed, timing);
            ended.store(true, Ordering::Relaxed);
            (round, looking.join().unwrap_or(Ok(())))
        });
        looked?;
        looked_at.push(round?);
    }
    Ok(Screens { finished, unfinished, views, alone, looked_at })
}

fn fetched(address: SocketAddr, path: &str, shown: &str) -> Result<Viewed, RigError> {
    let mut bytes = 0;
    let mut took = Vec::with_capacity(FETCHES);
    for _ in 0..FETCHES {
        let view = view(address, path)?;
        bytes = view.bytes;
        took.push(view.took.as_secs_f64() * 1_000.0);
    }
    let Spread { median, max, .. } = Spread::over(took.into_iter());
    eprintln!("{shown:<60} {median:>7.1} ms, at most {max:.1}");
    Ok(Viewed { path: shown.to_owned(), median_ms: median, most_ms: max, bytes })
}

/// Looks at one page after the other until it is over.
fn look(address: SocketAddr, paths: &[String], ended: &AtomicBool) -> Result<(), RigError> {
    for path in paths.iter().cycle() {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        view(address, path)?;
        sleep(BETWEEN_PAGES);
    }
    Ok(())
}

/// As tables.
pub(crate) fn tables(screens: &Screens) -> [Table; 2] {
    let Screens { finished, unfinished, views, alone, looked_at } = screens;
    let views = views.iter().map(|view| {
        vec![
            format!("`{}`", view.path),
            format!("{:.1}", view.median_ms),
            format!("{:.1}", view.most_ms),
            format!("{:.1}", kib(view.bytes)),
        ]
    });
    let rounds = |what: &str, rounds: &[Figures]| {
        vec![
            what.to_owned(),
            spread(Spread::of(rounds, |figures| figures.per_second), 0),
            spread(Spread::of(rounds, |figures| figures.p99_ms), 1),
            whole(Spread::of(rounds, |figures| figures.daemon_us).median),
        ]
    };
    let median = |rounds| Spread::of(rounds, |figures: &Figures| figures.per_second).median;
    let kept = ratio(median(looked_at), median(alone));
    [
        Table {
            title: format!("Lists and screens, {finished} finished and {unfinished} unfinished"),
            head: vec!["", "median ms", "most ms", "KiB"],
            rows: views.collect(),
        },
        Table {
            title: format!("Beside somebody who looks ({kept:.2} of the transactions)"),
            head: vec!["", "tx/s", "p99 ms", "daemon µs/tx"],
            rows: vec![rounds("nobody looks", alone), rounds("a page every 0.5 s", looked_at)],
        },
    ]
}

#[expect(clippy::cast_precision_loss, reason = "pages are far below 2^53 bytes")]
fn kib(bytes: usize) -> f64 {
    bytes as f64 / 1_024.0
}
