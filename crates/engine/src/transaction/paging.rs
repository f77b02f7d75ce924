//! A transaction that is decided, or open, and of which nothing is under way may leave memory: its
//! rows are enough.

use tercet_wire::{Mono, Op, Wall, host_port};

use crate::transaction::branch::{Branch, BranchState, CallState, FailureStats};
use crate::transaction::{Phase, Rules, Step, Transaction};

/// About what a transaction takes in memory beyond the texts it was given, and each of its
/// branches: bytes, measured on a node with many.
const TRANSACTION_BYTES: usize = 1_024;
const BRANCH_BYTES: usize = 1_024;
/// And each id in a set of those that come before one.
const SET_BYTES: usize = 64;

/// A branch that is to be called after a pause, and why: the rows do not say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BranchBackoff {
    position: usize,
    until: Mono,
    failure_stats: FailureStats,
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
                        position,
                        until,
                        failure_stats: branch.failure_stats.clone(),
                    });
                }
                CallState::Waiting { .. } | CallState::InFlight { .. } => waits = true,
                CallState::Idle => {}
            }
        }
        let first = backoffs.iter().map(|backoff| backoff.until).min();
        (first.filter(|_| !waits), backoffs)
    }

    /// The rows were read again: its branches go on with the backoffs they had.
    pub(crate) fn resume_backoffs(&mut self, backoffs: Vec<BranchBackoff>) {
        for BranchBackoff { position, until, failure_stats } in backoffs {
            // Somebody may have mended the rows meanwhile: what they say of branches goes.
            let Some(branch) = self.branches.get_mut(position) else { continue };
            if matches!(branch.call_state, CallState::Due(_)) {
                branch.call_state = CallState::Due(until);
                branch.failure_stats = failure_stats;
            }
        }
    }

    /// Whether nothing is under way and its rows are enough to go on from: it is decided and waits
    /// for time to pass or for capacity, or it is open and waits for its initiator.
    pub(crate) fn is_evictable(&self) -> bool {
        match &self.phase {
            Phase::SecondPhase(_) => !self.branches.iter().any(|branch| match branch.call_state {
                CallState::InFlight { .. } => true,
                CallState::Idle | CallState::Due(_) | CallState::Waiting { .. } => {
                    branch.overtaken.is_some()
                }
            }),
            Phase::Trying { .. } => {
                self.spec.open && self.branches.iter().all(|it| it.call_state == CallState::Idle)
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

    /// When it has something to do by itself while it is paged out, beside being called.
    pub(crate) fn wakes_at(&self, rules: &Rules) -> Option<Mono> {
        match &self.phase {
            Phase::Trying { deadline } => Some(*deadline),
            Phase::SecondPhase(_) => {
                let unshown = self.branches.iter().filter(|branch| !branch.parked);
                unshown.filter_map(|branch| branch.parks_at(rules.park_after)).min()
            }
            Phase::Finished { .. } => None,
        }
    }

    /// The rows were read again: its clocks go on as they were when it left.
    pub(crate) fn resume_clocks(&mut self, wake: Mono, rules: &Rules) {
        match &mut self.phase {
            Phase::Trying { deadline } => *deadline = wake,
            Phase::SecondPhase(_) => {
                let ago = u64::try_from(rules.park_after.as_millis()).unwrap_or(u64::MAX);
                let since = Mono(wake.0.saturating_sub(ago));
                for branch in &mut self.branches {
                    branch.failure_stats.since = branch.failure_stats.since.map(|_| since);
                }
            }
            Phase::Finished { .. } => {}
        }
    }

    /// What is counted of it while it is paged out.
    pub(crate) fn waiting(&self) -> Waiting {
        let (decision, turn) = (self.decision(), self.turn());
        let open = self.branches.iter().enumerate();
        let open = open.filter(|(position, branch)| !branch.is_done() && turn.includes(*position));
        let participants = open.filter_map(|(_, branch)| {
            let url = branch.needs(decision).and_then(|op| branch.spec.url(op))?;
            Some((host_port(url), branch.parked))
        });
        Waiting {
            created_at: self.spec.created_at,
            parked_branches: self.branches.iter().filter(|branch| branch.parked).count(),
            participants: participants.collect(),
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
        let texts = spec.metadata.as_ref().map_or(0, |metadata| metadata.len());
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
        self.branches.iter().map(Branch::words_bytes).sum::<usize>() + self.results.bytes()
    }
}
