//! From the journal's rows back to a transaction. No rules here: what is known is
//! read, everything that is needed is due now, and `advance` goes on from there.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{BranchId, BranchSpec, BranchStatus, Mono, Now, Op, PerOp};

use crate::record::BranchRecord;
use crate::stored::StoredTransaction;
use crate::transaction::branch::{Branch, BranchState, CallState, FailureStats, Word};
use crate::transaction::history::History;
use crate::transaction::pattern::order;
use crate::transaction::results::Results;
use crate::transaction::{Doubt, Phase, Step, Transaction, branch_rows};

/// The least that one more round of Try is given.
pub(super) const SHORTEST_ROUND: Duration = Duration::from_secs(1);

/// The most failures that attempts are taken for: a pause of some seconds follows from them.
const MOST_FAILURES: u32 = 7;

/// Why a transaction is taken up from its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// The node starts.
    AtStart {
        /// The wall clock is further ahead of the journal than any stop explains, so that what
        /// it says of deadlines is not to be believed at once.
        clock_doubted: bool,
    },
    /// It had left memory, or is only looked at.
    PagedIn,
}

impl Transaction {
    /// The transaction that these rows describe, to be looked at.
    #[must_use]
    pub fn restore(stored: &StoredTransaction, now: Now) -> Self {
        Self::resume(stored, Resume::PagedIn, now)
    }

    /// The transaction that these rows describe, to be gone on with.
    pub(crate) fn resume(stored: &StoredTransaction, resume: Resume, now: Now) -> Self {
        let (deadline, is_one_more_round) = deadline(stored, resume, now);
        let phase = match (&stored.decided, stored.finished_at) {
            (None, _) => Phase::Trying { deadline },
            (Some(decided), None) => Phase::SecondPhase(decided.clone()),
            (Some(decided), Some(at)) => Phase::Finished { decided: decided.clone(), at },
        };
        let branches = stored.branches.iter().map(|spec| {
            let row = stored.branch_records.iter().find(|row| row.branch == spec.id);
            restore_branch(spec, stored, row, resume, now)
        });
        let branches: Vec<Branch> = branches.collect();
        let mut transaction = Self {
            spec: Arc::clone(&stored.spec),
            phase,
            order: order(stored.spec.pattern, &branches),
            last_round: None,
            initiator: None,
            branches,
            results: Results::of(stored),
            history: History { lines: stored.history_len, kept: stored.history_kept },
            parked_row: stored.parked,
            taken_over_from: None,
            jobs: stored.jobs.clone(),
            held: false,
        };
        transaction.acknowledge_absent_legs(&Step::new(now, &super::Rules::default()));
        if is_one_more_round && stored.decided.is_none() {
            transaction.is_given_one_more_round();
        }
        // No branch is, and its time is over: it was its initiator that did not answer.
        if stored.decided.is_none()
            && stored.parked
            && !transaction.is_parked()
            && deadline <= now.mono
            && transaction.asks_at_the_deadline()
        {
            let told = (resume == Resume::PagedIn).then_some(Doubt::Hopeless);
            transaction.goes_on_asking(Some(told), now);
        }
        // Nobody waits yet for what may not be called yet.
        let turn = transaction.turn();
        for (position, branch) in transaction.branches.iter_mut().enumerate() {
            if !turn.includes(position) {
                branch.failure_stats.since = None;
            }
        }
        transaction
    }

    /// Position of a branch.
    #[must_use]
    pub(crate) fn position(&self, id: &BranchId) -> Option<usize> {
        self.branches.iter().position(|branch| branch.id() == id)
    }
}

fn restore_branch(
    spec: &Arc<BranchSpec>,
    stored: &StoredTransaction,
    row: Option<&BranchRecord>,
    resume: Resume,
    now: Now,
) -> Branch {
    let known = branch_rows::read(stored.spec.pattern, spec, stored.status, row);
    let failures = failures(stored, &known, resume);
    // Written just before the decision: had a stop come between the two, it would be decided anew.
    let skipped_at = stored.decided.as_ref().filter(|_| known.status == BranchStatus::Skipped);
    let acknowledged_at =
        skipped_at.map(|decided| decided.at).or(known.acknowledged_at).or(stored.finished_at);
    let state = match (acknowledged_at, known.status) {
        (Some(at), _) => BranchState::Done { at, unwritten_since: None },
        (None, BranchStatus::Registered | BranchStatus::Skipped) => {
            BranchState::before_its_try(spec)
        }
        (None, BranchStatus::Tried | BranchStatus::Confirmed | BranchStatus::Cancelled) => {
            BranchState::Tried
        }
        (None, BranchStatus::Refused) => BranchState::Refused,
    };
    let parked = known.parked && acknowledged_at.is_none();
    let word = known.pending_resolution.filter(|_| acknowledged_at.is_none());
    let mut branch = Branch {
        spec: Arc::clone(spec),
        state,
        call_state: CallState::Idle,
        attempts: known.attempts,
        told_called: PerOp {
            try_: known.attempts.try_ > 0,
            confirm: known.attempts.confirm > 0,
            cancel: known.attempts.cancel > 0,
        },
        failure_stats: FailureStats {
            since: in_doubt_since(stored, resume, now),
            failures,
            ..FailureStats::default()
        },
        parked,
        // At a start people are told anew of what lasts; of what was paged out all has been told.
        told_parked: (parked && resume == Resume::PagedIn).then_some(Doubt::Hopeless),
        last_error: known.last_error,
        answer: known.answer,
        last_answer: known.last_answer,
        resolved_as: known.resolved_as,
        skipped: skipped_at.is_some(),
        // No call is under way any more that it would have to wait for.
        word: word.map(|said| Word { said, takes_effect: now.mono }),
        overtaken: None,
        contradicted: known.contradicted,
        row: row.cloned().map(Box::new),
    };
    let needs = branch.needs(stored.decision());
    if let Some(op) = needs.filter(|op| spec.url(*op).is_some()) {
        // A wall clock that was set back puts it off by no more than it asked for.
        let decided = stored.decided.as_ref().map_or(Duration::ZERO, |it| now.wall.since(it.at));
        branch.call_state = branch.first_call(op, decided, now.mono);
        let since = &mut branch.failure_stats.since;
        *since = match (&branch.call_state, spec.confirm_after().filter(|_| op == Op::Confirm)) {
            (CallState::Held(_), _) => None,
            (_, Some(delay)) => since.map(|since| since.after(delay).min(now.mono)),
            (_, None) => *since,
        };
    }
    branch
}

/// When it is given up. A wall clock that was set back must not put that off, nor one that was
/// set forward bring it on before what is outstanding was asked once more; whether it is given that.
fn deadline(stored: &StoredTransaction, resume: Resume, now: Now) -> (Mono, bool) {
    let spec = &stored.spec;
    let given = spec.deadline_at.since(spec.created_at);
    let left = spec.deadline_at.since(now.wall).min(given);
    match resume {
        Resume::AtStart { clock_doubted: true } => {
            let calls = stored.branches.iter().map(|branch| branch.timeout);
            let round = calls.max().unwrap_or(SHORTEST_ROUND).max(SHORTEST_ROUND);
            (now.mono.after(left.max(round)), left < round)
        }
        Resume::AtStart { clock_doubted: false } | Resume::PagedIn => (now.mono.after(left), false),
    }
}

/// How often its present leg has failed, as far as the pause between calls goes. One that rests
/// and returns again and again would else begin with the shortest pause each time; but not every
/// attempt was a failure, where a participant was busy and said so.
fn failures(stored: &StoredTransaction, known: &BranchRecord, resume: Resume) -> u32 {
    match (resume, stored.decision()) {
        (Resume::PagedIn, Some(decision)) => {
            (*known.attempts.get(decision.op())).min(MOST_FAILURES)
        }
        (Resume::PagedIn, None) | (Resume::AtStart { .. }, _) => 0,
    }
}

/// Since when its branches are in doubt. While it rested nobody could see how its calls went;
/// a node that stopped is no sign of trouble at a participant.
fn in_doubt_since(stored: &StoredTransaction, resume: Resume, now: Now) -> Option<Mono> {
    match resume {
        Resume::AtStart { .. } => None,
        Resume::PagedIn => {
            let decided = stored.decided.as_ref()?;
            let ago = u64::try_from(now.wall.since(decided.at).as_millis()).unwrap_or(u64::MAX);
            Some(Mono(now.mono.0.saturating_sub(ago)))
        }
    }
}
