//! One take-over, driven step by step: what is to be done next is the engine's `TakeOver` to say.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{MOST_IN_CHUNK, Share, Suspect, TakeOver, TakeOverAnswer, TakeOverStep};
use tercet_journal::{Journal, JournalError};
use tercet_wire::Gid;
use tokio::time::timeout;

use super::chunks::Chunks;

/// Gids found at a time.
pub(super) const PAGE: u32 = 2_000;

/// The next chunk is taken when no more than this are still to be read of those before. Taking goes
/// far ahead of reading, since what is taken has somebody who will decide it; of what waits to be
/// read a gid is kept.
const FEW: usize = 100 * MOST_IN_CHUNK;

/// What a take-over works with.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) journal: Journal,
    pub(super) chunks: Arc<Chunks>,
    /// How long the database may take for a step. Whoever does not hear what became of one gives
    /// up, and looks again.
    pub(super) within: Duration,
}

/// How a take-over ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing of it is left.
    Done,
    /// The suspect has written meanwhile, or another marked it first: the next look shows which.
    MarkedNothing,
    /// The database did not do a step: the next look begins anew.
    Failed,
}

/// What came of a take-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TakenOver {
    pub(super) suspect: Suspect,
    pub(super) ending: Ending,
    /// Whether it was this node that marked the suspect.
    pub(super) marked: bool,
    /// Transactions that are this node's now.
    pub(super) transactions: usize,
    /// Whether the dead life's row is gone.
    pub(super) removed: bool,
}

/// Takes over what a suspect drove.
pub(super) async fn take_over(means: Means, suspect: Suspect, share: Option<Share>) -> TakenOver {
    let mut machine = TakeOver::new(&suspect, share);
    let ending = Ending::Done;
    let mut came = TakenOver { suspect, ending, marked: false, transactions: 0, removed: false };
    while let Some(step) = machine.step() {
        let answer = means.done(&machine, step).await;
        match &answer {
            Answered::Of(TakeOverAnswer::Marked(true)) => came.marked = true,
            Answered::Of(TakeOverAnswer::Marked(false)) => came.ending = Ending::MarkedNothing,
            Answered::Of(TakeOverAnswer::Failed) => came.ending = Ending::Failed,
            Answered::Of(TakeOverAnswer::Removed(removed)) => came.removed = *removed,
            Answered::Of(TakeOverAnswer::Found(_) | TakeOverAnswer::Taken) => {}
            Answered::Taken(count) => came.transactions += count,
        }
        machine.answered(match answer {
            Answered::Of(answer) => answer,
            Answered::Taken(_) => TakeOverAnswer::Taken,
        });
    }
    came
}

/// What became of a step, and how many changed hands by it.
enum Answered {
    Of(TakeOverAnswer),
    Taken(usize),
}

impl Means {
    async fn done(&self, machine: &TakeOver, step: TakeOverStep) -> Answered {
        let (journal, dead) = (&self.journal, machine.dead());
        let answer = match step {
            TakeOverStep::Mark { batch_no } => {
                let marked = self.in_time(journal.mark_fenced(dead, batch_no)).await;
                marked.map(TakeOverAnswer::Marked)
            }
            TakeOverStep::Find { undecided, after } => {
                let found = journal.driven_by(dead, undecided, after.as_ref(), PAGE);
                self.in_time(found).await.map(TakeOverAnswer::Found)
            }
            TakeOverStep::Take { gids } => return self.taken(machine, gids).await,
            TakeOverStep::Remove => {
                self.in_time(journal.remove_life(dead)).await.map(TakeOverAnswer::Removed)
            }
        };
        Answered::Of(answer.unwrap_or(TakeOverAnswer::Failed))
    }

    /// Only what is durably this life's counts: until then another may get it.
    async fn taken(&self, machine: &TakeOver, gids: Vec<Gid>) -> Answered {
        self.chunks.until_few_arrive(FEW).await;
        let durable = self.chunks.expect(machine.dead());
        self.journal.take_over(machine.dead(), gids);
        // A batch that fails is submitted until it is written, so there is no other end than this
        // life's own.
        durable.await.map_or(Answered::Of(TakeOverAnswer::Failed), Answered::Taken)
    }

    /// What the database answers in time.
    pub(super) async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, JournalError>>,
    ) -> Option<T> {
        let failed = match timeout(self.within, step).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error,
            Err(_) => JournalError::TooSlow { within: self.within },
        };
        let error: &(dyn std::error::Error + 'static) = &failed;
        tracing::warn!(
            event = "take_over_failed",
            error,
            "the database does not do a step of a take-over: it begins anew with the next look"
        );
        None
    }
}
