//! One take-over, from the marker to the end of the dead life's row, as a machine without IO:
//! whoever drives it does each step and hands back the answer.
//!
//! ```text
//!   Mark ─ it was as seen ─▶ Find, my share, undecided ─▶ Take … ─▶ Find, my share, all ─▶ Take …
//!     │                        ┌──────────────────────────────────────────┘
//!     └ it has moved: over     └▶ Find, undecided ─▶ Take … ─▶ Find, all ─▶ Take … ─▶ Remove
//! ```
//!
//! Whoever fails gives up: the next look starts it anew, here or on another node. Rows that have
//! changed hands stay with whom they went to.

use std::collections::VecDeque;

use tercet_wire::{Gid, Incarnation};

use crate::cluster::{Share, Suspect, SuspectedFor};

/// Most transactions in a chunk: so many rows change hands in one batch.
pub const MOST_IN_CHUNK: usize = 500;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOverStep {
    /// The life is to be marked fenced if its last batch is still this one.
    Mark {
        /// The batch that was seen all the while.
        batch_no: i64,
    },
    /// A page of its unfinished transactions is to be read, by gid.
    Find {
        /// Only of those without a decision.
        undecided: bool,
        /// Those after this gid; from the first where it is none.
        after: Option<Gid>,
    },
    /// These are to change hands, in a batch of this life's own.
    Take {
        /// By gid, at most [`MOST_IN_CHUNK`].
        gids: Vec<Gid>,
    },
    /// Its row is to be deleted if no transaction points to it.
    Remove,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOverAnswer {
    /// Whether the marker changed the row.
    Marked(bool),
    /// The page; none if there are no more.
    Found(Vec<Gid>),
    /// The chunk is durable, whatever of it there was still to be taken.
    Taken,
    /// Whether the row was deleted.
    Removed(bool),
    /// The database did not do it.
    Failed,
}

/// A take-over under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TakeOver {
    dead: Incarnation,
    stage: Stage,
    /// Passes that are left, this one first: whether it is over the own share alone, and over
    /// what is undecided alone.
    passes: VecDeque<(Option<Share>, bool)>,
    after: Option<Gid>,
    /// What was found and is not asked for yet.
    found: VecDeque<Gid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Mark { batch_no: i64 },
    Passes,
    Remove,
    Over,
}

impl TakeOver {
    /// The take-over of what a suspect drove.
    #[must_use]
    pub fn new(suspect: &Suspect, share: Option<Share>) -> Self {
        let own = share.filter(|share| !share.is_all());
        let mut passes: VecDeque<(Option<Share>, bool)> =
            VecDeque::from([(None, true), (None, false)]);
        if own.is_some() {
            passes.push_front((own, false));
            passes.push_front((own, true));
        }
        let stage = match suspect.why {
            SuspectedFor::Silence { batch_no } => Stage::Mark { batch_no },
            SuspectedFor::Fenced | SuspectedFor::Left => Stage::Passes,
        };
        Self { dead: suspect.incarnation, stage, passes, after: None, found: VecDeque::new() }
    }

    /// Whose transactions are taken over.
    #[must_use]
    pub fn dead(&self) -> Incarnation {
        self.dead
    }

    /// What is to be done now; none when it is over.
    #[must_use]
    pub fn step(&self) -> Option<TakeOverStep> {
        match self.stage {
            Stage::Mark { batch_no } => Some(TakeOverStep::Mark { batch_no }),
            Stage::Passes if !self.found.is_empty() => {
                let mut gids: Vec<Gid> = self.found.iter().take(MOST_IN_CHUNK).cloned().collect();
                gids.sort();
                Some(TakeOverStep::Take { gids })
            }
            Stage::Passes => {
                let (_, undecided) = self.passes.front().copied()?;
                Some(TakeOverStep::Find { undecided, after: self.after.clone() })
            }
            Stage::Remove => Some(TakeOverStep::Remove),
            Stage::Over => None,
        }
    }

    /// What became of the step.
    pub fn answered(&mut self, answer: TakeOverAnswer) {
        match (self.stage, answer) {
            // A batch that came meanwhile proves it alive, or another has marked it: the next
            // look shows which.
            (Stage::Mark { .. }, TakeOverAnswer::Marked(marked)) => {
                self.stage = if marked { Stage::Passes } else { Stage::Over };
            }
            (Stage::Passes, TakeOverAnswer::Found(gids)) => self.found(gids),
            (Stage::Passes, TakeOverAnswer::Taken) => {
                self.found.drain(..self.found.len().min(MOST_IN_CHUNK));
            }
            (Stage::Remove, TakeOverAnswer::Removed(_)) | (_, TakeOverAnswer::Failed) => {
                self.stage = Stage::Over;
            }
            (
                Stage::Mark { .. } | Stage::Passes | Stage::Remove | Stage::Over,
                TakeOverAnswer::Marked(_)
                | TakeOverAnswer::Found(_)
                | TakeOverAnswer::Taken
                | TakeOverAnswer::Removed(_),
            ) => debug_assert!(false, "an answer to another step"),
        }
    }

    fn found(&mut self, gids: Vec<Gid>) {
        let Some(last) = gids.last().cloned() else {
            self.after = None;
            self.passes.pop_front();
            if self.passes.is_empty() {
                self.stage = Stage::Remove;
            }
            return;
        };
        self.after = Some(last);
        let share = self.passes.front().and_then(|(share, _)| *share);
        let mine = |gid: &Gid| share.is_none_or(|share| share.holds(gid));
        self.found.extend(gids.into_iter().filter(mine));
    }
}
