//! One life of a gid, and the lives whose records are left out.

use std::collections::{HashSet, VecDeque};

use tercet_engine::Record;
use tercet_wire::{Gid, Instance};

/// One life of a gid: what records belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TransactionKey {
    pub(super) gid: Gid,
    pub(super) instance: Instance,
}

impl TransactionKey {
    pub(super) fn of(record: &Record) -> Self {
        Self { gid: record.gid.clone(), instance: record.instance }
    }
}

/// Lives whose further records are not written: their gid was taken, or they were set
/// aside. The engine is told and falls silent about them, so only those it wrote before it
/// heard matter, and the oldest entries can be dropped. A record of a life dropped here
/// would still not be written: the guards of its statements find no row of that life.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    lives: HashSet<TransactionKey>,
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

    pub(super) fn covers(&self, record: &Record) -> bool {
        !self.lives.is_empty() && self.lives.contains(&TransactionKey::of(record))
    }
}
