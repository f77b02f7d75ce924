//! A scenario under way: its branches, what was sent, and what can have come of it.

use std::collections::BTreeSet;

use tercet_wire::Op;

use super::balances::Balances;
use super::bench::Effects;
use super::caller::{Call, Ended, Twist};
use super::model::{BranchState, Model};
use super::report::{Breach, Report};
use super::rule::Rule;
use crate::context::Context;

/// The lines a breach shows at most.
const LINES: usize = 40;

/// A scenario under way.
pub(super) struct Session {
    pub(super) rule: Rule,
    pub(super) actors: Vec<Actor>,
    pub(super) before: Balances,
    pub(super) sent: Vec<String>,
    pub(super) hung_up: bool,
}

/// A branch of a scenario.
pub(super) struct Actor {
    pub(super) context: Context,
    pub(super) name: String,
    pub(super) body: String,
    pub(super) model: Model,
}

/// What is expected of every call.
pub(super) const SETTLED: &str = "an answer that settles the call, at least when it is made again";

pub(super) fn expected_of(model: &Model, op: Op) -> String {
    match (model.allows(op, true), model.allows(op, false)) {
        (true, false) => match op {
            Op::Try => "2xx: the Try is done, as the first one was (is enough left?)".to_owned(),
            Op::Confirm | Op::Cancel => format!("2xx: {op} is done"),
        },
        (false, true) => match op {
            Op::Try => "4xx: the Try is refused".to_owned(),
            Op::Confirm => "4xx: there is nothing to confirm".to_owned(),
            Op::Cancel => "409: it was confirmed".to_owned(),
        },
        (true, true) | (false, false) => SETTLED.to_owned(),
    }
}

impl Session {
    pub(super) fn breach(&self, report: &mut Report, rule: Rule, expected: String, seen: String) {
        let mut sent = self.sent.clone();
        let rest = sent.len().saturating_sub(LINES);
        if rest > 0 {
            sent.truncate(LINES);
            sent.push(format!("and {rest} lines more"));
        }
        report.add(Breach { rule, sent, expected, seen });
    }

    /// What can have changed, given where the branches can stand.
    pub(super) fn possible(&self, effects: &Effects) -> BTreeSet<Balances> {
        let mut sums = BTreeSet::from([Balances::new()]);
        for actor in &self.actors {
            let change = |stand: &BranchState| match stand {
                BranchState::Nothing | BranchState::Cancelled => Balances::new(),
                BranchState::Tried => effects.tried.clone(),
                BranchState::Confirmed => effects.confirmed.clone(),
            };
            let changes: Vec<Balances> = actor.model.stands().iter().map(change).collect();
            sums =
                sums.iter().flat_map(|sum| changes.iter().map(|change| sum.plus(change))).collect();
        }
        sums
    }
}

impl Actor {
    pub(super) fn call(&self, op: Op, twist: Twist) -> Call {
        let mut context = self.context.clone();
        context.op = op;
        if op != Op::Try {
            context.deadline = None;
        }
        Call { context, twist, body: self.body.clone() }
    }

    /// Takes an answer in. False if nothing explains it.
    pub(super) fn take(&mut self, op: Op, ended: &Ended) -> bool {
        if ended.doubt {
            self.model.unanswered(op);
        }
        ended.done.is_some_and(|done| self.model.answered(&[(op, done)]))
    }

    pub(super) fn line(&self, op: Op, twist: Twist, ended: &Ended) -> String {
        let how = match twist {
            Twist::None => String::new(),
            Twist::UnknownHeaders => " with unknown headers".to_owned(),
            Twist::NoHints => " without attempt and deadline".to_owned(),
            Twist::NinthAttempt => " as attempt 9".to_owned(),
            Twist::Without(name) => format!(" without {name}"),
            Twist::Unsigned => " without a signature".to_owned(),
            Twist::SignedByAStranger => " with a stranger's signature".to_owned(),
            Twist::SignedLongAgo => " with a signature of ten minutes ago".to_owned(),
        };
        let times = match ended.attempts {
            1 => String::new(),
            attempts => format!(" at attempt {attempts}"),
        };
        let instance = self.context.instance.to_string();
        let instance = &instance[instance.len() - 4..];
        format!("{op} {} (instance …{instance}){how} → {}{times}", self.name, ended.answer)
    }
}
