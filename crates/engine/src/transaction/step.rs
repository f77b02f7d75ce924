//! What one input leads to, collected while the rules run.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{Backoff, BranchSpec, Now, Op, Wall, spread};

use crate::act::Act;
use crate::engine::output::CallResults;
use crate::job::Tick;
use crate::record::Change;
use crate::transaction::{Doubt, Paused};

/// The numbers in the rules, all in config; and who is paused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Calls of a Try that may fail in doubt before the transaction is cancelled.
    pub try_attempts: u32,
    /// The pause between failed calls.
    pub backoff: Backoff,
    /// Failures in a row that cannot become right by themselves before a branch is parked.
    pub park_after_permanent_errors: u32,
    /// How long a branch may go without the answer it needs before it is parked.
    pub park_after: Duration,
    /// How long an acknowledgement waits for its siblings' before it is journaled alone.
    pub ack_flush_after: Duration,
    /// The pause before a call that the dispatcher had no room for is offered again; it
    /// doubles, to at most 64 times this, from refusal to refusal.
    pub no_room_pause: Duration,
    /// Lines of history kept of one transaction; what people did has room beyond them.
    pub history_lines: u32,
    /// Branches one transaction may have.
    pub branches: usize,
    /// Who is not called at the moment.
    pub paused: Paused,
    /// The database was restored from a backup: what is trying, and was begun no later than this, is held.
    pub held_to: Option<Wall>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            try_attempts: 3,
            backoff: Backoff::default(),
            park_after_permanent_errors: 3,
            park_after: Duration::from_secs(60),
            ack_flush_after: Duration::from_secs(1),
            no_room_pause: Duration::from_millis(50),
            history_lines: 100,
            branches: 64,
            paused: Paused::default(),
            held_to: None,
        }
    }
}

/// A call that a transaction needs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Which branch.
    pub(crate) branch: Arc<BranchSpec>,
    /// Which call.
    pub(crate) op: Op,
    /// Which attempt.
    pub(crate) attempt: u32,
    /// Whether it is the initiator that is asked.
    pub(crate) asks: bool,
    /// What it has to do with results.
    pub(crate) results: Option<Box<CallResults>>,
}

/// A branch that has become parked. Its next call may be made in the same step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParkedNow {
    /// Which branch.
    pub(crate) branch: Arc<BranchSpec>,
    /// The call that it does not acknowledge.
    pub(crate) op: Op,
    /// How often that was made.
    pub(crate) attempts: u32,
    /// Why.
    pub(crate) doubt: Doubt,
    /// Whether it is no branch, but the initiator that is asked.
    pub(crate) asks: bool,
}

/// What one input leads to.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) now: Now,
    pub(crate) rules: &'a Rules,
    /// To be durable before anything of this transaction is let out.
    pub(crate) changes: Vec<Change>,
    /// Journaled like the rest, but nobody waits for it: losing it only repeats
    /// calls that are idempotent.
    pub(crate) completion: Vec<Change>,
    pub(crate) calls: Vec<Wanted>,
    pub(crate) parked: Vec<ParkedNow>,
    /// What an operator did, where that is what the changes come from.
    pub(crate) act: Option<Box<Act>>,
    /// That a job has come to it, where that is what the changes come from.
    pub(crate) tick: Option<Box<Tick>>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(now: Now, rules: &'a Rules) -> Self {
        Self {
            now,
            rules,
            changes: Vec::new(),
            completion: Vec::new(),
            calls: Vec::new(),
            parked: Vec::new(),
            act: None,
            tick: None,
        }
    }

    /// Entropy for one branch, different from its siblings'.
    pub(super) fn entropy(&self, branch: usize) -> u64 {
        spread(self.now.entropy, branch as u64)
    }
}
