//! Courses of events that a seed makes up.

use fastrand::Rng;
use tercet_wire::Op;

use super::model::Kind;
use super::rule::Rule;
use super::scenario::{Role, Scenario, Step};

const BRANCHES: [&str; 3] = ["b1", "b2", "b3"];
/// The calls of a branch between its Try and its end.
const CALLS: usize = 4;
/// The most calls at once.
const AT_ONCE: usize = 4;

/// One to three branches, each to be confirmed or cancelled, as an unlucky network would have it:
/// calls repeated, overtaken, made at once, their answers lost.
pub(super) fn race(rng: &mut Rng) -> Scenario {
    let cast: Vec<Role> = BRANCHES[..rng.usize(1..=BRANCHES.len())]
        .iter()
        .map(|branch| Role { gid_suffix: "", branch, kind: Kind::Usual })
        .collect();
    let mut steps = Vec::new();
    let mut calls = Vec::new();
    let mut last = Vec::new();
    for who in 0..cast.len() {
        let decision = if rng.bool() { Op::Confirm } else { Op::Cancel };
        // Confirm is decided only after the Try was done; Cancel may come before, too.
        if decision == Op::Confirm || rng.bool() {
            steps.push(Step::Call(who, Op::Try));
        }
        for _ in 0..CALLS {
            calls.push((who, if rng.bool() { Op::Try } else { decision }));
        }
        last.push((who, decision));
    }
    rng.shuffle(&mut calls);
    while !calls.is_empty() {
        let mut group = calls.split_off(calls.len() - rng.usize(1..=AT_ONCE.min(calls.len())));
        if rng.u8(..4) == 0 {
            let (who, op) = group.swap_remove(0);
            steps.push(Step::HangUp(who, op, rng.u64(..4)));
        }
        if !group.is_empty() {
            steps.push(Step::AtOnce(group));
        }
    }
    steps.extend(last.into_iter().map(|(who, decision)| Step::Call(who, decision)));
    Scenario { rule: Rule::AnyOrder, cast, steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_storm() {
        let made = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..20).map(|_| format!("{:?}", race(&mut rng))).collect::<Vec<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }
}
