//! The lines of a transaction's history, and how many of them are kept.

use std::sync::Arc;

use tercet_wire::{BranchId, CallOp, EventKind, Op};

use crate::record::{Change, HistoryEvent};
use crate::transaction::{Branch, Step, Transaction};

/// Lines kept of retries asked for by hand. (Of resolutions there is one per branch at most.)
const RETRIED_LINES: u32 = 20;

/// Lines kept of branches that are called elsewhere, beside those.
const READDRESSED_LINES: u32 = 20;

/// Lines that say how far a step of a saga is: that a leg of it was called, and that it is done.
const STEP_LINES: u32 = 6;

/// The most lines the history of a transaction can have: what happened by itself, and beyond
/// that, so that a history full of failed calls still says it, what people did and how far each
/// step is.
#[must_use]
pub fn history_bound(lines: u32, branches: usize) -> u32 {
    let branches = u32::try_from(branches).unwrap_or(u32::MAX);
    let of_branches = branches.saturating_mul(STEP_LINES + 1);
    let by_hand = RETRIED_LINES + READDRESSED_LINES;
    lines.saturating_add(by_hand).saturating_add(of_branches)
}

/// How long a transaction's history is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// Lines in all; the number of the last one.
    pub(super) lines: u32,
    /// Those of them that are kept however many there are.
    pub(super) kept: u32,
}

impl History {
    /// The number of a line that is kept however many there are.
    fn next_kept(&mut self) -> u32 {
        self.lines += 1;
        self.kept += 1;
        self.lines
    }
}

/// A line about a call.
pub(super) struct Line<'a> {
    pub(super) kind: EventKind,
    pub(super) branch: &'a BranchId,
    pub(super) op: Op,
    pub(super) attempt: u32,
    pub(super) detail: &'a str,
}

/// A line about what happened by itself.
struct Happened<'a> {
    kind: EventKind,
    call: Option<(Option<&'a BranchId>, CallOp, u32)>,
    detail: &'a str,
}

impl Step<'_> {
    /// Adds a line about a call, unless the history is full; the last line says that it is.
    pub(super) fn happened(&mut self, history: &mut History, line: Line<'_>) {
        let Line { kind, branch, op, attempt, detail } = line;
        let line = Happened { kind, call: Some((Some(branch), op.into(), attempt)), detail };
        self.changes.extend(self.line(history, line).map(Change::History));
    }

    /// The same about the initiator, which is asked.
    pub(super) fn happened_at_initiator(
        &mut self,
        history: &mut History,
        kind: EventKind,
        attempt: u32,
        detail: &str,
    ) {
        let line = Happened { kind, call: Some((None, CallOp::Check, attempt)), detail };
        self.changes.extend(self.line(history, line).map(Change::History));
    }

    /// A line of what happened by itself, unless the history is full.
    fn line(&self, history: &mut History, line: Happened<'_>) -> Option<HistoryEvent> {
        let by_itself = history.lines.saturating_sub(history.kept);
        if by_itself >= self.rules.history_lines {
            return None;
        }
        history.lines += 1;
        let (number, at) = (history.lines, self.now.wall);
        let last = by_itself + 1 == self.rules.history_lines;
        Some(if last {
            let detail = format!("{} lines are kept of one transaction", self.rules.history_lines);
            let (branch, op, attempt) = (None, None, None);
            let detail = Some(Arc::from(detail));
            HistoryEvent { number, at, kind: EventKind::Truncated, branch, op, attempt, detail }
        } else {
            HistoryEvent {
                number,
                at,
                kind: line.kind,
                branch: line.call.and_then(|(branch, ..)| branch.cloned()),
                op: line.call.map(|(_, op, _)| op),
                attempt: line.call.map(|(.., attempt)| attempt),
                detail: Some(Arc::from(line.detail)),
            }
        })
    }

    /// Adds a line about what somebody did.
    pub(super) fn was_done_by_hand(
        &mut self,
        history: &mut History,
        kind: EventKind,
        branch: Option<BranchId>,
        detail: &str,
    ) {
        let (number, at) = (history.next_kept(), self.now.wall);
        let (op, attempt, detail) = (None, None, Some(Arc::from(detail)));
        let line = HistoryEvent { number, at, kind, branch, op, attempt, detail };
        self.changes.push(Change::History(line));
    }

    /// Adds a line about how far a step of a saga, which has so many, is. After a crash the first
    /// call of a leg may be made again, and told again, but not without end: that two legs of each
    /// are done has its room.
    pub(super) fn stepped(&mut self, history: &mut History, steps: usize, line: Line<'_>) {
        let bound = history_bound(0, steps);
        let of_what_is_done = u32::try_from(2 * steps).unwrap_or(u32::MAX);
        let most = match line.kind {
            EventKind::StepCalled => bound.saturating_sub(of_what_is_done),
            _ => bound,
        };
        if history.kept >= most {
            return;
        }
        let Line { kind, branch, op, attempt, .. } = line;
        let (number, at) = (history.next_kept(), self.now.wall);
        let (branch, op, attempt) = (Some(branch.clone()), Some(op.into()), Some(attempt));
        let line = HistoryEvent { number, at, kind, branch, op, attempt, detail: None };
        self.changes.push(Change::History(line));
    }
}

impl Transaction {
    /// Adds a line that says whose it was before, to whatever is written of it next: by itself it
    /// would cost each transaction of a dead life a record. Nobody waits for it longer than for
    /// the rest.
    pub(super) fn tell_whose_it_was(&mut self, step: &mut Step<'_>) {
        if self.taken_over_from.is_none() || step.changes.is_empty() && step.completion.is_empty() {
            return;
        }
        let Some(dead) = self.taken_over_from.take() else { return };
        let detail = format!("incarnation {} drove it before", dead.0);
        let line = Happened { kind: EventKind::TakenOver, call: None, detail: &detail };
        let Some(line) = step.line(&mut self.history, line).map(Change::History) else { return };
        match step.changes.is_empty() {
            true => step.completion.insert(0, line),
            false => step.changes.push(line),
        }
    }

    /// How many lines there may be about how far its steps are: two for each leg that was called.
    fn most_step_lines(&self) -> usize {
        if self.order.is_none() {
            return 0;
        }
        let called =
            |branch: &Branch| Op::ALL.iter().filter(|op| *branch.told_called.get(**op)).count();
        2 * self.branches.iter().map(called).sum::<usize>()
    }

    /// Adds a line about a retry that somebody asked for, unless there are many already.
    pub(super) fn was_retried(&mut self, detail: &str, step: &mut Step<'_>) {
        if self.lines_by_hand() < RETRIED_LINES {
            step.was_done_by_hand(&mut self.history, EventKind::Retried, None, detail);
        }
    }

    /// Adds a line about a branch that is called elsewhere, likewise; that there were many retries
    /// is no reason not to.
    pub(super) fn was_readdressed(&mut self, id: &BranchId, detail: &str, step: &mut Step<'_>) {
        if self.lines_by_hand() < RETRIED_LINES + READDRESSED_LINES {
            let (kind, id) = (EventKind::Readdressed, Some(id.clone()));
            step.was_done_by_hand(&mut self.history, kind, id, detail);
        }
    }

    /// Lines about what people did, but for resolutions.
    fn lines_by_hand(&self) -> u32 {
        let resolved = self.branches.iter().filter(|branch| branch.resolved_as.is_some()).count();
        let others = u32::try_from(resolved + self.most_step_lines()).unwrap_or(u32::MAX);
        self.history.kept.saturating_sub(others)
    }
}
