//! What jobs do to a transaction: each at most once, however often it is asked.
//!
//! That a job has come is written with all that it changes, in one record, and known from then on
//! for as long as the transaction is live: whoever drives it has it in memory, and whoever takes it
//! up finds it in the rows. So nobody needs to know whether an earlier request arrived.

use std::sync::Arc;

use tercet_wire::{JobAct, JobDeed, ProblemCode, Reason, ResolvedAs};

use crate::engine::output::Refusal;
use crate::job::Tick;
use crate::record::{Decision, PendingResolution};
use crate::transaction::branch::{Branch, CallState, Word};
use crate::transaction::operator::WAITS_FOR_AN_ANSWER;
use crate::transaction::{Phase, Step, Transaction, already};

/// Which branches a job ends, and as what.
struct Ends<'a> {
    as_: ResolvedAs,
    participant: Option<&'a str>,
    parked: bool,
}

impl Transaction {
    /// A job has come to it: does what that does, unless it has come before.
    ///
    /// # Errors
    /// What it does could not be done, which is written; or nothing is written, since there is
    /// nobody any more who drives the transaction.
    pub(crate) fn comes_to(&mut self, act: &JobAct, step: &mut Step<'_>) -> Result<(), Refusal> {
        if act.instance != self.instance() {
            return Err(Refusal::NothingToDo(Some(ProblemCode::TransactionNotFound)));
        }
        let Err(place) = self.jobs.binary_search(&act.job) else { return Ok(()) };
        if let Phase::Finished { decided, .. } = &self.phase {
            let code = match (&act.does, &decided.decision) {
                (JobDeed::Retry, _) | (JobDeed::Cancel, Decision::Cancel { .. }) => None,
                (JobDeed::Cancel, Decision::Confirm) => Some(ProblemCode::AlreadyConfirmed),
                (JobDeed::Resolve { .. }, _) => Some(ProblemCode::AlreadyFinished),
            };
            return Err(Refusal::NothingToDo(code));
        }
        let done = match &act.does {
            JobDeed::Retry | JobDeed::Cancel if self.is_held() => {
                Err((Refusal::Held, ProblemCode::Held))
            }
            JobDeed::Retry => {
                self.hasten(step);
                self.was_retried(&act.told(), step);
                Ok(())
            }
            JobDeed::Cancel => self.cancelled_by_job(act, step),
            JobDeed::Resolve { as_, participant, parked } => {
                let ends = Ends { as_: *as_, participant: participant.as_deref(), parked: *parked };
                self.resolved_by_job(act, &ends, step)
            }
        };
        self.jobs.insert(place, act.job);
        let code = done.as_ref().err().map(|(_, code)| *code);
        let gid = self.gid().clone();
        step.tick = Some(Box::new(Tick { job: act.job, gid, number: act.number, code }));
        done.map_err(|(refusal, _)| refusal)
    }

    fn cancelled_by_job(
        &mut self,
        act: &JobAct,
        step: &mut Step<'_>,
    ) -> Result<(), (Refusal, ProblemCode)> {
        match &self.phase {
            Phase::Trying { .. } => {
                let detail = Some(Arc::from(act.told()));
                self.decide(Decision::Cancel { reason: Reason::Operator, detail }, step);
                Ok(())
            }
            Phase::SecondPhase(decided) | Phase::Finished { decided, .. } => match decided.decision
            {
                Decision::Confirm => {
                    Err((already(&decided.decision), ProblemCode::AlreadyConfirmed))
                }
                Decision::Cancel { .. } => Ok(()),
            },
        }
    }

    /// Takes a word about each branch that is meant and has not ended; `advance` says when it takes
    /// effect.
    fn resolved_by_job(
        &mut self,
        act: &JobAct,
        ends: &Ends<'_>,
        step: &mut Step<'_>,
    ) -> Result<(), (Refusal, ProblemCode)> {
        match &self.phase {
            Phase::Trying { .. } => return Err((Refusal::NotDecided, ProblemCode::NotDecided)),
            Phase::SecondPhase(_) | Phase::Finished { .. } => {}
        }
        let by = act.by();
        // As the history is to say it: it takes its words from here.
        let by: Arc<str> = Arc::from(by.to_string().trim_start_matches("by "));
        let mut any = None;
        for branch in self.branches.iter_mut().filter(|branch| ends.means(branch)) {
            let said = Arc::new(PendingResolution {
                as_: ends.as_,
                by: Arc::clone(&by),
                note: act.note.clone(),
                at: step.now.wall,
            });
            let takes_effect = step.now.mono.after(WAITS_FOR_AN_ANSWER);
            branch.word = Some(Word { said, takes_effect });
            if matches!(branch.call_state, CallState::InFlight { .. }) {
                branch.write_row_into(step);
            }
            any = Some(());
        }
        // One that was ended meanwhile, by whomever.
        let first = self.branches.first().map(|branch| branch.id().clone());
        match (any, first) {
            (Some(()), _) | (None, None) => Ok(()),
            (None, Some(first)) => {
                Err((Refusal::AlreadyFinished(first), ProblemCode::AlreadyFinished))
            }
        }
    }
}

impl Ends<'_> {
    fn means(&self, branch: &Branch) -> bool {
        let of_it = |participant: &str| branch.spec.participant() == participant;
        !branch.is_done()
            && branch.word.is_none()
            && self.participant.is_none_or(of_it)
            && (branch.parked || !self.parked)
    }
}
