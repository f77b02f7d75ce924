//! The rows of `nodes` as a value, and each statement on them as a function: what every database
//! must do. Stores in memory are made of it, the simulation's among them.

use std::collections::BTreeMap;

use tercet_wire::Incarnation;

use crate::cluster::{LifeRow, LifeState};

/// The rows of all lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Lives {
    rows: BTreeMap<Incarnation, LifeRow>,
}

/// What a life's row says of its batch, when the fence of that batch changed no row. A life is
/// fenced only for cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The batch happened, in an earlier submission.
    Written,
    /// The row is as the fence wanted it: the look came from an older moment than the fence, or
    /// the row has moved between the two. Nobody knows; the same batch is submitted again.
    Again,
    /// Another has fenced this life, or it has left.
    Fenced,
    /// The row is older than a batch that was acknowledged: the database has lost writes.
    LostWrites,
}

/// Judges a batch of this number by its life's row; none if the row is gone. `leaves`: whether the
/// batch is the one by which its life leaves.
#[must_use]
pub fn judge(row: Option<&LifeRow>, number: i64, leaves: bool) -> Judgement {
    let Some(row) = row else { return Judgement::Fenced };
    let written = if leaves { LifeState::Left } else { LifeState::Live };
    if row.state == written && row.batch_no == number {
        Judgement::Written
    } else if row.batch_no < number - 1 {
        Judgement::LostWrites
    } else if row.state == LifeState::Live && row.batch_no == number - 1 {
        Judgement::Again
    } else {
        Judgement::Fenced
    }
}

impl Lives {
    /// A new life, which has written nothing.
    pub fn register(&mut self, incarnation: Incarnation, node_id: &str) {
        let (node_id, state) = (node_id.to_owned(), LifeState::Live);
        self.rows.insert(incarnation, LifeRow { incarnation, node_id, state, batch_no: 0 });
    }

    /// A new life where one process has the rows: every other life is over.
    pub fn register_alone(&mut self, incarnation: Incarnation, node_id: &str) {
        self.rows.clear();
        self.register(incarnation, node_id);
    }

    /// One row.
    #[must_use]
    pub fn get(&self, incarnation: Incarnation) -> Option<&LifeRow> {
        self.rows.get(&incarnation)
    }

    /// All rows, by incarnation.
    pub fn rows(&self) -> impl Iterator<Item = &LifeRow> {
        self.rows.values()
    }

    /// The fence of a batch: counts the row's number up to this one if it holds the one before
    /// and the life may write. Whether it did.
    pub fn fence(&mut self, incarnation: Incarnation, number: i64) -> bool {
        self.moves(incarnation, number, LifeState::Live)
    }

    /// The fence of the batch by which a life leaves: the same, and it writes no more.
    pub fn leave(&mut self, incarnation: Incarnation, number: i64) -> bool {
        self.moves(incarnation, number, LifeState::Left)
    }

    fn moves(&mut self, incarnation: Incarnation, number: i64, to: LifeState) -> bool {
        let row = self.rows.get_mut(&incarnation);
        let may = |row: &&mut LifeRow| row.state == LifeState::Live && row.batch_no == number - 1;
        let moved = row.filter(may).map(|row| (row.batch_no, row.state) = (number, to));
        moved.is_some()
    }

    /// The marker: a life writes no more, if its last batch is still the one that was seen. A
    /// batch that came meanwhile proves it alive. Whether the row was changed.
    pub fn mark_fenced(&mut self, incarnation: Incarnation, seen: i64) -> bool {
        let row = self.rows.get_mut(&incarnation);
        let is_so = |row: &&mut LifeRow| row.state == LifeState::Live && row.batch_no == seen;
        row.filter(is_so).map(|row| row.state = LifeState::Fenced).is_some()
    }

    /// The row's end, once no transaction points to it: while one does, those who look find by
    /// the row that its owner is over. Whether it is gone.
    pub fn remove(&mut self, incarnation: Incarnation, owns_any: bool) -> bool {
        let is_over = self.get(incarnation).is_some_and(|row| row.state != LifeState::Live);
        let ends = is_over && !owns_any;
        ends && self.rows.remove(&incarnation).is_some()
    }
}
