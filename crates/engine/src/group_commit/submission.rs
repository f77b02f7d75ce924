//! A batch on its way into the database: submitted, or waiting to be submitted again.

use tercet_wire::{Gid, Incarnation, Mono, Now, Seq};

use super::TransactionKey;
use super::batch::{Batch, Chunk, Leave, Submitted};
use crate::record::Record;
use crate::saga_revision::ActAlone;

/// Consecutive records on their way into the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) records: Vec<Record>,
    /// Once they are durable or left out, everything up to here is.
    pub(super) covers: Seq,
}

/// A batch until it is known to have happened, or never to. It keeps its number and its content
/// however often it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Submission {
    submitted: Submitted,
    /// None for what has no records, which covers nothing.
    covers: Option<Seq>,
    /// When it is to be submitted, the first time or again; none while the store has it.
    due: Option<Mono>,
}

impl Submission {
    pub(super) fn of(Part { records, covers }: Part, number: i64, now: Now) -> Self {
        let batch = Batch { number, written_at: now.wall, records, acts: Vec::new() };
        Self { submitted: Submitted::Batch(batch), covers: Some(covers), due: Some(now.mono) }
    }

    pub(super) fn sign_of_life(number: i64, now: Now) -> Self {
        Self::without_records(Submitted::Batch(empty(number, now)), now)
    }

    pub(super) fn act(act: ActAlone, number: i64, now: Now) -> Self {
        let batch = Batch { acts: vec![act], ..empty(number, now) };
        Self::without_records(Submitted::Batch(batch), now)
    }

    pub(super) fn chunk(dead: Incarnation, gids: Vec<Gid>, number: i64, now: Now) -> Self {
        let chunk = Chunk { number, written_at: now.wall, dead, gids };
        Self::without_records(Submitted::Chunk(chunk), now)
    }

    pub(super) fn leave(number: i64, now: Now) -> Self {
        Self::without_records(Submitted::Leave(Leave { number, written_at: now.wall }), now)
    }

    fn without_records(submitted: Submitted, now: Now) -> Self {
        Self { submitted, covers: None, due: Some(now.mono) }
    }

    pub(super) fn submitted(&self) -> &Submitted {
        &self.submitted
    }

    pub(super) fn covers(&self) -> Option<Seq> {
        self.covers
    }

    pub(super) fn due(&self) -> Option<Mono> {
        self.due
    }

    /// Hands it to the store, if it is time.
    pub(super) fn sent(&mut self, now: Mono) -> Option<&Submitted> {
        self.due.take_if(|due| *due <= now)?;
        Some(&self.submitted)
    }

    pub(super) fn again_at(&mut self, at: Mono) {
        self.due = Some(at);
    }

    /// Its halves; or, if its records are of one life, that life and what it covers; or what it
    /// is, if it has none.
    pub(super) fn bisected(self) -> Result<[Part; 2], Indivisible> {
        let Self { submitted, covers, .. } = self;
        let Submitted::Batch(Batch { mut records, acts, .. }) = submitted else {
            return Err(Indivisible::NoRecords(submitted));
        };
        if !acts.is_empty() {
            return Err(Indivisible::Act);
        }
        let (Some(first), Some(covers)) = (records.first(), covers) else {
            return Err(Indivisible::SignOfLife);
        };
        let life = TransactionKey::of(first);
        if records.iter().all(|record| life.is_of(record)) {
            return Err(Indivisible::OneLife(life, covers));
        }
        // Records of two lives are at least two, so neither half is empty.
        let second = records.split_off(records.len() / 2);
        let first_covers = records.last().map_or(covers, |last| last.seq);
        Ok([Part { records, covers: first_covers }, Part { records: second, covers }])
    }
}

fn empty(number: i64, now: Now) -> Batch {
    Batch { number, written_at: now.wall, records: Vec::new(), acts: Vec::new() }
}

/// What cannot be halved.
pub(super) enum Indivisible {
    /// Records of one life, and what they cover.
    OneLife(TransactionKey, Seq),
    /// An empty batch.
    SignOfLife,
    /// What an operator did.
    Act,
    /// A chunk, or the end of this life.
    NoRecords(Submitted),
}
