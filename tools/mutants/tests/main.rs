//! Puts known bugs into a copy of the rules and of the guard, one at a time, and expects the
//! model, the recovery test or the simulation to catch each. A test that cannot fail proves
//! nothing; this shows that ours can.

mod audit_bugs;
mod bugs;
mod call_bugs;
mod cluster_bugs;
mod copy;

use audit_bugs::AUDIT_BUGS;
use bugs::{BUGS, Bug, CaughtBy};
use call_bugs::CALL_BUGS;
use cluster_bugs::CLUSTER_BUGS;
use copy::{Copy, Ran, SEEDS, SEEDS_WITHOUT_BUG};

#[test]
fn every_bug_put_back_is_caught() {
    let copy = Copy::make();
    let bugs = || BUGS.iter().chain(CLUSTER_BUGS).chain(AUDIT_BUGS).chain(CALL_BUGS);
    // A text that has changed is told at once, not after those before it were run.
    for bug in bugs() {
        copy.restore(bug, &copy.put_in(bug));
    }
    let by_tests = bugs().map(|bug: &Bug| bug.caught_by);
    let mut all: Vec<CaughtBy> =
        vec![CaughtBy::Simulation, CaughtBy::ModelOrRecovery, CaughtBy::ModelOfNodes];
    for by in by_tests.filter(|by| matches!(by, CaughtBy::EngineTest(_) | CaughtBy::WireTests(_))) {
        if !all.contains(&by) {
            all.push(by);
        }
    }
    for by in all {
        assert_eq!(copy.run(by, SEEDS_WITHOUT_BUG), Ran::Passed, "without a bug {by:?} must pass");
    }
    let mut missed = Vec::new();
    for bug in bugs() {
        let untouched = copy.put_in(bug);
        let found = match copy.run(bug.caught_by, SEEDS) {
            Ran::Failed(found) => found,
            Ran::Passed => {
                missed.push(bug.name);
                "MISSED".to_owned()
            }
            Ran::NotBuilt(errors) => panic!("{}: does not compile:\n{errors}", bug.name),
        };
        println!("{:<70} | {:<15?} | {found}", bug.name, bug.caught_by);
        copy.restore(bug, &untouched);
    }
    assert_eq!(missed, Vec::<&str>::new(), "these bugs went unnoticed");
}
