//! What follows from what is known: the decision, the calls, the end. The same function
//! after every request, every answer, every timer and every restart.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{EventKind, Mono, Op, Reason, Wall};

use crate::record::{Change, Decided, Decision};
use crate::transaction::branch::{BranchState, CallState, FailureStats};
use crate::transaction::history::Line;
use crate::transaction::pattern::Turn;
use crate::transaction::step::Wanted;
use crate::transaction::{Phase, Rules, Step, Transaction, branch_at};

/// Two clocks that are right part by less in the longest time a transaction may take.
const CLOCKS_PART: Duration = Duration::from_secs(60);

/// A moment by the wall clock, of which it is known that it does not lie before another. A clock
/// that is minutes behind was set back, and is shown as it is.
pub(crate) fn not_before(at: Wall, earliest: Wall) -> Wall {
    if earliest.since(at) < CLOCKS_PART { at.max(earliest) } else { at }
}

/// The sooner of two moments.
fn sooner(one: Option<Mono>, other: Option<Mono>) -> Option<Mono> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Transaction {
    /// Draws every conclusion that is due.
    pub(crate) fn advance(&mut self, step: &mut Step<'_>) {
        if self.is_held() {
            return self.tell_whose_it_was(step);
        }
        self.stop_clocks_of_paused(step);
        self.expire_waits(step);
        if let Some(decision) = self.due_decision(step) {
            self.decide(decision, step);
        }
        self.begin_to_ask(step.now);
        self.resolve_what_is_free(step);
        if self.order.is_some() {
            self.acknowledge_absent_legs(step);
        }
        self.start_the_clocks(step.now.mono, step.rules);
        self.park_what_waits_too_long(step);
        self.finish_if_everyone_acknowledged(step);
        self.write_acknowledgements_that_wait_alone(step);
        self.write_parked_if_untold(step);
        self.call_what_is_due(step);
        self.ask_if_due(step);
        self.tell_whose_it_was(step);
    }

    /// When `advance` has something to do although nothing comes in.
    pub(crate) fn next_due(&self, rules: &Rules) -> Option<Mono> {
        if self.is_held() {
            return None;
        }
        let deadline = match &self.phase {
            // It is over when its initiator is asked.
            Phase::Trying { deadline } => Some(*deadline).filter(|_| self.initiator.is_none()),
            Phase::SecondPhase(_) => None,
            Phase::Finished { .. } => return None,
        };
        let (turn, parks) = (self.turn(), self.op_that_parks().is_some());
        let mut next = deadline;
        for (position, branch) in self.branches.iter().enumerate() {
            let call = match &branch.call_state {
                CallState::Due(at) | CallState::Held(at) => turn.includes(position).then_some(*at),
                CallState::Waiting { .. } => self.wait_expires_at(branch, rules),
                CallState::Idle | CallState::InFlight { .. } => None,
            };
            let word = branch.word.as_ref().map(|word| word.takes_effect);
            let lone_ack = match branch.state {
                BranchState::Done { unwritten_since, .. } => {
                    unwritten_since.map(|since| since.after(rules.ack_flush_after))
                }
                BranchState::Registered | BranchState::Tried | BranchState::Refused => None,
            };
            let parked = if parks { branch.parks_at(rules.park_after) } else { None };
            next = sooner(sooner(next, call), sooner(word, sooner(lone_ack, parked)));
        }
        let Some(initiator) = self.initiator.as_deref() else { return next };
        let asked = match initiator.call_state {
            CallState::Due(at) => Some(at),
            CallState::Idle
            | CallState::Held(_)
            | CallState::Waiting { .. }
            | CallState::InFlight { .. } => None,
        };
        sooner(next, sooner(asked, initiator.parks_at(rules.park_after)))
    }

    /// Takes the decision. The only way out of `Trying`.
    pub(super) fn decide(&mut self, decision: Decision, step: &mut Step<'_>) {
        if matches!(decision, Decision::Cancel { reason: Reason::Deadline, .. }) {
            // The two clocks do not go to the millisecond alike.
            step.now.wall = not_before(step.now.wall, self.spec.deadline_at);
        }
        let decided = Decided { at: step.now.wall, decision };
        if matches!(decided.decision, Decision::Cancel { .. }) {
            self.skip_what_was_not_reached(decided.at);
        }
        for branch in self.branches.iter_mut().filter(|branch| !branch.is_done()) {
            branch.failure_stats = FailureStats::default();
            branch.told_parked = None;
            branch.parked = false;
            branch.call_state = match branch.spec.url(decided.decision.op()) {
                Some(_) => branch.first_call(decided.decision.op(), Duration::ZERO, step.now.mono),
                None => CallState::Idle,
            };
        }
        self.phase = Phase::SecondPhase(decided.clone());
        self.initiator = None;
        // What led to the decision goes before it: if a crash comes between the two, the
        // decision follows from the rows again.
        let status = self.status();
        for branch in &mut self.branches {
            branch.write_row_if_untold(self.spec.pattern, status, step);
        }
        step.changes.push(Change::Decided(decided));
        self.acknowledge_absent_legs(step);
    }

    /// What cannot have been called is not cancelled either: it has nothing to undo.
    fn skip_what_was_not_reached(&mut self, at: Wall) {
        for position in self.unreached() {
            let branch = branch_at(&mut self.branches, position);
            branch.skipped = true;
            branch.state = BranchState::Done { at, unwritten_since: None };
            branch.call_state = CallState::Idle;
        }
    }

    /// A leg without a URL is done when its turn comes.
    pub(super) fn acknowledge_absent_legs(&mut self, step: &Step<'_>) {
        let op = match &self.phase {
            Phase::SecondPhase(decided) => decided.decision.op(),
            Phase::Trying { .. } | Phase::Finished { .. } => return,
        };
        // One that is done may give another its turn.
        loop {
            let turn = self.turn();
            let mut came = false;
            for (position, branch) in self.branches.iter_mut().enumerate() {
                if branch.spec.url(op).is_none() && !branch.is_done() && turn.includes(position) {
                    let unwritten_since = Some(step.now.mono);
                    branch.state = BranchState::Done { at: step.now.wall, unwritten_since };
                    came = true;
                }
            }
            if !came || turn == Turn::Everyone {
                return;
            }
        }
    }

    fn finish_if_everyone_acknowledged(&mut self, step: &mut Step<'_>) {
        let decided = match &self.phase {
            Phase::SecondPhase(decided) => decided.clone(),
            Phase::Trying { .. } | Phase::Finished { .. } => return,
        };
        if !self.is_complete() {
            return;
        }
        let (at, status) = (step.now.wall, decided.decision.finished_status());
        for branch in &mut self.branches {
            branch.parked = false;
        }
        self.phase = Phase::Finished { decided, at };
        for branch in &mut self.branches {
            branch.write_final_row(self.spec.pattern, status, step);
        }
        if std::mem::take(&mut self.parked_row) {
            step.completion.push(Change::Parked(false));
        }
        step.completion.push(Change::Finished { status, at });
    }

    /// So that a crash long before the last acknowledgement does not forget the first ones.
    fn write_acknowledgements_that_wait_alone(&mut self, step: &mut Step<'_>) {
        match &self.phase {
            Phase::SecondPhase(_) => {}
            Phase::Trying { .. } | Phase::Finished { .. } => return,
        }
        for branch in &mut self.branches {
            let BranchState::Done { unwritten_since, .. } = &mut branch.state else { continue };
            let waited = unwritten_since.map(|since| step.now.mono.since(since));
            if waited.is_some_and(|waited| waited >= step.rules.ack_flush_after) {
                *unwritten_since = None;
                branch.parked = false;
                branch.write_row_into(step);
            }
        }
    }

    fn call_what_is_due(&mut self, step: &mut Step<'_>) {
        let (decision, turn) = (self.decision().cloned(), self.turn());
        let (is_ordered, steps) = (self.order.is_some(), self.branches.len());
        let first = step.calls.len();
        for (position, branch) in self.branches.iter_mut().enumerate() {
            let due = match branch.call_state {
                CallState::Due(at) | CallState::Held(at) => at <= step.now.mono,
                CallState::Idle | CallState::Waiting { .. } | CallState::InFlight { .. } => false,
            };
            if !due || !turn.includes(position) {
                continue;
            }
            let Some(op) = branch.needs(decision.as_ref()) else {
                branch.call_state = CallState::Idle;
                continue;
            };
            let url = branch.spec.url(op);
            if let Some(at) = url.and_then(|url| step.rules.paused.place_of(url)) {
                branch.call_state = CallState::Waiting { since: step.now.mono, at };
                continue;
            }
            let attempts = branch.attempts.get_mut(op);
            *attempts = attempts.saturating_add(1);
            let attempt = *attempts;
            branch.call_state = CallState::InFlight { op, attempt };
            // One for which there was no room is offered again, and told once.
            if is_ordered && !std::mem::replace(branch.told_called.get_mut(op), true) {
                let (kind, branch) = (EventKind::StepCalled, &branch.spec.id);
                let line = Line { kind, branch, op, attempt, detail: "" };
                step.stepped(&mut self.history, steps, line);
            }
            let branch = Arc::clone(&branch.spec);
            step.calls.push(Wanted { branch, op, attempt, asks: false, results: None });
        }
        for wanted in step.calls.iter_mut().skip(first) {
            wanted.results = self.call_results(&wanted.branch, wanted.op);
        }
    }

    /// When the transaction gives up on an unanswered Try, for those it calls.
    pub(crate) fn deadline_for(&self, op: Op) -> Option<tercet_wire::Wall> {
        (op == Op::Try).then_some(self.spec.deadline_at)
    }
}
