//! Messages that are written with an initiator's work, as the SDK's outbox keeps them. What its
//! statements do to a row is written out here; its time is the database's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use tercet_participant::OutboxState;
use tercet_participant::relay_rules::{Attempts, Next};
use tercet_wire::Gid;

use crate::content::{Content, is_message};

/// One message.
#[derive(Debug)]
pub(crate) struct Row {
    content: Arc<Content>,
    pub(crate) state: OutboxState,
    /// The claim that holds it, until its lease runs out.
    owner: u64,
    due_at: u64,
    attempts: u32,
}

/// A row that is a relay's own until its lease runs out.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) content: Arc<Content>,
    pub(crate) attempts: u32,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    rows: BTreeMap<Gid, Row>,
    /// Work that has yet to end.
    pub(super) to_come: usize,
    claims: u64,
}

impl Outbox {
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Gid, &Row)> {
        self.rows.iter()
    }

    /// Whether a gid is that of a message that is not committed.
    pub(super) fn is_unsent(&self, gid: &Gid) -> bool {
        is_message(gid) && !self.rows.contains_key(gid)
    }

    /// Work commits, and its message with it. Whether that was written: of a deed that is repeated it
    /// is not.
    pub(super) fn written(&mut self, content: Arc<Content>, now: u64) -> bool {
        let gid = content.gid.clone();
        if self.rows.contains_key(&gid) {
            return false;
        }
        let row = Row { content, state: OutboxState::Pending, owner: 0, due_at: now, attempts: 0 };
        self.rows.insert(gid, row);
        true
    }

    /// Whether everything that was sent has ended, and nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        let is_open = |row: &Row| matches!(row.state, OutboxState::Pending | OutboxState::Sent);
        self.to_come == 0 && !self.rows.values().any(is_open)
    }

    /// When the first of this state is due.
    pub(super) fn next_due(&self, state: OutboxState) -> Option<u64> {
        self.rows.values().filter(|row| row.state == state).map(|row| row.due_at).min()
    }

    /// Takes a few rows that are due, the longest waiting first, for the time of a lease.
    pub(super) fn claim(
        &mut self,
        state: OutboxState,
        limit: usize,
        lease: u64,
        now: u64,
    ) -> (u64, Vec<Claimed>) {
        let mut due: Vec<&mut Row> =
            self.rows.values_mut().filter(|it| it.state == state && it.due_at <= now).collect();
        due.sort_by_key(|row| row.due_at);
        self.claims += 1;
        let owner = self.claims;
        let claimed = due.into_iter().take(limit).map(|row| {
            (row.owner, row.due_at) = (owner, now + lease);
            row.attempts += 1;
            Claimed { content: Arc::clone(&row.content), attempts: row.attempts }
        });
        (owner, claimed.collect())
    }

    /// Writes what became of a row, if it is still this claim's; whether it is.
    pub(super) fn settle(
        &mut self,
        owner: u64,
        (from, gid): (OutboxState, &Gid),
        next: &Next,
        now: u64,
    ) -> bool {
        let row = self.rows.get_mut(gid);
        let Some(row) = row.filter(|row| row.owner == owner && row.state == from) else {
            return false;
        };
        row.state = next.state;
        row.owner = 0;
        row.due_at = now + u64::try_from(next.due_in_ms).unwrap_or_default();
        row.attempts = match next.attempts {
            Attempts::Anew => 0,
            Attempts::Counted => row.attempts,
            Attempts::NotThisOne => row.attempts.saturating_sub(1),
        };
        true
    }
}
