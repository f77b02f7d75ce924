//! What can be true of a branch, given the answers so far.
//!
//! The participant is a black box, calls overlap, and answers get lost; so a branch does not
//! stand somewhere, there is a set of places where it can stand. An answer narrows it: those
//! orders of the calls remain that explain every answer. When none remains, a rule is broken.

use std::collections::BTreeSet;

use tercet_wire::Op;

/// Where a branch can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BranchState {
    Nothing,
    Tried,
    Confirmed,
    Cancelled,
}

/// What is known of a branch beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its Try can be done.
    Usual,
    /// Its Try is to be refused, for its payload.
    Refused,
    /// Its gid and branch have been used by another instance. A participant may refuse it, or
    /// treat it as the other transaction that it is.
    OtherLife,
}

/// A call that was settled: what was asked, and whether the answer says that it is done.
pub(super) type Settled = (Op, bool);

/// Where a branch can stand.
#[derive(Debug, Clone)]
pub(super) struct Model {
    kind: Kind,
    stands: BTreeSet<BranchState>,
    /// Calls without an answer. Each may have been done, or may yet be; and more than once,
    /// which makes no difference.
    unanswered: BTreeSet<Op>,
}

impl Model {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, stands: BTreeSet::from([BranchState::Nothing]), unanswered: BTreeSet::new() }
    }

    /// A call was made, and nobody knows what became of it.
    pub(super) fn unanswered(&mut self, op: Op) {
        self.unanswered.insert(op);
        self.spread();
    }

    /// Calls that overlapped were answered. False if no order of them explains the answers.
    #[must_use]
    pub(super) fn answered(&mut self, answers: &[Settled]) -> bool {
        let mut left: Vec<Settled> = answers.to_vec();
        left.sort_unstable();
        let mut ends = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for stand in &self.stands {
            self.orders(*stand, &left, &mut seen, &mut ends);
        }
        self.stands = ends;
        self.spread();
        !self.stands.is_empty()
    }

    /// Where it can stand now.
    pub(super) fn stands(&self) -> &BTreeSet<BranchState> {
        &self.stands
    }

    /// Whether an answer could be explained, were it the next.
    pub(super) fn allows(&self, op: Op, done: bool) -> bool {
        self.stands.iter().any(|stand| after(self.kind, *stand, op, done).is_some())
    }

    /// Walks through the orders in which the calls left can have been done.
    fn orders(
        &self,
        stand: BranchState,
        left: &[Settled],
        seen: &mut BTreeSet<(BranchState, Vec<Settled>)>,
        ends: &mut BTreeSet<BranchState>,
    ) {
        // Equal calls are interchangeable, so few places differ, however many the orders.
        if !seen.insert((stand, left.to_vec())) {
            return;
        }
        if left.is_empty() {
            ends.insert(stand);
        }
        for op in &self.unanswered {
            self.orders(moved(stand, *op), left, seen, ends);
        }
        for (index, (op, done)) in left.iter().enumerate() {
            if let Some(next) = after(self.kind, stand, *op, *done) {
                let mut rest = left.to_vec();
                rest.remove(index);
                self.orders(next, &rest, seen, ends);
            }
        }
    }

    /// Adds what calls without an answer can have made of it.
    fn spread(&mut self) {
        let mut open: Vec<BranchState> = self.stands.iter().copied().collect();
        while let Some(stand) = open.pop() {
            for op in &self.unanswered {
                let next = moved(stand, *op);
                if self.stands.insert(next) {
                    open.push(next);
                }
            }
        }
    }
}

/// What a right participant makes of a call.
fn moved(stand: BranchState, op: Op) -> BranchState {
    match (op, stand) {
        (Op::Try, BranchState::Nothing) => BranchState::Tried,
        (Op::Confirm, BranchState::Tried) => BranchState::Confirmed,
        (Op::Cancel, BranchState::Nothing | BranchState::Tried) => BranchState::Cancelled,
        (Op::Try | Op::Confirm, stand) => stand,
        (Op::Cancel, stand @ (BranchState::Confirmed | BranchState::Cancelled)) => stand,
    }
}

/// Where a branch stands after this answer; `None` if a right participant does not give it.
fn after(kind: Kind, stand: BranchState, op: Op, done: bool) -> Option<BranchState> {
    let right = match (op, stand) {
        (Op::Try, BranchState::Nothing) => match kind {
            Kind::Usual => done,
            Kind::Refused => !done,
            Kind::OtherLife => true,
        },
        (Op::Try, BranchState::Tried) => done,
        // The decision has been taken: nobody goes by this answer any more.
        (Op::Try, BranchState::Confirmed) => true,
        (Op::Confirm, BranchState::Tried | BranchState::Confirmed) => done,
        (Op::Try, BranchState::Cancelled)
        | (Op::Confirm, BranchState::Nothing | BranchState::Cancelled) => !done,
        (Op::Cancel, BranchState::Nothing) => done || kind == Kind::OtherLife,
        (Op::Cancel, BranchState::Tried | BranchState::Cancelled) => done,
        (Op::Cancel, BranchState::Confirmed) => !done,
    };
    match (right, done) {
        (false, _) => None,
        (true, true) => Some(moved(stand, op)),
        (true, false) => Some(stand),
    }
}

#[cfg(test)]
mod tests {
    use Op::{Cancel, Confirm, Try};

    use super::*;

    fn after_all(steps: &[&[Settled]]) -> Option<Vec<BranchState>> {
        let mut model = Model::new(Kind::Usual);
        let explained = steps.iter().all(|answers| model.answered(answers));
        explained.then(|| model.stands().iter().copied().collect())
    }

    #[test]
    fn answers_narrow_what_can_be_true() {
        #[rustfmt::skip]
        let table: &[(&[&[Settled]], Option<BranchState>)] = &[
            (&[&[(Try, true)]], Some(BranchState::Tried)),
            (&[&[(Try, false)]], None),
            (&[&[(Cancel, true)], &[(Try, false)]], Some(BranchState::Cancelled)),
            (&[&[(Cancel, true)], &[(Try, true)]], None),
            (&[&[(Confirm, true)]], None),
            (&[&[(Confirm, false)]], Some(BranchState::Nothing)),
            (&[&[(Try, true)], &[(Confirm, true), (Cancel, false)]], Some(BranchState::Confirmed)),
            (&[&[(Try, true)], &[(Confirm, false), (Cancel, true)]], Some(BranchState::Cancelled)),
            (&[&[(Try, true)], &[(Confirm, true), (Cancel, true)]], None),
            (&[&[(Try, true)], &[(Confirm, false), (Cancel, false)]], None),
            (&[&[(Try, true), (Cancel, true)]], Some(BranchState::Cancelled)),
            (&[&[(Try, false), (Cancel, true)]], Some(BranchState::Cancelled)),
            (&[&[(Try, true), (Confirm, false)]], Some(BranchState::Tried)),
            (&[&[(Try, true), (Confirm, true), (Cancel, false)]], Some(BranchState::Confirmed)),
            (&[&[(Try, true), (Try, true), (Try, false)]], None),
        ];
        for (steps, expected) in table {
            assert_eq!(after_all(steps), expected.map(|stand| vec![stand]), "{steps:?}");
        }
    }

    #[test]
    fn a_call_without_an_answer_may_come_at_any_time_or_never() {
        let mut model = Model::new(Kind::Usual);
        model.unanswered(Try);
        assert!(model.stands().iter().eq(&[BranchState::Nothing, BranchState::Tried]));
        assert!(model.answered(&[(Confirm, true)]), "the Try had been done");
        assert!(model.stands().iter().eq(&[BranchState::Confirmed]));

        let mut model = Model::new(Kind::Usual);
        model.unanswered(Try);
        assert!(model.answered(&[(Confirm, false)]), "the Try comes later");
        assert!(model.answered(&[(Cancel, true)]));
        assert!(model.stands().iter().eq(&[BranchState::Cancelled]), "and is refused, if it comes");
    }
}
