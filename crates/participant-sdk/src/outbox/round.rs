//! One round of a relay: a claim, what the coordinator says of each row, and the marks.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use tokio::task::{JoinError, JoinSet};

use super::claims::{Claimed, Outcomes};
use super::counting;
use super::hand_over::{Next, Told, given_back, next};
use super::relay::Relay;
use super::state::OutboxState;
use crate::clock;

/// Requests of a relay under way at once.
const AT_ONCE: usize = 32;

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Round {
    /// Nothing was due.
    Idle,
    /// Something was, and was seen to.
    Busy,
    /// The coordinator could not be asked.
    Away { asked: Option<Duration> },
}

impl Relay {
    /// One claim, from taking it to writing down what became of it.
    pub(super) async fn round(&self, state: OutboxState, limit: u16) -> Result<Round, DbErr> {
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
        let outcomes = Arc::new(std::mem::take(&mut ended.outcomes));
        self.outbox.settle(&claim, state, &outcomes).await?;
        ended.tell(&outcomes, clock::mono().since(began));
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

    fn note(&mut self, called: Result<(Claimed, Told), JoinError>) {
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
    fn tell(&self, outcomes: &Outcomes, took: Duration) {
        self.waits.iter().for_each(|waited| counting::handed_over(*waited + took));
        let moved = outcomes.iter().filter(|(next, _)| next.state != self.from);
        for (next, gids) in moved {
            gids.iter().for_each(|_| counting::came_into(next.state));
        }
    }
}
