//! The last thing a life writes: in its fence itself, that it writes no more.

use tercet_engine::Leave;
use tercet_wire::Incarnation;

use super::chunk::failed;
use super::fence::judge;
use super::step::{Answer, Machine, Step};
use crate::sql::dialect::SharedDialect;

/// Says that this life has left, or finds that it was said.
pub(crate) struct LeaveMachine<'a, D> {
    dialect: D,
    own: Incarnation,
    leave: &'a Leave,
    waits_for: WaitsFor,
}

/// The answer that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// How many rows the fence changed.
    Fence,
    /// What this life's row says, since the fence changed none.
    Look,
    /// The end of the transaction.
    End,
    /// None: it is not begun, or done.
    Nothing,
}

impl<'a, D: SharedDialect> LeaveMachine<'a, D> {
    pub(crate) fn new(dialect: D, own: Incarnation, leave: &'a Leave) -> Self {
        Self { dialect, own, leave, waits_for: WaitsFor::Nothing }
    }
}

impl<D: SharedDialect> Machine for LeaveMachine<'_, D> {
    type Done = ();

    fn start(&mut self) -> Step<()> {
        self.waits_for = WaitsFor::Fence;
        Step::Begin(self.dialect.leave(self.own, self.leave.number, self.leave.written_at))
    }

    fn next(&mut self, answer: Answer) -> Step<()> {
        let waited_for = std::mem::replace(&mut self.waits_for, WaitsFor::Nothing);
        match (waited_for, answer) {
            (WaitsFor::Fence, Answer::Changed(1)) => {
                self.waits_for = WaitsFor::End;
                Step::Commit
            }
            (WaitsFor::Fence, Answer::Changed(0)) => {
                self.waits_for = WaitsFor::Look;
                Step::Query(self.dialect.look(self.own))
            }
            (WaitsFor::Look, Answer::Found(rows)) => match judge(&rows, self.leave.number, true) {
                Ok(()) => {
                    self.waits_for = WaitsFor::End;
                    Step::Rollback
                }
                Err(error) => Step::Done(Err(error)),
            },
            (WaitsFor::End, Answer::Ended) => Step::Done(Ok(())),
            (waited_for, answer) => Step::Done(Err(failed(&waited_for, answer))),
        }
    }
}
