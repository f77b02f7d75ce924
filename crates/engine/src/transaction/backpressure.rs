//! Calls that found no room, and what becomes of them when there is some.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{EventKind, FailureKind, Mono, Op};
use url::Url;

use crate::dispatch::Destination;
use crate::record::Decision;
use crate::transaction::answers::before;
use crate::transaction::branch::{Branch, CallState};
use crate::transaction::history::Line;
use crate::transaction::{Phase, Rules, Step, Transaction, branch_at};

/// How often the pause after a call without room is doubled at most.
const DOUBLINGS: u32 = 6;

pub(super) const NO_ROOM: &str = "no room at its destination";
pub(super) const NO_ROOM_HERE: &str = "no room in the coordinator for another call";

impl Transaction {
    /// There was no room for the call under way: it was never made. It waits for room at its
    /// destination; where the node itself had none, it is offered again after a pause.
    pub(crate) fn not_sent(
        &mut self,
        position: usize,
        op: Op,
        at: Option<Destination>,
        step: &mut Step<'_>,
    ) {
        let (deadline, entropy) = (self.deadline(), step.entropy(position));
        let branch = branch_at(&mut self.branches, position);
        let attempts = branch.attempts.get_mut(op);
        *attempts = attempts.saturating_sub(1);
        if std::mem::take(&mut branch.left_behind) {
            branch.call_state = CallState::Due(step.now.mono);
            return;
        }
        let since = *branch.failure_stats.no_room_since.get_or_insert(step.now.mono);
        let why = if at.is_some() { NO_ROOM } else { NO_ROOM_HERE };
        branch.call_state = match at {
            Some(at) => CallState::Waiting { since, at },
            None => {
                let pause = pause(branch, step.rules, entropy);
                CallState::Due(before(deadline, step.now.mono, pause, None))
            }
        };
        if op != Op::Try && !Self::is_paused(branch, op, step) {
            // Nobody has answered anything wrong, but people should know that it waits.
            branch.last_error.get_or_insert_with(|| Arc::from(why));
        }
    }

    /// There is room at a destination: what waits for it is called now.
    pub(crate) fn capacity_freed(&mut self, destination: &Destination, step: &Step<'_>) {
        for branch in self.callees_mut() {
            if matches!(&branch.call_state, CallState::Waiting { at, .. } if at == destination) {
                branch.call_state = CallState::Due(step.now.mono);
            }
        }
    }

    /// A destination answers again: who pauses after a failed call there waits for room only.
    pub(crate) fn destination_healed(
        &mut self,
        destination: &Destination,
        path_segments: usize,
        step: &Step<'_>,
    ) {
        let decision = self.decision().cloned();
        for branch in self.callees_mut() {
            let url = paused_call(branch, decision.as_ref());
            if url.is_some_and(|url| destination.is_of(url, path_segments)) {
                branch.call_state =
                    CallState::Waiting { since: step.now.mono, at: destination.clone() };
            }
        }
    }

    /// Where this transaction backs off after a call failed.
    pub(crate) fn backs_off_at(&self, path_segments: usize) -> Vec<Destination> {
        let decision = self.decision();
        let urls = self.callees().filter_map(|branch| paused_call(branch, decision));
        let mut places: Vec<_> = urls.map(|url| Destination::of(url, path_segments)).collect();
        places.sort();
        places.dedup();
        places
    }

    /// Where this transaction waits for room, and since when.
    pub(crate) fn waits_at(&self) -> Vec<(Destination, Mono)> {
        let mut places = Vec::new();
        for branch in self.callees() {
            if let CallState::Waiting { since, at } = &branch.call_state {
                places.push((at.clone(), *since));
            }
        }
        places.sort();
        places.dedup();
        places
    }

    /// When waiting for room has consequences for one that does: a Try uses up an attempt in the
    /// time that its call may take, unless nobody may call.
    pub(super) fn wait_expires_at(&self, branch: &Branch, rules: &Rules) -> Option<Mono> {
        match (&self.phase, &branch.call_state) {
            (Phase::Trying { .. }, CallState::Waiting { since, .. }) => {
                let is_paused = branch.spec.url(Op::Try).is_some_and(|url| rules.paused.holds(url));
                (!is_paused).then(|| since.after(branch.spec.timeout))
            }
            (Phase::Trying { .. } | Phase::SecondPhase(_) | Phase::Finished { .. }, _) => None,
        }
    }

    /// Draws the consequences of having waited for room too long.
    pub(super) fn expire_waits(&mut self, step: &mut Step<'_>) {
        let Some(deadline) = self.deadline() else { return };
        let op = Op::Try;
        for position in 0..self.branches.len() {
            let entropy = step.entropy(position);
            let branch = branch_at(&mut self.branches, position);
            let CallState::Waiting { since, .. } = &branch.call_state else { continue };
            let is_over = step.now.mono >= since.after(branch.spec.timeout);
            if !is_over || Self::is_paused(branch, op, step) {
                continue;
            }
            let attempts = branch.attempts.get_mut(op);
            *attempts = attempts.saturating_add(1);
            let attempt = *attempts;
            branch.failed(FailureKind::Transient, NO_ROOM);
            branch.failure_stats.no_room_since = None;
            let pause = step.rules.backoff.pause(branch.failure_stats.failures, entropy, None);
            let next = before(Some(deadline), step.now.mono, pause, None);
            branch.call_state = CallState::Due(next);
            let (kind, branch) = (EventKind::CallFailed, &branch.spec.id);
            let line = Line { kind, branch, op, attempt, detail: NO_ROOM };
            step.happened(&mut self.history, line);
        }
    }
}

/// The call that a branch makes again after a pause, having failed.
pub(super) fn paused_call<'a>(branch: &'a Branch, decision: Option<&Decision>) -> Option<&'a Url> {
    let pauses = matches!(branch.call_state, CallState::Due(_));
    // A pause that the participant asked for is kept: whoever heals is not to be overrun.
    if !pauses || branch.failure_stats.failures == 0 || branch.failure_stats.pause_asked {
        return None;
    }
    let url = branch.needs(decision).and_then(|op| branch.spec.url(op));
    url.map(AsRef::as_ref)
}

/// The pause before a call is offered again. Thousands may wait for the same room: each offers
/// itself less and less often, or offering would be all that the node does.
pub(super) fn pause(branch: &mut Branch, rules: &Rules, entropy: u64) -> Duration {
    let doublings = branch.failure_stats.no_room.min(DOUBLINGS);
    branch.failure_stats.no_room = branch.failure_stats.no_room.saturating_add(1);
    let pause = rules.no_room_pause.saturating_mul(1 << doublings);
    // Between one and two pauses, so that what was refused together does not return together.
    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    pause + Duration::from_millis(entropy % pause_ms.saturating_add(1))
}
