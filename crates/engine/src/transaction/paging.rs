//! A transaction that is decided, or open, and of which nothing is under way may leave memory: its
//! rows are enough.

use std::time::Duration;

use tercet_wire::{Mono, Now, Op, Wall, host_port};

use crate::transaction::branch::{Branch, BranchState, CallState, FailureStats};
use crate::transaction::{Phase, Rules, Step, Transaction};

/// About what a transaction takes in memory beyond the texts it was given, and each of its
/// branches: bytes, measured on a node with many.
const TRANSACTION_BYTES: usize = 1_024;
const BRANCH_BYTES: usize = 1_024;
/// And each id in a set of those that come before one.
const SET_BYTES: usize = 64;

/// One that waits for room to ask its initiator looks for it again after so long, if it was paged
/// out meanwhile: nobody would find it there.
const LOOKS_FOR_ROOM: Duration = Duration::from_secs(10);

/// A branch that is to be called after a pause, and why: the rows do not say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BranchBackoff {
    /// Its position; none: it is the initiator that is asked.
    pub(crate) position: Option<usize>,
    until: Mono,
    failure_stats: FailureStats,
}

/// What one that is paged out has to do by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wake {
    /// When.
    pub(crate) at: Mono,
    /// What.
    pub(crate) to: WakesTo,
}

/// What there is to be done by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WakesTo {
    /// It is cancelled for want of a decision.
    Decide,
    /// Its initiator is asked, since its deadline is over.
    Ask,
    /// A branch is shown to people.
    Park {
        /// When the first of those is that do not pause: of the others it is remembered.
        shown: Option<Mono>,
        /// Until when the first Confirm is or was put off of those that were not called.
        put_off: Option<Mono>,
    },
    /// A Confirm that was put off is called; others of it are waited for.
    Confirm {
        /// As above.
        shown: Option<Mono>,
        /// As above.
        put_off: Option<Mono>,
    },
    /// A Confirm that was put off is called, and it waits for nothing else.
    ConfirmAlone,
}

/// What is counted of one that is paged out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// When it was begun.
    pub(crate) created_at: Wall,
    /// Branches that are shown to people.
    pub(crate) parked_branches: usize,
    /// The `host:port` that each branch waits for, and whether it is shown to people.
    pub(crate) participants: Vec<(String, bool)>,
}

impl Transaction {
    /// The backoffs of its branches, and when the first of them needs it here: at once, if a
    /// branch waits for capacity.
    pub(crate) fn backoffs(&self) -> (Option<Mono>, Vec<BranchBackoff>) {
        let (mut backoffs, turn) = (Vec::new(), self.turn());
        let mut waits = false;
        for (position, branch) in self.branches.iter().enumerate() {
            if !turn.includes(position) {
                continue;
            }
            match branch.call_state {
                CallState::Due(until) => {
                    backoffs.push(BranchBackoff {
                        position: Some(position),
                        until,
                        failure_stats: branch.failure_stats.clone(),
                    });
                }
                CallState::Waiting { .. } | CallState::InFlight { .. } => waits = true,
                // Its rows say until when.
                CallState::Idle | CallState::Held(_) => {}
            }
        }
        if let Some(initiator) = self.initiator()
            && let CallState::Due(until) = initiator.call_state
        {
            let failure_stats = initiator.failure_stats.clone();
            backoffs.push(BranchBackoff { position: None, until, failure_stats });
        }
        let first = backoffs.iter().map(|backoff| backoff.until).min();
        (first.filter(|_| !waits), backoffs)
    }

    /// The rows were read again: its branches go on with the backoffs they had.
    pub(crate) fn resume_backoffs(&mut self, backoffs: Vec<BranchBackoff>) {
        for BranchBackoff { position, until, failure_stats } in backoffs {
            // Somebody may have mended the rows meanwhile: what they say of branches goes.
            let branch = match position {
                Some(position) => self.branches.get_mut(position),
                None => self.initiator.as_deref_mut(),
            };
            let Some(branch) = branch else { continue };
            if matches!(branch.call_state, CallState::Due(_)) {
                branch.call_state = CallState::Due(until);
                // No row counts how often an initiator was asked, and whoever was not answered is to be
                // called by a fresh connection.
                if position.is_none() {
                    branch.attempts.try_ = branch.attempts.try_.max(failure_stats.failures);
                }
                branch.failure_stats = failure_stats;
            }
        }
    }

    /// Legs of steps that its history says were called, though its rows do not: there was no room.
    pub(crate) fn told_and_not_called(&self) -> Vec<(usize, Op)> {
        if self.order.is_none() {
            return Vec::new();
        }
        let steps = self.branches.iter().enumerate();
        let told = steps.flat_map(|(position, branch)| {
            let told = |op: &&Op| *branch.told_called.get(**op) && *branch.attempts.get(**op) == 0;
            Op::ALL.iter().filter(told).map(move |op| (position, *op))
        });
        told.collect()
    }

    /// The rows were read again: its history says that these were called.
    pub(crate) fn were_told(&mut self, told: Vec<(usize, Op)>) {
        for (position, op) in told {
            if let Some(branch) = self.branches.get_mut(position) {
                *branch.told_called.get_mut(op) = true;
            }
        }
    }

    /// Whether nothing is under way and its rows are enough to go on from: it is decided and waits
    /// for time to pass or for capacity, or it is open and waits for its initiator.
    pub(crate) fn is_evictable(&self) -> bool {
        match &self.phase {
            Phase::SecondPhase(_) => !self.branches.iter().any(|branch| match branch.call_state {
                CallState::InFlight { .. } => true,
                CallState::Idle
                | CallState::Due(_)
                | CallState::Held(_)
                | CallState::Waiting { .. } => branch.overtaken.is_some(),
            }),
            Phase::Trying { .. } => {
                let is_asked = |it: &Branch| matches!(it.call_state, CallState::InFlight { .. });
                // Nobody would find it when it is released.
                self.spec.open
                    && !self.held
                    && self.branches.iter().all(|it| it.call_state == CallState::Idle)
                    && !self.initiator().is_some_and(is_asked)
            }
            Phase::Finished { .. } => false,
        }
    }

    /// Whether it may be left in the journal as it was found at a start: it is decided and waits for
    /// its calls, or open and nothing is to be called; and nothing follows at once from what its
    /// rows say, where a stop came before the records that say what does.
    pub(crate) fn may_rest_from_the_start(&self) -> bool {
        match &self.phase {
            Phase::SecondPhase(_) => {
                let has_a_word = self.branches.iter().any(|branch| branch.word.is_some());
                let is_listed_rightly = self.parked_row == self.is_parked();
                !has_a_word && !self.is_complete() && is_listed_rightly
            }
            Phase::Trying { .. } => {
                let is_refused = |branch: &Branch| branch.state == BranchState::Refused;
                let is_listed_rightly = self.parked_row == self.is_parked();
                let has_refused = self.branches.iter().any(is_refused);
                self.is_evictable() && is_listed_rightly && !has_refused
            }
            Phase::Finished { .. } => false,
        }
    }

    /// Whether it waits for nobody: all that is left of it is put off, or comes after what is.
    pub(crate) fn is_asleep(&self) -> bool {
        match &self.phase {
            Phase::SecondPhase(_) => {}
            Phase::Trying { .. } | Phase::Finished { .. } => return false,
        }
        let turn = self.turn();
        let mut in_turn = self.branches.iter().enumerate();
        self.branches.iter().any(Branch::is_held)
            && in_turn.all(|(position, branch)| {
                branch.is_done() || branch.is_held() || !turn.includes(position)
            })
    }

    /// What it has to do by itself while it is paged out, beside being called, and when.
    pub(crate) fn wakes_at(&self, rules: &Rules) -> Option<Wake> {
        match &self.phase {
            Phase::Trying { deadline } => match self.initiator() {
                None => Some(Wake { at: *deadline, to: WakesTo::Decide }),
                Some(initiator) => {
                    let parks = initiator.parks_at(rules.park_after).filter(|_| !initiator.parked);
                    let asked = match initiator.call_state {
                        CallState::Due(at) => at,
                        CallState::Waiting { since, .. } => since.after(LOOKS_FOR_ROOM),
                        CallState::Idle | CallState::Held(_) | CallState::InFlight { .. } => {
                            *deadline
                        }
                    };
                    let at = parks.into_iter().chain([asked]).min();
                    at.map(|at| Wake { at, to: WakesTo::Ask })
                }
            },
            Phase::SecondPhase(_) => {
                let parks = |branch: &Branch| branch.parks_at(rules.park_after);
                let unshown = || self.branches.iter().filter(|branch| !branch.parked);
                let first = unshown().filter_map(parks).min();
                let pauses = |branch: &&Branch| matches!(branch.call_state, CallState::Due(_));
                let shown = unshown().filter(|it| !pauses(it)).filter_map(parks).min();
                let turn = self.turn();
                let held =
                    self.branches.iter().enumerate().filter_map(|(position, branch)| match branch
                        .call_state
                    {
                        CallState::Held(until) => turn.includes(position).then_some(until),
                        CallState::Idle
                        | CallState::Due(_)
                        | CallState::Waiting { .. }
                        | CallState::InFlight { .. } => None,
                    });
                let held = held.min();
                let to = match self.is_asleep() {
                    true => WakesTo::ConfirmAlone,
                    false => WakesTo::Confirm { shown, put_off: self.put_off_until() },
                };
                let put_off = self.put_off_until();
                let parks = first.map(|at| Wake { at, to: WakesTo::Park { shown, put_off } });
                let held = held.map(|at| Wake { at, to });
                parks.into_iter().chain(held).min_by_key(|wake| wake.at)
            }
            Phase::Finished { .. } => None,
        }
    }

    /// The rows were read again: its clocks go on as they were when it left.
    pub(crate) fn resume_clocks(&mut self, wake: Wake, rules: &Rules, now: Now) {
        match (wake.to, &mut self.phase) {
            (WakesTo::Ask, Phase::Trying { deadline }) => {
                *deadline = (*deadline).min(now.mono);
                self.goes_on_asking(None, now);
                if let Some(initiator) = self.initiator.as_deref_mut() {
                    initiator.call_state = CallState::Due(wake.at);
                }
            }
            (WakesTo::Decide, Phase::Trying { deadline }) => *deadline = wake.at,
            (WakesTo::Park { shown, put_off }, Phase::SecondPhase(_)) => {
                if let Some(at) = shown {
                    self.are_shown_at(at, rules, |_| true);
                }
                if let Some(until) = put_off {
                    self.is_put_off_no_longer_than_until(until);
                }
            }
            (WakesTo::Confirm { shown, put_off }, Phase::SecondPhase(_)) => {
                if let Some(at) = shown {
                    // The time of one that was put off begins now.
                    let waited =
                        |it: &Branch| it.spec.confirm_after().is_none() || it.attempts.confirm > 0;
                    self.are_shown_at(at, rules, waited);
                }
                self.is_put_off_no_longer_than_until(put_off.unwrap_or(wake.at));
            }
            (WakesTo::ConfirmAlone, Phase::SecondPhase(_)) => {
                self.is_put_off_no_longer_than_until(wake.at);
            }
            (
                WakesTo::Park { .. } | WakesTo::Confirm { .. } | WakesTo::ConfirmAlone,
                Phase::Trying { .. },
            )
            | (WakesTo::Decide | WakesTo::Ask, Phase::SecondPhase(_))
            | (_, Phase::Finished { .. }) => {}
        }
    }

    /// Those that wait are to be shown to people from this moment on.
    fn are_shown_at(&mut self, at: Mono, rules: &Rules, who: impl Fn(&Branch) -> bool) {
        let ago = u64::try_from(rules.park_after.as_millis()).unwrap_or(u64::MAX);
        let since = Mono(at.0.saturating_sub(ago));
        for branch in self.branches.iter_mut().filter(|branch| who(branch)) {
            branch.failure_stats.since = branch.failure_stats.since.map(|_| since);
        }
    }

    /// Until when the first Confirm is put off of those that were not called; of one that finds no
    /// room that is over.
    fn put_off_until(&self) -> Option<Mono> {
        let turn = self.turn();
        let in_turn = self.branches.iter().enumerate().filter(|(place, _)| turn.includes(*place));
        let uncalled = in_turn.filter(|(_, branch)| {
            branch.spec.confirm_after().is_some() && branch.attempts.confirm == 0
        });
        let until = uncalled.filter_map(|(_, branch)| match branch.call_state {
            CallState::Held(until) | CallState::Due(until) => Some(until),
            CallState::Waiting { since, .. } => Some(since),
            CallState::Idle | CallState::InFlight { .. } => None,
        });
        until.min()
    }

    /// The rows say it by the wall clock. One that was set back meanwhile would put it off anew each
    /// time it comes back.
    fn is_put_off_no_longer_than_until(&mut self, at: Mono) {
        let turn = self.turn();
        let until = |branch: &Branch| match branch.call_state {
            CallState::Held(until) => Some(until),
            // Its time has come, so it is not put off anew.
            CallState::Due(due) => branch.spec.confirm_after().map(|_| due.min(at)),
            CallState::Idle | CallState::Waiting { .. } | CallState::InFlight { .. } => None,
        };
        let in_turn = self.branches.iter().enumerate().filter(|(place, _)| turn.includes(*place));
        let Some(first) = in_turn.filter_map(|(_, branch)| until(branch)).min() else { return };
        let too_long = first.0.saturating_sub(at.0);
        for branch in &mut self.branches {
            if let CallState::Held(until) = &mut branch.call_state {
                until.0 = until.0.saturating_sub(too_long);
            }
        }
    }

    /// From when on its age counts: what it was put off for is nobody's lateness.
    pub(crate) fn counts_from(&self) -> Wall {
        let created_at = self.spec.created_at;
        let Phase::SecondPhase(decided) = &self.phase else { return created_at };
        if decided.decision.op() != Op::Confirm {
            return created_at;
        }
        let turn = self.turn();
        let put_off = |position: usize| {
            let before = self.order.iter().flat_map(|order| order.before(position));
            let them = before.chain([position]).filter_map(|at| self.branches.get(at));
            them.filter_map(|it| it.spec.confirm_after()).max().unwrap_or_default()
        };
        let open = self.branches.iter().enumerate();
        let open = open.filter(|(at, it)| !it.is_done() && turn.includes(*at));
        match open.map(|(at, _)| put_off(at)).min() {
            Some(least) if !least.is_zero() => decided.at.after(least),
            Some(_) | None => created_at,
        }
    }

    /// What is counted of it while it is paged out.
    pub(crate) fn waiting(&self) -> Waiting {
        let (decision, turn) = (self.decision(), self.turn());
        let is_confirm = decision.is_some_and(|decision| decision.op() == Op::Confirm);
        // The same when it leaves and when it is back: not by whether its time has come meanwhile.
        let is_put_off =
            |it: &Branch| is_confirm && it.spec.confirm_after().is_some() && !it.parked;
        let open = self.branches.iter().enumerate();
        let open = open.filter(|(position, branch)| {
            !branch.is_done() && turn.includes(*position) && !is_put_off(branch)
        });
        let participants = open.filter_map(|(_, branch)| {
            let url = branch.needs(decision).and_then(|op| branch.spec.url(op))?;
            Some((host_port(url), branch.parked))
        });
        // Of an initiator the rows say that it is asked only where it is shown to people.
        let initiator = self.initiator().filter(|initiator| initiator.parked);
        let asked = initiator.and_then(|it| Some((host_port(it.spec.url(Op::Try)?), true)));
        Waiting {
            created_at: self.counts_from(),
            parked_branches: self.callees().filter(|branch| branch.parked).count(),
            participants: participants.chain(asked).collect(),
        }
    }

    /// Whether a branch has acknowledged, which may yet be written with its siblings'.
    pub(crate) fn has_unwritten_acknowledgements(&self) -> bool {
        let unwritten = |state: &BranchState| match state {
            BranchState::Done { unwritten_since, .. } => unwritten_since.is_some(),
            BranchState::Registered | BranchState::Tried | BranchState::Refused => false,
        };
        self.branches.iter().any(|branch| unwritten(&branch.state))
    }

    /// Writes what is known and the rows do not say, so that the rows are enough to go on from.
    pub(crate) fn write_untold_rows(&mut self, step: &mut Step<'_>) {
        let status = self.status();
        for branch in &mut self.branches {
            branch.write_row_if_untold(self.spec.pattern, status, step);
            if let BranchState::Done { unwritten_since, .. } = &mut branch.state {
                *unwritten_since = None;
            }
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let spec = &self.spec;
        let texts = spec.metadata.as_ref().map_or(0, |metadata| metadata.len())
            + spec.check().map_or(0, |url| BRANCH_BYTES + url.as_str().len());
        let branches = self.branches.iter().map(|branch| {
            let spec = &branch.spec;
            let urls = Op::ALL.iter().filter_map(|op| spec.url(*op)).map(|url| url.as_str().len());
            let headers = spec.headers.iter().map(|(name, value)| name.len() + value.len());
            let after = spec.after().into_iter().flatten().map(|id| id.as_str().len() + SET_BYTES);
            BRANCH_BYTES
                + spec.payload.len()
                + urls.sum::<usize>()
                + headers.sum::<usize>()
                + after.sum::<usize>()
        });
        TRANSACTION_BYTES + texts + branches.sum::<usize>() + self.words_bytes()
    }

    /// Bytes of what participants and operators have said, which changes while it goes on.
    pub(crate) fn words_bytes(&self) -> usize {
        let of_branches: usize = self.branches.iter().map(Branch::words_bytes).sum();
        of_branches + self.initiator().map_or(0, Branch::words_bytes) + self.results.bytes()
    }
}
