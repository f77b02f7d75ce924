//! One life of a gid, and the lives whose records are left out.

use std::collections::{BTreeSet, VecDeque};

use tercet_wire::{Gid, Instance};

use crate::record::Record;

/// One life of a gid: what records belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionKey {
    /// The gid.
    pub gid: Gid,
    /// Which life of it.
    pub instance: Instance,
}

impl TransactionKey {
    /// Whose record this is.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self { gid: record.gid.clone(), instance: record.instance }
    }

    /// Whether this record is its.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        self.gid == record.gid && self.instance == record.instance
    }
}

/// Lives whose further records are not written: their gid was taken, or they were set
/// aside. The engine is told and falls silent about them, so only those it wrote before it
/// heard matter, and the oldest entries can be dropped. A record of a life dropped here
/// would still not be written: the guards of its statements find no row of that life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct LeftOut {
    lives: BTreeSet<TransactionKey>,
    oldest_first: VecDeque<TransactionKey>,
}

const MOST_LEFT_OUT: usize = 10_000;

impl LeftOut {
    pub(super) fn add(&mut self, life: TransactionKey) {
        if !self.lives.insert(life.clone()) {
            return;
        }
        self.oldest_first.push_back(life);
        if self.oldest_first.len() > MOST_LEFT_OUT
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.lives.remove(&oldest);
        }
    }

    /// Whether this record is of one of them.
    pub(super) fn covers(&self, record: &Record) -> bool {
        !self.lives.is_empty() && self.lives.contains(&TransactionKey::of(record))
    }
}
