//! Hands over what is committed, and follows it to its end.

use std::convert::Infallible;
use std::time::Duration;

use sea_orm::DbErr;
use tercet_wire::Backoff;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::counting;
use super::hand_over::pause_while_away;
use super::purge::OUTBOX_PURGE_AFTER;
use super::round::Round;
use super::state::OutboxState;
use super::store::Outbox;
use crate::client::Client;
use crate::clock;

/// How long claimed rows are a relay's own. One that dies leaves them to others after that.
const LEASE: Duration = Duration::from_secs(8);
/// Rows of a claim.
const BATCH: u16 = 100;
/// How long a relay sleeps that found nothing, at first and at most.
const IDLE: Duration = Duration::from_millis(10);
const IDLE_AT_MOST: Duration = Duration::from_millis(200);
/// How long a relay waits whose database fails.
const DATABASE_PAUSE: Backoff =
    Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(2) };
/// How often what is pending is counted, and what has ended looked through.
const COUNT_EVERY: Duration = Duration::from_secs(5);
const PURGE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Hands messages of an [`Outbox`] over to a coordinator. Any number of relays may work on one table, in one process or
/// in many: each message is one relay's for as long as its lease lasts, by the database's clock.
///
/// A coordinator that is away only delays: messages stay pending, and a relay asks with one of them at a time, after 5 s
/// at the longest, until it is back. A message that the coordinator refuses for good is dead, with the reason, and keeps
/// nobody up.
#[derive(Debug, Clone)]
pub struct Relay {
    pub(super) outbox: Outbox,
    pub(super) client: Client,
    pub(super) lease: Duration,
    batch: u16,
    idle_at_most: Duration,
    purge_after: Option<Duration>,
}

/// A relay at work in a task of its own. It goes on when this is dropped.
#[derive(Debug)]
pub struct RelayTask {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay between this outbox and this coordinator.
    #[must_use]
    pub fn new(outbox: Outbox, client: Client) -> Self {
        Self {
            outbox,
            client,
            lease: LEASE,
            batch: BATCH,
            idle_at_most: IDLE_AT_MOST,
            purge_after: Some(OUTBOX_PURGE_AFTER),
        }
    }

    /// How long claimed messages are this relay's own, by default 8 s and at least one: so long the messages wait that a
    /// relay held when it died. A request to the coordinator may take three eighths of it.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease: lease.max(Duration::from_secs(1)), ..self }
    }

    /// How many messages it takes at once, 1 to 500, by default 100. It holds them in memory.
    #[must_use]
    pub fn batch(self, messages: u16) -> Self {
        Self { batch: messages.clamp(1, 500), ..self }
    }

    /// How long it sleeps at most where nothing is to be done, by default 200 ms: so long a message may wait.
    #[must_use]
    pub fn looking_every(self, pause: Duration) -> Self {
        Self { idle_at_most: pause.max(IDLE), ..self }
    }

    /// How long messages are kept after their end, by default a week; `None` leaves it to somebody else.
    #[must_use]
    pub fn purging_after(self, after: Option<Duration>) -> Self {
        Self { purge_after: after, ..self }
    }

    /// Sets it to work in a task of its own.
    pub fn spawn(self) -> RelayTask {
        let (stop, stopped) = watch::channel(false);
        // One end stays with the task: that the other one is dropped stops nothing.
        let task = tokio::spawn({
            let kept = stop.clone();
            async move {
                self.run_until(stopped).await;
                drop(kept);
            }
        });
        RelayTask { stop, task }
    }

    /// Works for ever, in this task.
    pub async fn run(self) -> Infallible {
        let (_stop, stopped) = watch::channel(false);
        self.run_until(stopped).await;
        std::future::pending().await
    }

    /// Hands over and follows what is due now, a batch of each; whether anything was. For those who would rather
    /// decide themselves when it is done: tests, programs that run now and then.
    ///
    /// # Errors
    /// The database's. Nothing is lost: what was claimed is due again when its lease has run out.
    pub async fn once(&self) -> Result<bool, DbErr> {
        let handed_over = self.round(OutboxState::Pending, self.batch).await?;
        let followed = self.round(OutboxState::Sent, self.batch).await?;
        Ok(handed_over != Round::Idle || followed != Round::Idle)
    }

    async fn run_until(self, stopped: watch::Receiver<bool>) {
        counting::describe();
        let upkeep = async {
            let mut stop = stopped.clone();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                never = self.keep_up() => match never {},
            }
        };
        tokio::join!(
            self.work_on(OutboxState::Pending, stopped.clone()),
            self.work_on(OutboxState::Sent, stopped.clone()),
            upkeep,
        );
    }

    /// Sees to the rows of one state, round after round.
    async fn work_on(&self, state: OutboxState, mut stopped: watch::Receiver<bool>) {
        let (mut idle, mut away, mut failed) = (IDLE, 0_u32, 0_u32);
        while !*stopped.borrow() {
            // While the coordinator is away one message asks for all.
            let limit = if away == 0 { self.batch } else { 1 };
            let round = self.round(state, limit).await;
            failed = if round.is_err() { failed.saturating_add(1) } else { 0 };
            let pause = match round {
                Ok(Round::Busy) => {
                    if away > 0 {
                        tracing::info!(rounds = away, "the coordinator is back");
                    }
                    (idle, away) = (IDLE, 0);
                    continue;
                }
                Ok(Round::Idle) => {
                    let pause = idle;
                    idle = (idle * 2).min(self.idle_at_most);
                    pause
                }
                Ok(Round::Away { asked }) => {
                    away = away.saturating_add(1);
                    pause_while_away(away, asked, clock::entropy())
                }
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read or written");
                    DATABASE_PAUSE.pause(failed, clock::entropy(), None) + IDLE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Counts and tidies.
    async fn keep_up(&self) -> Infallible {
        let mut counting = tokio::time::interval(COUNT_EVERY);
        let mut purging = tokio::time::interval(PURGE_EVERY);
        loop {
            let done = tokio::select! {
                _ = counting.tick() => self.outbox.count_pending().await,
                _ = purging.tick() => match self.purge_after {
                    Some(after) => self.outbox.purge(after).await.map(drop),
                    None => Ok(()),
                },
            };
            if let Err(error) = done {
                tracing::warn!(%error, "the outbox cannot be counted or tidied");
            }
        }
    }
}

impl RelayTask {
    /// Ends what is under way, and then the relay.
    pub async fn stop(self) {
        // If nobody hears it, it has ended.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the relay broke off");
        }
    }
}
