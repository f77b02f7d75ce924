//! Puts known bugs into a copy of the rules, one at a time, and expects the model and the
//! recovery test to catch each. A test that cannot fail proves nothing; this shows that ours can.

mod bugs;
mod copy;

use bugs::BUGS;
use copy::{Copy, Ran};

#[test]
fn every_bug_put_back_into_the_rules_is_caught() {
    let copy = Copy::make();
    assert_eq!(copy.test(), Ran::Passed, "without a bug the copy's tests must pass");
    let mut missed = Vec::new();
    for bug in BUGS {
        let untouched = copy.put_in(bug);
        match copy.test() {
            Ran::Failed => println!("caught: {}", bug.name),
            Ran::Passed => missed.push(bug.name),
            Ran::NotBuilt(errors) => panic!("{}: does not compile:\n{errors}", bug.name),
        }
        copy.restore(bug, &untouched);
    }
    assert_eq!(missed, Vec::<&str>::new(), "these bugs went unnoticed");
}
