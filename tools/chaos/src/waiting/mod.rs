//! Very many transactions that wait for a dead participant: what they cost, whether a healthy
//! participant's transactions feel them, and what the dead one meets when it comes back.

mod figures;
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tercet_testing::Port;
use tokio::task::JoinSet;

pub(crate) use self::figures::Figures;
use self::figures::Window;
use self::sink::Sink;
use crate::clock;
use crate::error::ChaosError;
use crate::load::{Initiator, InitiatorLog, Load, Pace};
use crate::process::Process;
use crate::spread::Spread;
use crate::stage::{Programs, coordinator};

/// How long the participant that came back takes over a call, so that calls at once can be seen.
const TAKES: Duration = Duration::from_millis(5);

/// Who hands over the waiting transactions.
const HANDS: usize = 32;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// All must be finished by then.
const FINISHED_WITHIN: Duration = Duration::from_secs(600);

/// What is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Waiting {
    /// Transactions that wait.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    transactions: usize,
    /// Milliseconds of each window in which the healthy participant's transactions are measured.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    window_ms: u64,
    /// Initiators of the healthy participant's transactions.
    #[arg(long, value_name = "N", default_value_t = 8)]
    initiators: usize,
    /// Settings of the coordinator, such as LIMITS__LIVE_TRANSACTIONS=200000; may be given again.
    #[arg(long = "set", value_name = "SECTION__KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Writes the figures into this file, between its two marks.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<std::path::PathBuf>,
}

fn setting(given: &str) -> Result<(String, String), String> {
    let (key, value) = given.split_once('=').ok_or("it has no =")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs it.
pub(crate) async fn run(asked: &Waiting, programs: &Programs) -> Result<Figures, ChaosError> {
    let directory = TempDir::new().map_err(ChaosError::io("make a directory"))?;
    let port = Port::free();
    let at = directory.path();
    let coordinator = coordinator::start(programs, &port, at, at, &asked.settings, false).await?;
    let (mut healthy, mut dead) = (Sink::dead(Duration::ZERO), Sink::dead(TAKES));
    healthy.live();
    let initiator = Initiator::new(&format!("http://{}", port.address()))?;
    let window = Duration::from_millis(asked.window_ms);

    let load = healthy_load(asked, &initiator, &healthy);
    tokio::time::sleep(window / 4).await;
    let watch = Watch { coordinator: &coordinator, peak: AtomicU64::new(0) };
    let before = watch.until(tokio::time::sleep(window)).await;
    let memory_before = coordinator.resident_bytes();
    let filling = watch.until(fill(asked.transactions, &initiator, &dead, &healthy)).await;
    filling.result?;
    let waiting = watch.until(tokio::time::sleep(window)).await;
    let memory_waiting = coordinator.resident_bytes();
    dead.live();
    let back = watch.until(finished(asked.transactions, &initiator, &dead)).await;
    back.result?;
    let after = watch.until(tokio::time::sleep(window)).await;
    let (logs, _) = load.stop().await;
    let measured = [
        ("before", before.time),
        ("while they are handed over", filling.time),
        ("while they wait", waiting.time),
        ("from the return until all are finished", back.time),
        ("after", after.time),
    ];
    Ok(Figures {
        transactions: asked.transactions,
        settings: asked.settings.clone(),
        windows: measured.map(|(name, time)| window_of(name, time, &logs)).to_vec(),
        memory: [
            ("before", memory_before),
            ("while they wait", memory_waiting),
            ("after", coordinator.resident_bytes()),
            ("at the most", watch.peak.load(Ordering::Relaxed)),
        ],
        finished_after: back.time.until - back.time.from,
        calls: dead.calls(),
        most_at_once: dead.most_at_once(),
    })
}

/// Transactions of two branches, both at the healthy participant.
fn healthy_load(asked: &Waiting, initiator: &Initiator, healthy: &Sink) -> Load {
    let url = healthy.url();
    let body = move |gid: &str| {
        format!(
            r#"{{"gid":"{gid}","branches":[{{"id":"a","endpoint":"{url}/a"}},{{"id":"b","endpoint":"{url}/b"}}]}}"#
        )
    };
    let pace = Pace::Closed { initiators: asked.initiators };
    Load::start(pace, initiator.clone(), Box::new(body), "healthy")
}

/// Hands over the transactions that will wait: one branch at the healthy participant, and one,
/// with nothing to reserve, at the dead one. So they are decided at once.
async fn fill(
    transactions: usize,
    initiator: &Initiator,
    dead: &Sink,
    healthy: &Sink,
) -> Result<(), ChaosError> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut hands = JoinSet::new();
    for _ in 0..HANDS {
        let (initiator, next) = (initiator.clone(), Arc::clone(&next));
        let (dead, healthy) = (dead.url(), healthy.url());
        hands.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= transactions {
                    return Ok(());
                }
                let body = format!(
                    r#"{{"gid":"waiting-{number:08}","branches":[{{"id":"well","endpoint":"{healthy}/c"}},{{"id":"dead","confirm":"{dead}/confirm"}}]}}"#
                );
                initiator.hand_over(&body).await?;
            }
        });
    }
    hands.join_all().await.into_iter().collect()
}

/// Waits until the participant that came back has been told of every transaction, and the
/// coordinator says that none is left.
async fn finished(
    transactions: usize,
    initiator: &Initiator,
    dead: &Sink,
) -> Result<(), ChaosError> {
    let begun = clock::now();
    loop {
        if dead.transactions() >= transactions && initiator.all_finished(Some(&dead.name())).await?
        {
            return Ok(());
        }
        if begun.elapsed() > FINISHED_WITHIN {
            let what = format!("{} of {transactions} transactions told", dead.transactions());
            return Err(ChaosError::Endless { what, seconds: FINISHED_WITHIN.as_secs() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// From when until when, and the processor time the coordinator used meanwhile.
#[derive(Debug, Clone, Copy)]
struct Time {
    from: Instant,
    until: Instant,
    processor: Duration,
}

struct Watched<T> {
    result: T,
    time: Time,
}

/// Looks at the coordinator's memory while something else happens.
struct Watch<'a> {
    coordinator: &'a Process,
    peak: AtomicU64,
}

impl Watch<'_> {
    async fn until<F: Future>(&self, event: F) -> Watched<F::Output> {
        let (from, used) = (clock::now(), self.coordinator.processor_time());
        let looking = async {
            loop {
                self.peak.fetch_max(self.coordinator.resident_bytes(), Ordering::Relaxed);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let result = tokio::select! {
            result = event => result,
            () = looking => unreachable!("it looks for ever"),
        };
        let processor = self.coordinator.processor_time().saturating_sub(used);
        Watched { result, time: Time { from, until: clock::now(), processor } }
    }
}

/// How long the healthy participant's transactions took that were begun in this time.
fn window_of(name: &'static str, time: Time, logs: &[InitiatorLog]) -> Window {
    let begun = logs.iter().filter(|ledger| time.from <= ledger.begun && ledger.begun < time.until);
    let took = begun.filter_map(|ledger| Some(ledger.finished?.duration_since(ledger.begun)));
    Window {
        name,
        lasted: time.until - time.from,
        took: Spread::of(took),
        processor: time.processor,
    }
}
