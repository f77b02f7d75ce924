//! A decided transaction of which nothing is under way may leave memory: its rows are enough.

use tercet_wire::{Mono, Op};

use crate::transaction::branch::{BranchState, CallState, FailureStats};
use crate::transaction::{Phase, Step, Transaction};

/// About what a transaction takes in memory beyond the texts it was given, and each of its
/// branches: bytes, measured on a node with many.
const TRANSACTION_BYTES: usize = 1_024;
const BRANCH_BYTES: usize = 1_024;

/// A branch that is to be called after a pause, and why: the rows do not say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BranchBackoff {
    position: usize,
    until: Mono,
    failure_stats: FailureStats,
}

impl Transaction {
    /// The backoffs of its branches, and when the first of them needs it here: at once, if a
    /// branch waits for capacity.
    pub(crate) fn backoffs(&self) -> (Option<Mono>, Vec<BranchBackoff>) {
        let mut backoffs = Vec::new();
        let mut waits = false;
        for (position, branch) in self.branches.iter().enumerate() {
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

    /// Whether it is decided and nothing is under way: it waits for time to pass or for capacity.
    pub(crate) fn is_evictable(&self) -> bool {
        let under_way = |call_state: &CallState| match call_state {
            CallState::InFlight { .. } => true,
            CallState::Idle | CallState::Due(_) | CallState::Waiting { .. } => false,
        };
        match &self.phase {
            Phase::SecondPhase(_) => {
                !self.branches.iter().any(|branch| under_way(&branch.call_state))
            }
            Phase::Trying { .. } | Phase::Finished { .. } => false,
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
            BRANCH_BYTES + spec.payload.len() + urls.sum::<usize>() + headers.sum::<usize>()
        });
        TRANSACTION_BYTES + texts + branches.sum::<usize>()
    }
}
