//! Hands over what is committed, and follows it to its end.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use sea_orm::DbErr;
use tercet_wire::Backoff;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::claims::{Claimed, Next, Outcomes};
use super::counting;
use super::hand_over::{given_back, next, pause_while_away};
use super::purge::OUTBOX_PURGE_AFTER;
use super::row::OutboxState;
use super::store::Outbox;
use crate::client::{Client, Told};
use crate::clock;

/// How long claimed rows are a relay's own. One that dies leaves them to others after that.
const LEASE: Duration = Duration::from_secs(8);
/// Rows of a claim.
const BATCH: u16 = 100;
/// Requests of a relay under way at once.
const AT_ONCE: usize = 32;
/// How long a relay sleeps that found nothing, at first and at most.
const IDLE: Duration = Duration::from_millis(10);
const IDLE_AT_MOST: Duration = Duration::from_millis(200);
/// How long a relay waits whose database fails.
const DATABASE_PAUSE: Backoff =
    Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };
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
    outbox: Outbox,
    client: Client,
    lease: Duration,
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

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Round {
    /// Nothing was due.
    Idle,
    /// Something was, and was seen to.
    Busy,
    /// The coordinator could not be asked.
    Away { asked: Option<Duration> },
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

    /// One claim, from taking it to writing down what became of it.
    async fn round(&self, state: OutboxState, limit: u16) -> Result<Round, DbErr> {
        // Before the claim, so that the lease ends later than is reckoned here.
        let began = clock::mono();
        let mut claim = self.outbox.claim(state, limit, self.lease).await?;
        if claim.rows.is_empty() {
            return Ok(Round::Idle);
        }
        let rows = std::mem::take(&mut claim.rows);
        let mut ended = Ended::of(state);
        let mut calls: JoinSet<(Claimed, Told)> = JoinSet::new();
        for row in rows {
            while calls.len() >= AT_ONCE
                && let Some(called) = calls.join_next().await
            {
                ended.note(called);
            }
            // What is begun now is answered before the lease ends. The rest goes back to whoever comes.
            let in_time = clock::mono().since(began) < self.lease / 2;
            if ended.away.is_some() || !in_time {
                ended.give_back(row);
                continue;
            }
            calls.spawn(self.call(state, row));
        }
        while let Some(called) = calls.join_next().await {
            ended.note(called);
        }
        self.outbox.settle(&claim, state, &ended.outcomes).await?;
        ended.tell(clock::mono().since(began));
        Ok(match ended.away {
            Some(asked) => Round::Away { asked },
            None => Round::Busy,
        })
    }

    /// Says what the coordinator says of a row.
    fn call(
        &self,
        state: OutboxState,
        row: Claimed,
    ) -> impl Future<Output = (Claimed, Told)> + Send + use<> {
        let client = self.client.clone();
        let patience = self.lease * 3 / 8;
        async move {
            let told = match state {
                OutboxState::Sent => client.standing(&row.gid, patience).await,
                _ => client.hand_over(&row.request, row.traceparent.as_deref(), patience).await,
            };
            (row, told)
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

/// What became of the rows of a claim so far.
struct Ended {
    from: OutboxState,
    outcomes: Outcomes,
    /// How long those had waited that the coordinator has now.
    waits: Vec<Duration>,
    /// That the coordinator was away, and the least pause that it asked for.
    away: Option<Option<Duration>>,
}

impl Ended {
    fn of(from: OutboxState) -> Self {
        Self { from, outcomes: Outcomes::new(), waits: Vec::new(), away: None }
    }

    fn note(&mut self, called: Result<(Claimed, Told), tokio::task::JoinError>) {
        // One that broke off is left to its lease: nobody knows what it has done.
        let Ok((row, told)) = called else { return };
        if let Told::Away { why, asked } = &told {
            if self.away.is_none() {
                tracing::warn!(gid = row.gid, why, "the coordinator is away");
            }
            self.away = Some(self.away.flatten().max(*asked));
        }
        if let (OutboxState::Pending, Told::Has(_)) = (self.from, &told) {
            self.waits.push(row.waited);
        }
        let next = next(self.from, row.attempts, told, clock::entropy());
        if next.state == OutboxState::Dead {
            let why = next.reason.as_deref().unwrap_or_default();
            tracing::error!(gid = row.gid, why, "a message is dead: it will not be handed over");
        }
        self.outcome(next, row.gid);
    }

    fn give_back(&mut self, row: Claimed) {
        self.outcome(given_back(self.from), row.gid);
    }

    fn outcome(&mut self, next: Next, gid: String) {
        self.outcomes.entry(next).or_default().push(gid);
    }

    /// Told once it is written down, and once for each.
    fn tell(&self, took: Duration) {
        self.waits.iter().for_each(|waited| counting::handed_over(*waited + took));
        let moved = self.outcomes.iter().filter(|(next, _)| next.state != self.from);
        for (next, gids) in moved {
            gids.iter().for_each(|_| counting::came_into(next.state));
        }
    }
}
