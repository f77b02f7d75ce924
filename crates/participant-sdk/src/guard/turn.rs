//! One call of a branch at a time, within this process.
//!
//! The database would keep calls of one branch apart by itself; waiting here instead costs no
//! connection, so that repeats of a slow call cannot use up the pool.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tercet_wire::{BranchId, Gid};
use tokio::sync::OwnedMutexGuard;

use crate::context::Context;

/// How long a call waits for another call of its branch before it answers "in progress".
pub(crate) const TURN_PATIENCE: Duration = Duration::from_millis(500);

type Key = (Gid, BranchId);

/// The branches that are being called.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    branches: Mutex<HashMap<Key, Line>>,
}

/// Those who hold or wait for a branch's turn.
#[derive(Debug, Default)]
struct Line {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// When it falls to zero the entry goes, so that the map holds calls under way and no more.
    length: usize,
}

/// The right to work on a branch; given up when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // Fields are dropped in this order: the lock is free before the place in the line is.
    _lock: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in a branch's line.
#[derive(Debug)]
struct Place {
    turns: Arc<Turns>,
    key: Key,
}

impl Turns {
    /// Waits for the branch's turn, at most `patience`; `None` if it did not come.
    pub(crate) async fn take(
        self: &Arc<Self>,
        context: &Context,
        patience: Duration,
    ) -> Option<Turn> {
        let key = (context.gid.clone(), context.branch.clone());
        let lock = {
            let mut branches = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
            let line = branches.entry(key.clone()).or_default();
            line.length += 1;
            Arc::clone(&line.lock)
        };
        let place = Place { turns: Arc::clone(self), key };
        let lock = tokio::time::timeout(patience, lock.lock_owned()).await.ok()?;
        Some(Turn { _lock: lock, _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A poisoned lock is no reason to lose count: the map is whole after every statement.
        let mut branches = self.turns.branches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut line) = branches.entry(self.key.clone()) {
            line.get_mut().length -= 1;
            if line.get().length == 0 {
                line.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tercet_wire::Op;

    use crate::tests_support::context;

    #[tokio::test]
    async fn calls_of_one_branch_take_turns_and_leave_nothing_behind() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(&context("a", Op::Try), TURN_PATIENCE).await.expect("free");
        let other = turns.take(&context("b", Op::Try), TURN_PATIENCE).await.expect("free");
        let soon = Duration::from_millis(1);
        assert!(turns.take(&context("a", Op::Cancel), soon).await.is_none(), "two at once");

        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take(&context("a", Op::Cancel), Duration::from_secs(60)).await }
        });
        drop(first);
        let second = waiting.await.expect("no panic").expect("its turn came");
        drop((second, other));
        assert!(turns.branches.lock().expect("not poisoned").is_empty());
    }
}
