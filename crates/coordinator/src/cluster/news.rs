//! What people are told of the nodes: log lines, metrics and alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_clock::Stopwatch;
use tercet_engine::{LifeRow, LifeState, Suspect, SuspectedFor};
use tercet_journal::JournalError;
use tercet_wire::{Incarnation, Now};

use super::orphans::Found;
use super::own_lease::OwnLease;
use super::sightings::{Changes, Sightings};
use super::taking_over::{Ending, TakenOver};
use super::watching::why;
use crate::alerts::Alerts;
use crate::metrics::ClusterMetrics;

/// Tells it, once where once is enough.
#[derive(Debug)]
pub struct News {
    alerts: Alerts,
    metrics: ClusterMetrics,
    /// Whose take-over was told to have begun, and since when it takes.
    told: BTreeMap<Incarnation, Stopwatch>,
    /// The rows cannot be read; told already.
    blind: bool,
    /// This life's own batches do not get through; told already.
    lapsed: bool,
}

impl News {
    /// Tells it there.
    #[must_use]
    pub fn new(alerts: Alerts, metrics: ClusterMetrics) -> Self {
        Self { alerts, metrics, told: BTreeMap::new(), blind: false, lapsed: false }
    }

    pub(super) fn look_failed(&mut self, error: &JournalError) {
        let error: &(dyn std::error::Error + 'static) = error;
        if !std::mem::replace(&mut self.blind, true) {
            tracing::warn!(
                event = "look_failed",
                error,
                "cannot see the other nodes: nobody is suspected meanwhile, and nothing taken over"
            );
        }
    }

    /// All rows were read.
    pub(super) fn looked(
        &mut self,
        sightings: &Sightings,
        rows: &[LifeRow],
        under_way: &BTreeSet<Incarnation>,
    ) {
        if std::mem::take(&mut self.blind) {
            tracing::info!(event = "look_succeeded", "the other nodes are seen again");
        }
        for state in LifeState::ALL {
            self.metrics.nodes(state, sightings.count(state));
        }
        // One that fails, or whose row stays, begins anew with each look, and is told once.
        let is_there = |life| rows.iter().any(|row| row.incarnation == life);
        self.told.retain(|life, _| is_there(*life) || under_way.contains(life));
    }

    /// A search has found what no live node drives; of the owners without a row so many were
    /// found by the search before, too.
    pub(super) fn orphans(&self, found: &Found, remain: usize, now: Now) {
        let Found { owners, transactions } = found;
        self.metrics.orphaned(*transactions);
        if !owners.is_empty() {
            tracing::warn!(
                event = "orphans_found",
                owners = owners.len(),
                transactions,
                "transactions are driven by nobody, and the rows of their owners are gone: they are \
                 taken over. Has somebody changed rows by hand?"
            );
        }
        if remain > 0 {
            tracing::error!(
                event = "orphans_remain",
                owners = remain,
                transactions,
                "ALARM: transactions that nobody drives cannot be taken over, for a minute and more"
            );
            self.alerts.orphaned(*transactions, now);
        }
    }

    /// What a look has shown that the one before had not.
    pub(super) fn of_changes(&self, changes: &Changes, own: Incarnation, now: Now) {
        for LifeRow { node_id, incarnation, .. } in &changes.joined {
            if *incarnation != own {
                tracing::info!(
                    event = "node_joined",
                    node_id,
                    incarnation = incarnation.0,
                    "a node has joined"
                );
            }
        }
        for LifeRow { node_id, incarnation, state, .. } in &changes.over {
            let state = state.as_str();
            tracing::info!(
                event = "node_over",
                node_id,
                incarnation = incarnation.0,
                state,
                "this life of a node writes no more: it has left, or was fenced"
            );
        }
        for (row, was) in &changes.went_back {
            let LifeRow { node_id, incarnation, batch_no, .. } = row;
            tracing::error!(
                event = "database_went_back",
                node_id,
                incarnation = incarnation.0,
                batch_no,
                was,
                "ALARM: the database has lost writes that it had acknowledged; a replica that was \
                 behind, or a backup, has taken its place. Decisions that were told may be lost: \
                 compare the participants' books"
            );
            self.alerts.database_went_back(node_id, *was, *batch_no, now);
        }
    }

    /// Whether this life's own batches get through.
    pub(super) fn of_own_lease(&mut self, lease: &OwnLease) {
        let holds = lease.holds();
        self.metrics.lease_age(lease.age().unwrap_or_default());
        let lapsed = std::mem::replace(&mut self.lapsed, !holds);
        if !holds && !lapsed {
            tracing::warn!(
                event = "lease_lapsed",
                "nothing of this node's was written for a lease, so that the others may have taken \
                 over: no Try is sent until something is"
            );
        } else if holds && lapsed {
            tracing::info!(event = "lease_renewed", "what this node writes gets through again");
        }
    }

    pub(super) fn take_over_begins(&mut self, suspect: &Suspect, survivors: usize) {
        let Suspect { incarnation, node_id, .. } = suspect;
        if self.told.contains_key(incarnation) {
            return;
        }
        self.told.insert(*incarnation, Stopwatch::start());
        match suspect.why {
            SuspectedFor::Silence { batch_no } => tracing::warn!(
                event = "node_suspected",
                node_id,
                incarnation = incarnation.0,
                batch_no,
                survivors,
                "this node has given no sign of life for a lease: it is fenced and what it drove taken \
                 over, for which nothing needs to be done. Look after that node"
            ),
            SuspectedFor::Fenced | SuspectedFor::Left => tracing::info!(
                event = "take_over_begun",
                node_id,
                incarnation = incarnation.0,
                why = why(suspect),
                survivors,
                "taking over what this life of a node drove"
            ),
        }
    }

    pub(super) fn take_over_ended(&mut self, came: &TakenOver, now: Now) {
        let Suspect { incarnation, node_id, .. } = &came.suspect;
        let why = why(&came.suspect);
        if came.marked {
            tracing::warn!(
                event = "node_marked",
                node_id,
                incarnation = incarnation.0,
                "this node gave no sign of life for a lease and was fenced: what it still writes is \
                 refused. If it only was slow it joins again by itself"
            );
            self.alerts.node_fenced(node_id, "it gave no sign of life for cluster.lease_ms", now);
        }
        let took = self.told.get(incarnation).map_or(Duration::ZERO, Stopwatch::elapsed);
        match came.ending {
            Ending::Done => {
                self.metrics.taken_over(why, took);
                tracing::info!(
                    event = "take_over_ended",
                    node_id,
                    incarnation = incarnation.0,
                    why,
                    transactions = came.transactions,
                    ms = took.as_millis(),
                    "what this life of a node drove is driven on: by this node, as far as counted here"
                );
            }
            Ending::MarkedNothing => {
                self.told.remove(incarnation);
                tracing::info!(
                    event = "suspect_lives",
                    node_id,
                    incarnation = incarnation.0,
                    "this node has written again, or another has fenced it: nothing was taken over"
                );
            }
            // It has been told of, and begins anew.
            Ending::Failed => {}
        }
    }
}
