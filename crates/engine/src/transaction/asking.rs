//! The initiator of an open transaction, asked what became of it.
//!
//! ```text
//!           deadline, no Try unanswered        2xx: Confirm is decided
//!  Trying ──────────────────────────────▶ asked ──▶ 404, 409, 410: Cancel is decided
//!                                         ▲   │
//!                                         └───┘ 202, any other answer, none: asked again
//! ```
//!
//! It is called like a branch that is tried, through the same queues, and is none: what it says
//! decides, and nobody tells it the decision. That it is asked follows from the rows and from the
//! time, so that a crash forgets nothing; only that it is shown to people has a place in the rows.
//! Confirm and cancel are taken meanwhile, and whatever is answered after a decision changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{
    Answer, BranchId, BranchSpec, CallOp, EventKind, FailureKind, Fingerprint, Mono, Now, Op,
    PerOp, Reason, TryBy, Verdict, check_verdict,
};
use url::Url;

use crate::dispatch::{Destination, Health, health};
use crate::record::Decision;
use crate::transaction::answers::{keep_answer, told};
use crate::transaction::backpressure::{NO_ROOM, NO_ROOM_HERE, pause};
use crate::transaction::branch::{Branch, CallState};
use crate::transaction::step::{ParkedNow, Wanted};
use crate::transaction::{Doubt, Phase, Step, Transaction};

/// The longest that one call may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Its body.
const PAYLOAD: &str = "{}";

impl Transaction {
    /// Its initiator, while it is asked what became of the transaction.
    #[must_use]
    pub fn initiator(&self) -> Option<&Branch> {
        self.initiator.as_deref()
    }

    /// Whether its initiator is asked when its time is over, or is asked now: nothing is added to
    /// it then.
    pub(super) fn is_for_its_initiator_to_say(&self, now: Mono) -> bool {
        let Phase::Trying { deadline } = &self.phase else { return false };
        self.spec.check().is_some() && (self.initiator.is_some() || *deadline <= now)
    }

    /// Whether its initiator is asked instead of cancelling. A Try without an answer cancels: what
    /// nobody knows to be reserved cannot be confirmed, whatever the initiator says.
    pub(super) fn asks_at_the_deadline(&self) -> bool {
        self.spec.check().is_some() && !self.branches.iter().any(Branch::is_try_outstanding)
    }

    /// From its deadline on, if nothing has been decided.
    pub(super) fn begin_to_ask(&mut self, now: Now) {
        let Some(url) = self.spec.check() else { return };
        let is_over = self.deadline().is_some_and(|deadline| deadline <= now.mono);
        if is_over && self.initiator.is_none() {
            self.initiator = Some(Box::new(initiator(url, now.mono, now)));
        }
    }

    /// It was asked before, and the rows were read again. `parked`: why people were told of it.
    pub(super) fn goes_on_asking(&mut self, parked: Option<Option<Doubt>>, now: Now) {
        let Some(url) = self.spec.check() else { return };
        if self.decided().is_some() {
            return;
        }
        let mut it = self.initiator.take().unwrap_or_else(|| {
            let since = match parked {
                // At a start people are told anew only of what lasts.
                Some(None) => now.mono,
                Some(Some(_)) | None => {
                    let ago = now.wall.since(self.spec.deadline_at).as_millis();
                    Mono(now.mono.0.saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX)))
                }
            };
            Box::new(initiator(url, since, now))
        });
        if let Some(told) = parked {
            (it.parked, it.told_parked) = (true, told);
        }
        self.initiator = Some(it);
    }

    /// Asks it, if it is time.
    pub(super) fn ask_if_due(&mut self, step: &mut Step<'_>) {
        let Some(initiator) = self.initiator.as_deref_mut() else { return };
        if !matches!(initiator.call_state, CallState::Due(at) if at <= step.now.mono) {
            return;
        }
        let url = initiator.spec.url(Op::Try);
        if let Some(at) = url.and_then(|url| step.rules.paused.place_of(url)) {
            initiator.call_state = CallState::Waiting { since: step.now.mono, at };
            return;
        }
        initiator.attempts.try_ = initiator.attempts.try_.saturating_add(1);
        let (op, attempt) = (Op::Try, initiator.attempts.try_);
        initiator.call_state = CallState::InFlight { op, attempt };
        let branch = Arc::clone(&initiator.spec);
        step.calls.push(Wanted { branch, op, attempt, asks: true, results: None });
    }

    /// There was no room to ask it.
    pub(crate) fn ask_not_sent(&mut self, at: Option<Destination>, step: &mut Step<'_>) {
        let entropy = step.entropy(self.branches.len());
        let Some(initiator) = self.initiator.as_deref_mut() else { return };
        initiator.attempts.try_ = initiator.attempts.try_.saturating_sub(1);
        let since = *initiator.failure_stats.no_room_since.get_or_insert(step.now.mono);
        let why = if at.is_some() { NO_ROOM } else { NO_ROOM_HERE };
        initiator.call_state = match at {
            Some(at) => CallState::Waiting { since, at },
            None => CallState::Due(step.now.mono.after(pause(initiator, step.rules, entropy))),
        };
        if !Self::is_paused(initiator, Op::Try, step) {
            initiator.last_error.get_or_insert_with(|| Arc::from(why));
        }
    }

    /// It has answered.
    pub(crate) fn initiator_answered(&mut self, answer: &Answer, step: &mut Step<'_>) {
        let entropy = step.entropy(self.branches.len());
        let Some(initiator) = self.initiator.as_deref_mut() else { return };
        let attempt = initiator.attempts.try_;
        let stats = &mut initiator.failure_stats;
        (stats.no_room, stats.no_room_since) = (0, None);
        let detail = told(initiator.last_answer.as_deref(), Op::Try, answer);
        match check_verdict(answer) {
            Verdict::Done => {
                step.happened_at_initiator(&mut self.history, EventKind::Checked, attempt, &detail);
                self.decide(Decision::Confirm, step);
            }
            Verdict::Refused => {
                step.happened_at_initiator(&mut self.history, EventKind::Checked, attempt, &detail);
                let (reason, detail) = (Reason::Check, Some(Arc::from(answer.summary())));
                self.decide(Decision::Cancel { reason, detail }, step);
            }
            Verdict::InProgress(pause) => {
                let next = step.now.mono.after(pause);
                stats.permanent_in_a_row = 0;
                stats.unreachable = false;
                stats.pause_asked = true;
                // A sign of life: from when it wants to be asked again the next doubt begins.
                stats.since = Some(next);
                initiator.call_state = CallState::Due(next);
                initiator.told_parked = None;
                initiator.parked = false;
            }
            Verdict::Again { failure, pause: asked } => {
                keep_answer(initiator, Op::Try, answer, step);
                initiator.failed(failure, &answer.summary());
                let stats = &mut initiator.failure_stats;
                stats.unreachable = health(answer) == Health::Failed;
                stats.pause_asked = asked.is_some();
                let pause = step.rules.backoff.pause(stats.failures, entropy, asked);
                let is_hopeless = failure == FailureKind::NotAllowed
                    || stats.permanent_in_a_row >= step.rules.park_after_permanent_errors;
                initiator.call_state = CallState::Due(step.now.mono.after(pause));
                step.happened_at_initiator(
                    &mut self.history,
                    EventKind::CallFailed,
                    attempt,
                    &detail,
                );
                if is_hopeless {
                    self.park_initiator(Doubt::Hopeless, step);
                }
            }
        }
    }

    /// Shows it to people if it has been without an answer for too long.
    pub(super) fn park_initiator_if_late(&mut self, step: &mut Step<'_>) {
        let parks_at = self.initiator.as_deref().and_then(|it| it.parks_at(step.rules.park_after));
        if parks_at.is_some_and(|at| at <= step.now.mono) {
            self.park_initiator(Doubt::Late, step);
        }
    }

    fn park_initiator(&mut self, doubt: Doubt, step: &mut Step<'_>) {
        let Some(initiator) = self.initiator.as_deref_mut() else { return };
        let is_paused = Self::is_paused(initiator, Op::Try, step);
        if initiator.told_parked >= Some(doubt) || is_paused {
            return;
        }
        initiator.told_parked = Some(doubt);
        let (op, attempts) = (Op::Try, initiator.attempts.try_);
        let branch = Arc::clone(&initiator.spec);
        step.parked.push(ParkedNow { branch, op, attempts, doubt, asks: true });
        if std::mem::replace(&mut initiator.parked, true) {
            return;
        }
        let since = initiator.failure_stats.since.unwrap_or(step.now.mono);
        let waited = step.now.mono.since(since);
        let detail = initiator
            .last_error
            .clone()
            .unwrap_or_else(|| Arc::from(format!("no answer for {} ms", waited.as_millis())));
        step.happened_at_initiator(&mut self.history, EventKind::Parked, attempts, &detail);
        self.write_parked_if_untold(step);
    }
}

/// The initiator as one that is called.
fn initiator(check: &Arc<Url>, since: Mono, now: Now) -> Branch {
    let spec = BranchSpec {
        id: BranchId::of_check(),
        position: 0,
        urls: PerOp { try_: Some(Arc::clone(check)), confirm: None, cancel: None },
        headers: BTreeMap::new(),
        payload: Arc::from(PAYLOAD),
        timeout: TIMEOUT,
        try_by: TryBy::Coordinator,
        options: None,
        fingerprint: Fingerprint::from_text(CallOp::Check.as_str()),
    };
    let mut initiator = Branch::new(Arc::new(spec), now);
    initiator.failure_stats.since = Some(since);
    initiator
}
