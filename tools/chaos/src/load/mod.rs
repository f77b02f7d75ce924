//! Initiators that go on beginning transactions until they are told to stop, and then until they
//! know the end of each.

mod deliveries;
mod initiator;
mod initiator_log;
mod order;
mod sender;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

pub(crate) use self::initiator::{Detours, Initiator};
pub(crate) use self::initiator_log::{End, InitiatorLog};
pub(crate) use self::order::{Endpoints, Shape};
pub(crate) use self::sender::{CONNECTIONS, Messages, Sender};
use crate::clock;
use crate::error::ChaosError;

/// How long a transaction may take. Nothing takes that long but what never ends.
const KNOWN_WITHIN: Duration = Duration::from_secs(45);

/// How transactions are begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// So many initiators, each beginning the next when it knows the end of the last.
    Closed { initiators: usize },
    /// So many a second, whatever becomes of them, but never more than this under way.
    Offered { per_second: u32, under_way: usize },
}

/// Makes the body of begin for a gid.
pub(crate) type Body = Box<dyn Fn(&str) -> String + Send + Sync>;

/// A running load.
pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What is done again and again.
enum Deed {
    /// A transaction is begun.
    Begin(Initiator, Body),
    /// A message is sent with a change of its sender's own.
    Send(Sender),
}

struct Shared {
    deed: Deed,
    /// What sets its gids apart from other runs'.
    prefix: String,
    next: AtomicU64,
    stop: AtomicBool,
    ledger: Mutex<Ledger>,
    /// Told whenever a transaction ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Ledger {
    under_way: BTreeMap<u64, Instant>,
    logs: Vec<InitiatorLog>,
    detours: Detours,
}

impl Load {
    /// Begins transactions.
    pub(crate) fn start(pace: Pace, initiator: Initiator, body: Body, prefix: &str) -> Self {
        Self::of(pace, Deed::Begin(initiator, body), prefix)
    }

    /// Sends messages.
    pub(crate) fn sending(pace: Pace, sender: Sender, prefix: &str) -> Self {
        Self::of(pace, Deed::Send(sender), prefix)
    }

    fn of(pace: Pace, deed: Deed, prefix: &str) -> Self {
        let shared = Arc::new(Shared {
            deed,
            prefix: prefix.to_owned(),
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            ledger: Mutex::default(),
            ended: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        match pace {
            Pace::Closed { initiators } => {
                for _ in 0..initiators {
                    let shared = Arc::clone(&shared);
                    tasks.spawn(async move {
                        while !shared.stop.load(Ordering::Relaxed) {
                            shared.one().await;
                        }
                    });
                }
            }
            Pace::Offered { per_second, under_way } => {
                tasks.spawn(offer(Arc::clone(&shared), per_second, under_way));
            }
        }
        Self { shared, tasks }
    }

    /// How many transactions have ended so far.
    pub(crate) fn ended(&self) -> usize {
        self.shared.ledger().logs.len()
    }

    /// Waits until so many have ended.
    pub(crate) async fn until_ended(&self, count: usize) -> Result<(), ChaosError> {
        self.until(&format!("{count} transactions ended"), |ledger| ledger.logs.len() >= count)
            .await
    }

    /// Waits until every transaction that was begun before this moment has ended. One that never
    /// does is found by the verdict.
    pub(crate) async fn until_known(&self, moment: Instant) {
        let known = |ledger: &Ledger| ledger.under_way.values().all(|begun| *begun >= moment);
        let known = self.until("the end of every transaction that the fault has met", known).await;
        if let Err(endless) = known {
            eprintln!("{endless}");
        }
    }

    async fn until(&self, what: &str, is: impl Fn(&Ledger) -> bool) -> Result<(), ChaosError> {
        let seen = async {
            loop {
                let ended = self.shared.ended.notified();
                if is(&self.shared.ledger()) {
                    return;
                }
                ended.await;
            }
        };
        let endless =
            || ChaosError::Endless { what: what.to_owned(), seconds: KNOWN_WITHIN.as_secs() };
        tokio::time::timeout(KNOWN_WITHIN, seen).await.map_err(|_| endless())
    }

    /// Begins nothing more, and waits for the end of what is under way. Those that have no end
    /// by then are in the ledger without one.
    pub(crate) async fn stop(mut self) -> (Vec<InitiatorLog>, Detours) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Who is cut off here has its story from `One::drop`.
        let _ = tokio::time::timeout(KNOWN_WITHIN, all).await;
        self.tasks.shutdown().await;
        let mut ledger = self.shared.ledger();
        (std::mem::take(&mut ledger.logs), ledger.detours)
    }
}

/// Begins so many a second.
async fn offer(shared: Arc<Shared>, per_second: u32, under_way: usize) {
    let places = Arc::new(Semaphore::new(under_way));
    let begun = clock::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut offered, mut transactions) = (0, JoinSet::new());
    while !shared.stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let due = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
            * u64::from(per_second)
            / 1_000_000;
        while offered < due {
            offered += 1;
            // Who finds no place is turned away, as at a counter.
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let shared = Arc::clone(&shared);
            transactions.spawn(async move {
                shared.one().await;
                drop(place);
            });
        }
        while transactions.try_join_next().is_some() {}
    }
    while transactions.join_next().await.is_some() {}
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A task that panicked has left the ledger as it was before or after its line.
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One transaction, from begin to end.
    async fn one(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let begun = clock::now();
        let gid = format!("{}-{number:08}", self.prefix);
        self.ledger().under_way.insert(number, begun);
        let mut one = One { shared: self, number, log: Some(InitiatorLog::new(gid, begun)) };
        if let Some(log) = &mut one.log {
            let detours = match &self.deed {
                Deed::Begin(initiator, body) => {
                    let body = body(&log.gid);
                    initiator.carry_through(number, log, &body).await
                }
                Deed::Send(sender) => sender.carry_through(number, log).await,
            };
            let mut ledger = self.ledger();
            ledger.detours.unanswered += detours.unanswered;
            ledger.detours.refused += detours.refused;
            ledger.detours.failed += detours.failed;
        }
    }
}

/// Puts a log into the ledger however it ends.
struct One<'a> {
    shared: &'a Shared,
    number: u64,
    log: Option<InitiatorLog>,
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        let mut ledger = self.shared.ledger();
        ledger.under_way.remove(&self.number);
        ledger.logs.extend(self.log.take());
        drop(ledger);
        self.shared.ended.notify_waiters();
    }
}
