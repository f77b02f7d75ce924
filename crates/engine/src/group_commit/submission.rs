//! A batch on its way into the database: submitted, or waiting to be submitted again.

use tercet_wire::{Mono, Now, Seq};

use super::TransactionKey;
use super::batch::Batch;
use crate::record::Record;

/// Consecutive records on their way into the database.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) records: Vec<Record>,
    /// Once they are durable or left out, everything up to here is.
    pub(super) covers: Seq,
}

/// A batch until it is known to have happened, or never to. It keeps its number and its records
/// however often it is submitted.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    batch: Batch,
    /// None for a sign of life, which covers nothing.
    covers: Option<Seq>,
    /// When it is to be submitted, the first time or again; none while the store has it.
    due: Option<Mono>,
}

impl Submission {
    pub(super) fn of(Part { records, covers }: Part, number: i64, now: Now) -> Self {
        let batch = Batch { number, written_at: now.wall, records };
        Self { batch, covers: Some(covers), due: Some(now.mono) }
    }

    pub(super) fn sign_of_life(number: i64, now: Now) -> Self {
        let batch = Batch { number, written_at: now.wall, records: Vec::new() };
        Self { batch, covers: None, due: Some(now.mono) }
    }

    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    pub(super) fn covers(&self) -> Option<Seq> {
        self.covers
    }

    pub(super) fn due(&self) -> Option<Mono> {
        self.due
    }

    /// Hands it to the store, if it is time.
    pub(super) fn sent(&mut self, now: Mono) -> Option<&Batch> {
        self.due.take_if(|due| *due <= now)?;
        Some(&self.batch)
    }

    pub(super) fn again_at(&mut self, at: Mono) {
        self.due = Some(at);
    }

    /// Its halves; or, if its records are of one life, that life and what it covers; or nothing,
    /// if it has none.
    pub(super) fn bisected(self) -> Result<[Part; 2], Option<(TransactionKey, Seq)>> {
        let Self { batch: Batch { mut records, .. }, covers, .. } = self;
        let (Some(first), Some(covers)) = (records.first(), covers) else { return Err(None) };
        let life = TransactionKey::of(first);
        if records.iter().all(|record| life.is_of(record)) {
            return Err(Some((life, covers)));
        }
        // Records of two lives are at least two, so neither half is empty.
        let second = records.split_off(records.len() / 2);
        let first_covers = records.last().map_or(covers, |last| last.seq);
        Ok([Part { records, covers: first_covers }, Part { records: second, covers }])
    }
}
