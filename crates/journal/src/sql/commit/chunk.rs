//! One chunk of a dead life's transactions, which become this life's: a batch to the fence.
//!
//! ```text
//!   fence ─ 1 row ─▶ take ──▶ which are mine? ──▶ COMMIT
//!     └─ none ─▶ look ─ it had happened ─▶ which are mine? ──▶ ROLLBACK
//! ```

use tercet_engine::Chunk;
use tercet_wire::{Gid, Incarnation};

use super::fence::judge;
use super::step::{Answer, Fault, Field, Machine, Row, Step};
use crate::sql::dialect::SharedDialect;
use crate::store::CommitError;

/// Writes one chunk, or finds that it was written.
pub(crate) struct ChunkMachine<'a, D> {
    dialect: D,
    own: Incarnation,
    chunk: &'a Chunk,
    /// Those of the chunk that are this life's.
    mine: Vec<Gid>,
    waits_for: WaitsFor,
}

/// The answer that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// How many rows the fence changed.
    Fence,
    /// What this life's row says, since the fence changed none.
    Look,
    /// That rows have changed hands: any number, since others may have taken some before.
    Taken,
    /// Which of the chunk are this life's; and whether it had happened already.
    Mine { happened: bool },
    /// The end of the transaction.
    End,
    /// None: it is not begun, or done.
    Nothing,
}

impl<'a, D: SharedDialect> ChunkMachine<'a, D> {
    pub(crate) fn new(dialect: D, own: Incarnation, chunk: &'a Chunk) -> Self {
        Self { dialect, own, chunk, mine: Vec::new(), waits_for: WaitsFor::Nothing }
    }

    fn ask_mine(&mut self, happened: bool) -> Step<Vec<Gid>> {
        self.waits_for = WaitsFor::Mine { happened };
        Step::Query(self.dialect.taken(self.own, &self.chunk.gids))
    }
}

impl<D: SharedDialect> Machine for ChunkMachine<'_, D> {
    type Done = Vec<Gid>;

    fn start(&mut self) -> Step<Vec<Gid>> {
        self.waits_for = WaitsFor::Fence;
        let Chunk { number, written_at, .. } = self.chunk;
        Step::Begin(self.dialect.fence(self.own, *number, *written_at))
    }

    fn next(&mut self, answer: Answer) -> Step<Vec<Gid>> {
        let waited_for = std::mem::replace(&mut self.waits_for, WaitsFor::Nothing);
        match (waited_for, answer) {
            (WaitsFor::Fence, Answer::Changed(1)) => {
                self.waits_for = WaitsFor::Taken;
                Step::Execute(self.dialect.take(self.own, self.chunk))
            }
            (WaitsFor::Fence, Answer::Changed(0)) => {
                self.waits_for = WaitsFor::Look;
                Step::Query(self.dialect.look(self.own))
            }
            (WaitsFor::Look, Answer::Found(rows)) => match judge(&rows, self.chunk.number, false) {
                Ok(()) => self.ask_mine(true),
                Err(error) => Step::Done(Err(error)),
            },
            (WaitsFor::Taken, Answer::Changed(_)) => self.ask_mine(false),
            (WaitsFor::Mine { happened }, Answer::Found(rows)) => {
                self.mine = mine(&rows);
                self.waits_for = WaitsFor::End;
                match happened {
                    true => Step::Rollback,
                    false => Step::Commit,
                }
            }
            (WaitsFor::End, Answer::Ended) => Step::Done(Ok(std::mem::take(&mut self.mine))),
            (waited_for, answer) => Step::Done(Err(failed(&waited_for, answer))),
        }
    }
}

/// By gid, as bytes are ordered, whatever order the rows have come in.
fn mine(rows: &[Row]) -> Vec<Gid> {
    let gid = |row: &Row| match row.as_slice() {
        [Field::Text(gid)] => gid.parse().ok(),
        _ => None,
    };
    let mut mine: Vec<Gid> = rows.iter().filter_map(gid).collect();
    mine.sort();
    mine
}

/// Nothing of a chunk or of a life's end is anybody's data, so whatever fails may pass.
pub(super) fn failed(waited_for: &impl std::fmt::Debug, answer: Answer) -> CommitError {
    match answer {
        Answer::Failed(Fault::Rejected(why) | Fault::Taken(why) | Fault::Again(why)) => {
            CommitError::Again(why)
        }
        Answer::Failed(Fault::Conflict(why)) => CommitError::Conflict(why),
        Answer::Changed(_) | Answer::Found(_) | Answer::Ended => {
            CommitError::Again(format!("{answer:?} is no answer to {waited_for:?}"))
        }
    }
}
