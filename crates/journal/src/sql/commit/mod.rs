//! One batch as one SQL transaction, exactly once: the protocol as a machine without IO.
//!
//! ```text
//!   Begin(fence) ─ 1 row ─▶ begin ─ some taken ─▶ holders ─▶ advance ─▶ stay ─▶ details, … ─▶ COMMIT ─▶ Done
//!        │                    │ └── all inserted ──────────────▲
//!        │                    └─ refused, a gid is taken ─▶ ROLLBACK ─▶ holders ─▶ Begin(fence), without those
//!        └─ 0 rows ─▶ look ─ (live, n): written ─▶ holders ─▶ ROLLBACK ─▶ Done
//!                       ├─ (live, n-1) ─▶ again          └─ anything else ─▶ fenced
//! ```
//!
//! A driver does each [`Step`] and hands back its [`Answer`], synchronously or not; what it may
//! do next is said nowhere else. After `Done` with an error the connection must be discarded,
//! whatever the error was: the transaction on it may be half done, and a database that has
//! rolled back one statement alone would commit the others.

mod chunk;
mod fence;
mod leave;
mod step;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tercet_engine::{ActAlone, ApplyError, Batch, TransactionKey};
use tercet_wire::{Incarnation, Instance, Wall};

pub(crate) use self::chunk::ChunkMachine;
use self::fence::judge;
pub(crate) use self::leave::LeaveMachine;
pub(crate) use self::step::{Answer, Fault, Field, Machine, Row, Step};
use super::dialect::Dialect;
use super::key::instance_of;
use super::write::{WriteKind, write_rows};
use crate::batch_plan::{TransactionDelta, deltas};
use crate::store::CommitError;

const THERE_ALREADY: &str = "a transaction that begins is there already";

/// Writes one batch, or finds that it was written.
pub(crate) struct CommitMachine<'a, D> {
    dialect: D,
    own: Incarnation,
    number: i64,
    written_at: Wall,
    deltas: Vec<TransactionDelta<'a>>,
    acts: &'a [ActAlone],
    /// The lives left out, because their gid belongs to another.
    taken: Vec<TransactionKey>,
    waits_for: WaitsFor,
}

/// The answer that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// How many rows the fence changed.
    Fence,
    /// What this life's row says, since the fence changed none.
    Look,
    /// How many transactions began.
    Begun { wanted: u64 },
    /// Who holds the gids of those that did not begin.
    Holders { begun: u64, wanted: u64 },
    /// Whether the transaction is over in which no begin was written, since one of the gids is
    /// taken.
    RollbackOfTaken,
    /// Who holds the gids, one of which is taken.
    HoldersOfTaken,
    /// How many rows a statement changed, or found.
    Written { kind: WriteKind, wanted: u64 },
    /// Whether the transaction is committed.
    Commit,
    /// Who holds the gids that begin in a batch that had happened already.
    HoldersOfWritten,
    /// Whether the transaction in which nothing was written is over.
    Rollback,
    /// None: it is not begun, or done.
    Nothing,
}

impl<'a, D: Dialect> CommitMachine<'a, D> {
    /// # Errors
    /// A record does not fit the one before it.
    pub(crate) fn new(dialect: D, own: Incarnation, batch: &'a Batch) -> Result<Self, ApplyError> {
        Ok(Self {
            dialect,
            own,
            number: batch.number,
            written_at: batch.written_at,
            deltas: deltas(&batch.records)?,
            acts: &batch.acts,
            taken: Vec::new(),
            waits_for: WaitsFor::Nothing,
        })
    }

    /// The first step.
    pub(crate) fn start(&mut self) -> Step {
        self.waits_for = WaitsFor::Fence;
        Step::Begin(self.dialect.fence(self.own, self.number, self.written_at))
    }

    /// The step that follows from the answer to the last.
    pub(crate) fn next(&mut self, answer: Answer) -> Step {
        let waited_for = std::mem::replace(&mut self.waits_for, WaitsFor::Nothing);
        match (waited_for, answer) {
            (WaitsFor::Fence, Answer::Changed(1)) => self.begin(),
            (WaitsFor::Fence, Answer::Changed(0)) => {
                self.query(WaitsFor::Look, self.dialect.look(self.own))
            }
            (WaitsFor::Look, Answer::Found(rows)) => match judge(&rows, self.number, false) {
                Ok(()) => self.ask_holders_of_written(),
                Err(error) => Step::Done(Err(error)),
            },
            (WaitsFor::Begun { wanted }, Answer::Changed(begun)) => {
                if begun == wanted {
                    return self.write(WriteKind::AFTER_BEGIN);
                }
                let holders = WaitsFor::Holders { begun, wanted };
                self.query(holders, self.dialect.holders(self.gids_that_begin()))
            }
            (WaitsFor::Holders { begun, wanted }, Answer::Found(rows)) => {
                self.leave_out_taken(&rows, begun, wanted)
            }
            (WaitsFor::Begun { .. }, Answer::Failed(Fault::Taken(_))) => {
                self.waits_for = WaitsFor::RollbackOfTaken;
                Step::Rollback
            }
            (WaitsFor::RollbackOfTaken, Answer::Ended) => {
                let holders = self.dialect.holders(self.gids_that_begin());
                self.query(WaitsFor::HoldersOfTaken, holders)
            }
            (WaitsFor::HoldersOfTaken, Answer::Found(rows)) => self.begin_without_taken(&rows),
            (WaitsFor::Written { kind, wanted }, answer) => self.check(kind, wanted, answer),
            (WaitsFor::HoldersOfWritten, Answer::Found(rows)) => {
                self.taken.extend(not_begun(&self.deltas, &rows));
                self.roll_back()
            }
            (WaitsFor::Commit | WaitsFor::Rollback, Answer::Ended) => {
                Step::Done(Ok(std::mem::take(&mut self.taken)))
            }
            (waited_for, answer) => Step::Done(Err(failed(waited_for, answer))),
        }
    }

    fn query(&mut self, waits_for: WaitsFor, statement: sea_orm::Statement) -> Step {
        self.waits_for = waits_for;
        Step::Query(statement)
    }

    fn begin(&mut self) -> Step {
        let Some(rows) = write_rows(WriteKind::Begin, &self.deltas, &[], self.own) else {
            return self.write(WriteKind::AFTER_BEGIN);
        };
        self.waits_for = WaitsFor::Begun { wanted: rows.count() };
        Step::Execute(self.dialect.write(WriteKind::Begin, rows, self.own))
    }

    /// The first of these statements that has any rows; after the last, the end.
    fn write(&mut self, kinds: &[WriteKind]) -> Step {
        for kind in kinds {
            let rows = write_rows(*kind, &self.deltas, self.acts, self.own);
            let Some(rows) = rows else { continue };
            self.waits_for = WaitsFor::Written { kind: *kind, wanted: rows.count() };
            let statement = self.dialect.write(*kind, rows, self.own);
            return match kind {
                WriteKind::Stay => Step::Query(statement),
                _ => Step::Execute(statement),
            };
        }
        self.waits_for = WaitsFor::Commit;
        Step::Commit
    }

    /// The guard of every write: fewer rows than it must change mean that one of them is not in
    /// the state the change starts from.
    fn check(&mut self, kind: WriteKind, wanted: u64, answer: Answer) -> Step {
        let found = match answer {
            Answer::Changed(changed) if kind != WriteKind::Stay => changed,
            Answer::Found(rows) if kind == WriteKind::Stay => match rows.first().map(Vec::as_slice)
            {
                Some([Field::Integer(count)]) => u64::try_from(*count).unwrap_or(0),
                Some(_) | None => 0,
            },
            answer => return Step::Done(Err(failed(WaitsFor::Written { kind, wanted }, answer))),
        };
        if found == wanted || !self.dialect.counts_rows_of(kind) {
            return self.write(kind.those_after());
        }
        let what = kind.as_str();
        let why = format!("{what}: {found} of {wanted} rows are as expected");
        Step::Done(Err(CommitError::Rejected(why)))
    }

    fn gids_that_begin(&self) -> Vec<sea_orm::Value> {
        begun(&self.deltas).map(|delta| delta.gid.as_str().into()).collect()
    }

    /// Takes those out whose gid another life holds; whoever else did not begin is no such.
    fn leave_out_taken(&mut self, rows: &[Row], begun: u64, wanted: u64) -> Step {
        let is_free = |_, holder: Option<Option<Instance>>| holder.is_none();
        if !lives_by_holder(&self.deltas, rows, is_free).is_empty() {
            return Step::Done(Err(no_longer_taken()));
        }
        self.taken = taken(&self.deltas, rows);
        let left_out = u64::try_from(self.taken.len()).unwrap_or(u64::MAX);
        if begun.saturating_add(left_out) != wanted {
            return Step::Done(Err(CommitError::Rejected(THERE_ALREADY.to_owned())));
        }
        self.drop_taken();
        self.write(WriteKind::AFTER_BEGIN)
    }

    fn drop_taken(&mut self) {
        let is_left_out = |delta: &TransactionDelta<'_>| {
            let of_it =
                |life: &TransactionKey| life.gid == *delta.gid && life.instance == delta.instance;
            self.taken.iter().any(of_it)
        };
        self.deltas.retain(|delta| !is_left_out(delta));
    }

    /// Begins again without those whose gid another life holds. Each time round at least one is
    /// left out, so that this ends.
    fn begin_without_taken(&mut self, rows: &[Row]) -> Step {
        let mut taken = taken(&self.deltas, rows);
        // Of two lives of one gid that begin in this batch, the first may have it.
        let mut before: Option<&TransactionDelta<'_>> = None;
        for delta in begun(&self.deltas) {
            let is_second = before.is_some_and(|before| before.gid == delta.gid);
            let life = TransactionKey { gid: delta.gid.clone(), instance: delta.instance };
            if is_second && !taken.contains(&life) {
                taken.push(life);
            }
            before = Some(delta);
        }
        if taken.is_empty() {
            return Step::Done(Err(match rows.is_empty() {
                true => no_longer_taken(),
                false => CommitError::Rejected(THERE_ALREADY.to_owned()),
            }));
        }
        self.taken.extend(taken);
        self.drop_taken();
        self.start()
    }

    fn ask_holders_of_written(&mut self) -> Step {
        let gids = self.gids_that_begin();
        if gids.is_empty() {
            return self.roll_back();
        }
        self.query(WaitsFor::HoldersOfWritten, self.dialect.holders(gids))
    }

    fn roll_back(&mut self) -> Step {
        self.waits_for = WaitsFor::Rollback;
        Step::Rollback
    }
}

impl<D: Dialect> Machine for CommitMachine<'_, D> {
    type Done = Vec<TransactionKey>;

    fn start(&mut self) -> Step {
        self.start()
    }

    fn next(&mut self, answer: Answer) -> Step {
        self.next(answer)
    }
}

/// Whoever held it has been forgotten between the two statements: another node deletes what is old.
fn no_longer_taken() -> CommitError {
    CommitError::Again("a gid was taken, and no longer is".to_owned())
}

fn begun<'a, 'b>(
    deltas: &'b [TransactionDelta<'a>],
) -> impl Iterator<Item = &'b TransactionDelta<'a>> {
    deltas.iter().filter(|delta| delta.begun.is_some())
}

/// The lives that begin although another holds their gid.
fn taken(deltas: &[TransactionDelta<'_>], rows: &[Row]) -> Vec<TransactionKey> {
    lives_by_holder(deltas, rows, |own, holder| holder.is_some_and(|holder| holder != Some(own)))
}

/// The lives of a written batch that were left out of it. One whose gid nobody holds is one of them:
/// the holder has been forgotten since.
fn not_begun(deltas: &[TransactionDelta<'_>], rows: &[Row]) -> Vec<TransactionKey> {
    lives_by_holder(deltas, rows, |own, holder| holder != Some(Some(own)))
}

/// The lives that begin of which this holds: what is asked of is each life and, if there is one, who
/// holds its gid.
fn lives_by_holder(
    deltas: &[TransactionDelta<'_>],
    rows: &[Row],
    is_one: impl Fn(Instance, Option<Option<Instance>>) -> bool,
) -> Vec<TransactionKey> {
    let mut holders: HashMap<&str, Option<Instance>> = HashMap::new();
    for row in rows {
        match row.as_slice() {
            [Field::Text(gid), Field::Text(instance)] => {
                holders.insert(gid, instance_of(instance).ok());
            }
            // A holder that is no instance at all is another one too.
            [Field::Text(gid), _] => {
                holders.insert(gid, None);
            }
            _ => {}
        }
    }
    let wanted = |delta: &&TransactionDelta<'_>| {
        is_one(delta.instance, holders.get(delta.gid.as_str()).copied())
    };
    let life = |delta: &TransactionDelta<'_>| TransactionKey {
        gid: delta.gid.clone(),
        instance: delta.instance,
    };
    begun(deltas).filter(wanted).map(life).collect()
}

/// What a step that did not work means for the batch. Only what writes the batch's own values can
/// fail because of them; and whatever COMMIT says when it fails, the outcome may be unknown.
fn failed(waited_for: WaitsFor, answer: Answer) -> CommitError {
    let writes = matches!(waited_for, WaitsFor::Begun { .. } | WaitsFor::Written { .. });
    match answer {
        Answer::Failed(Fault::Rejected(why) | Fault::Taken(why)) if writes => {
            CommitError::Rejected(why)
        }
        Answer::Failed(Fault::Rejected(why) | Fault::Taken(why) | Fault::Again(why)) => {
            CommitError::Again(why)
        }
        Answer::Failed(Fault::Conflict(why)) => CommitError::Conflict(why),
        Answer::Changed(_) | Answer::Found(_) | Answer::Ended => {
            CommitError::Again(format!("{answer:?} is no answer to {waited_for:?}"))
        }
    }
}
