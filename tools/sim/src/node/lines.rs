//! The connections of one life to the participants: which a call goes by, and what becomes of
//! those that are dead without anybody having been told. Which is used is decided by the rules that
//! the dispatcher goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_engine::{
    Destination, FRESH_AFTER_TROUBLE, KeptConnections, NoAnswer, Ticket, is_kept_after,
    is_sent_again,
};
use tercet_wire::{Answer, BranchId, Gid, Mono, Op};

use crate::coverage::Sometimes;
use crate::scheduler::Scheduler;

/// How long the coordinator keeps a connection.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// One connection, on the world's own clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    made_at: u64,
    used_at: u64,
}

/// What a call goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    line: Line,
    sent: Mono,
    /// Nothing of it arrives anywhere.
    pub(super) is_swallowed: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Lines {
    kept: KeptConnections<Line>,
    /// Calls that were not answered on their connections, and when.
    unanswered: BTreeMap<(Gid, BranchId, Op, Destination), Mono>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { kept: KeptConnections::new(KEPT_FOR), unanswered: BTreeMap::new() }
    }
}

impl Lines {
    /// The way of a call that sets out now.
    pub(super) fn way(
        &mut self,
        at: &Destination,
        service: usize,
        ticket: &Ticket,
        is_probe: bool,
        now: Mono,
        scheduler: &mut Scheduler,
    ) -> Way {
        let fresh = is_probe || self.kept.wants_fresh(at.as_str(), ticket.attempt, now);
        let kept =
            if fresh { None } else { self.kept.take(at.as_str(), now, |_| true, &mut Vec::new()) };
        let new = Line { made_at: scheduler.now, used_at: scheduler.now };
        let (line, is_swallowed) = match kept {
            None => (new, false),
            Some(line) => {
                self.must_not_be_kept(at, ticket, now, scheduler);
                match scheduler.end_of_line(service, line.made_at, line.used_at) {
                    None => (Line { used_at: scheduler.now, ..line }, false),
                    Some(LineEnd::Swallows) => {
                        scheduler.saw(Sometimes::DeadConnection);
                        (line, true)
                    }
                    // Its server has said nothing.
                    Some(LineEnd::Closed) if is_sent_again(true, false) => {
                        scheduler.saw(Sometimes::SentAgain);
                        (new, false)
                    }
                    Some(LineEnd::Closed) => (line, true),
                }
            }
        };
        if fresh && !is_probe {
            scheduler.saw(Sometimes::FreshAttempt);
        }
        Way { line, sent: now, is_swallowed }
    }

    /// Its call has ended.
    pub(super) fn ended(
        &mut self,
        at: &Destination,
        ticket: &Ticket,
        way: Way,
        answer: &Answer,
        now: Mono,
    ) {
        // What was silent where a branch was called before says nothing of where it is called now.
        let key = (ticket.gid.clone(), ticket.branch.clone(), ticket.op, at.clone());
        match answer {
            Answer::Status { code, .. }
            | Answer::Result { code, .. }
            | Answer::ResultTooLarge { code, .. } => {
                self.unanswered.remove(&key);
                if is_kept_after(*code) {
                    let _unwanted = self.kept.keep(at.as_str(), way.line, now);
                }
            }
            // There was no connection that could be lost.
            Answer::Nothing { why } if why == "connection refused" => {}
            // Nobody may be forbidden to be called here.
            Answer::NotAllowed { .. } => {}
            Answer::Nothing { why } => {
                let how = match why.as_str() {
                    "timeout" => NoAnswer::Silent { since: way.sent },
                    _ => NoAnswer::Lost,
                };
                self.kept.troubled(at.as_str(), how, now);
                self.unanswered.insert(key, now);
            }
        }
    }

    /// The breaker of a destination has opened.
    pub(super) fn forget(&mut self, at: &Destination) {
        let _closed = self.kept.forget(at.as_str());
    }

    /// P6: who was not answered on a connection goes by a fresh one the next time.
    fn must_not_be_kept(
        &self,
        at: &Destination,
        ticket: &Ticket,
        now: Mono,
        scheduler: &mut Scheduler,
    ) {
        // How often an initiator was asked is not written: read anew, it is asked as for the first time.
        if ticket.asks && ticket.attempt == 1 {
            return;
        }
        let key = (ticket.gid.clone(), ticket.branch.clone(), ticket.op, at.clone());
        let since = self.unanswered.get(&key).map(|at| now.since(*at));
        if since.is_some_and(|since| since < FRESH_AFTER_TROUBLE) {
            let Ticket { gid, branch, op, attempt, .. } = ticket;
            scheduler.broke(format!(
                "{gid}/{branch}: attempt {attempt} of {op} goes by a kept connection, though one \
                 before it was not answered"
            ));
        }
    }
}

/// How connections are dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// Whoever sends on it is told at once that nobody is there.
    Closed,
    /// What is sent on it arrives nowhere, and nobody is told.
    Swallows,
}
