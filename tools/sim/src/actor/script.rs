//! Scripts: what somebody means to do, as data.

use std::collections::VecDeque;

use tercet_wire::{BranchId, ResolvedAs, TryBy};

use crate::content::{Content, service_of};
use crate::plan::Plan;
use crate::rng::Rng;

/// One thing to do. Branches are named by their place among those to be registered.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Begin {
        other: bool,
        fresh: bool,
    },
    Register(usize),
    /// All of those, in one request.
    RegisterAtOnce,
    OwnTry(usize),
    /// Looks until every Try is done.
    AwaitTries,
    /// Its own work, which is asked for at the deadline.
    Work,
    Confirm,
    Cancel,
    /// Cancel, whether it was begun or not.
    Refuse,
    Read,
    Retry,
    Resolve(BranchId, ResolvedAs),
    /// Have a branch called at another of its service's addresses.
    Readdress(BranchId, Address),
}

/// One of the addresses of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) service: usize,
    pub(crate) number: u64,
}

/// Whoever begins a transaction.
pub(crate) fn initiator(content: &Content, rng: &mut Rng) -> VecDeque<Step> {
    let mut script = VecDeque::from([Step::Begin { other: false, fresh: rng.one_in(2) }]);
    if content.open {
        let own = content.later.iter().any(|branch| branch.try_by == TryBy::Initiator);
        let at_once = content.later.len() > 1 && !own && rng.one_in(2);
        if at_once {
            script.push_back(Step::RegisterAtOnce);
        } else if content.later.len() > 1 && !own && rng.one_in(4) {
            // Before those that it may come after.
            script.push_back(Step::Register(content.later.len() - 1));
        }
        for (index, branch) in content.later.iter().enumerate().filter(|_| !at_once) {
            script.push_back(Step::Register(index));
            if branch.try_by == TryBy::Initiator {
                script.push_back(Step::OwnTry(index));
            }
        }
        match content.check {
            false => script.push_back(if rng.one_in(4) { Step::Cancel } else { Step::Confirm }),
            true => script.extend(with_work(rng)),
        }
    }
    if rng.one_in(2) {
        script.push_back(Step::Read);
    }
    script
}

/// What an initiator does with a transaction that is about work of its own. Some never come to it, and
/// some leave it to the coordinator to ask.
fn with_work(rng: &mut Rng) -> Vec<Step> {
    match rng.below(9) {
        0 => vec![Step::Cancel],
        1 | 2 => Vec::new(),
        3..=6 => vec![Step::AwaitTries, Step::Work],
        _ => vec![Step::AwaitTries, Step::Work, Step::Confirm],
    }
}

/// Somebody else who has to do with the same transaction, or is mistaken about it.
pub(crate) fn contender(content: &Content, plan: &Plan, rng: &mut Rng) -> VecDeque<Step> {
    let mut script = VecDeque::new();
    if rng.percent(plan.actor.other_content) {
        let fresh = rng.percent(plan.actor.taken_gid);
        script.push_back(Step::Begin { other: true, fresh });
    }
    if rng.percent(plan.actor.repeat) {
        script.push_back(Step::Begin { other: false, fresh: false });
    }
    if rng.percent(plan.actor.contend) {
        if !content.later.is_empty() && rng.one_in(3) {
            script.push_back(Step::Register(rng.index(content.later.len())));
        }
        // Whoever confirms must know of every Try that the coordinator does not know of.
        let own = content.later.iter().any(|branch| branch.try_by == TryBy::Initiator);
        let confirms = !own && rng.one_in(2);
        script.push_back(match (confirms, rng.one_in(4)) {
            (_, true) => Step::Refuse,
            (true, false) => Step::Confirm,
            (false, false) => Step::Cancel,
        });
    }
    script.push_back(Step::Read);
    script
}

/// An operator who loses patience with a transaction.
pub(crate) fn operator(content: &Content, rng: &mut Rng) -> VecDeque<Step> {
    let mut script = VecDeque::new();
    if rng.one_in(2) {
        script.push_back(Step::Retry);
    }
    let branches: Vec<_> = content.branches.iter().chain(&content.later).collect();
    // From a chance of its own, so that what else they do is the same.
    let mut own = Rng::new(rng.clone().next());
    if own.one_in(2) && !branches.is_empty() {
        for _ in 0..own.between(1, 3) {
            let branch = branches[own.index(branches.len())];
            let address = Address { service: service_of(branch), number: own.below(3) };
            script.push_back(Step::Readdress(branch.id.clone(), address));
        }
    }
    if rng.one_in(2) && !branches.is_empty() {
        // Some insist: too early at first, then while a call is under way.
        for _ in 0..rng.pick(&[1, 1, 12]) {
            let branch = branches[rng.index(branches.len())].id.clone();
            let as_ = rng.pick(&[ResolvedAs::Confirmed, ResolvedAs::Cancelled]);
            script.push_back(Step::Resolve(branch, as_));
        }
    }
    script
}
