//! Puts known bugs into a copy of the rules and of the guard, one at a time, and expects the
//! model, the recovery test or the simulation to catch each. A test that cannot fail proves
//! nothing; this shows that ours can.

mod address_bugs;
mod audit_bugs;
mod bugs;
mod call_bugs;
mod check_bugs;
mod cluster_bugs;
mod copy;
mod definition_bugs;
mod delay_bugs;
mod hold_bugs;
mod job_bugs;
mod outbox_bugs;
mod pause_bugs;
mod result_bugs;
mod saga_bugs;
mod world_bugs;

use std::sync::Mutex;

use address_bugs::ADDRESS_BUGS;
use audit_bugs::AUDIT_BUGS;
use bugs::{BUGS, Bug, CaughtBy};
use call_bugs::{CALL_BUGS, ENDPOINT_BUGS};
use check_bugs::CHECK_BUGS;
use cluster_bugs::CLUSTER_BUGS;
use copy::{Copy, Ran, SEEDS, SEEDS_WITHOUT_BUG};
use definition_bugs::DEFINITION_BUGS;
use delay_bugs::DELAY_BUGS;
use hold_bugs::HOLD_BUGS;
use job_bugs::JOB_BUGS;
use outbox_bugs::OUTBOX_BUGS;
use pause_bugs::PAUSE_BUGS;
use result_bugs::RESULT_BUGS;
use saga_bugs::SAGA_BUGS;
use world_bugs::WORLD_BUGS;

/// Copies that are broken side by side: to build one is mostly one thread's work.
const COPIES: usize = 2;

/// `make test` puts in one of every so many, others with the next commit; `make mutants` puts in all.
const SHARES: usize = 8;

#[test]
fn every_bug_put_back_is_caught() {
    let bugs = [
        BUGS,
        ADDRESS_BUGS,
        AUDIT_BUGS,
        CALL_BUGS,
        CHECK_BUGS,
        CLUSTER_BUGS,
        DEFINITION_BUGS,
        DELAY_BUGS,
        HOLD_BUGS,
        JOB_BUGS,
        OUTBOX_BUGS,
        PAUSE_BUGS,
        RESULT_BUGS,
        SAGA_BUGS,
        WORLD_BUGS,
        ENDPOINT_BUGS,
    ];
    // Some of them, for whoever has written these.
    let some = std::env::var("BUGS").unwrap_or_default();
    let bugs: Vec<&Bug> = bugs.into_iter().flatten().filter(|bug| bug.is_one_of(&some)).collect();
    assert!(!bugs.is_empty(), "no bug has {some:?} in its name or its file's");
    let copies: Vec<Copy> = (0..COPIES).map(Copy::make).collect();
    // A text that has changed is told at once, not after those before it were run.
    for bug in &bugs {
        copies[0].restore(bug, &copies[0].put_in(bug));
    }
    let bugs = those_in_turn(bugs);
    let mut checks: Vec<CaughtBy> = Vec::new();
    for by in bugs.iter().map(|bug| bug.caught_by) {
        if !checks.contains(&by) {
            checks.push(by);
        }
    }
    on_each(&copies, &checks, |copy, by| {
        let ran = copy.run(*by, SEEDS_WITHOUT_BUG);
        assert_eq!(ran, Ran::Passed, "without a bug {by:?} must pass");
    });
    let missed = Mutex::new(Vec::new());
    on_each(&copies, &bugs, |copy, bug| {
        let untouched = copy.put_in(bug);
        let miss = |why: String| {
            missed.lock().expect("nobody panics with it").push(bug.name);
            why
        };
        let found = match copy.run(bug.caught_by, SEEDS) {
            Ran::Failed(found) => found,
            Ran::Passed => miss("MISSED".to_owned()),
            // The others are told all the same: one text that no longer compiles hides nothing.
            Ran::NotBuilt(errors) => miss(format!("DOES NOT COMPILE:\n{errors}")),
        };
        println!("{:<70} | {:<15?} | {found}", bug.name, bug.caught_by);
        copy.restore(bug, &untouched);
    });
    let missed = missed.into_inner().expect("nobody panics with it");
    assert_eq!(missed, Vec::<&str>::new(), "these bugs went unnoticed");
}

/// Those whose turn it is, if somebody takes turns.
fn those_in_turn(bugs: Vec<&Bug>) -> Vec<&Bug> {
    let Ok(turn) = std::env::var("TURN") else { return bugs };
    let turn: usize = turn.parse().expect("TURN is a number");
    let place = turn % SHARES;
    bugs.into_iter().enumerate().filter(|(at, _)| at % SHARES == place).map(|it| it.1).collect()
}

/// Does something with each item, in whichever copy is free.
fn on_each<T: Sync>(copies: &[Copy], items: &[T], work: impl Fn(&Copy, &T) + Sync) {
    let next = Mutex::new(items.iter());
    let (next, work) = (&next, &work);
    std::thread::scope(|threads| {
        for copy in copies {
            threads.spawn(move || {
                let take = || next.lock().expect("nobody panics with it").next();
                while let Some(item) = take() {
                    work(copy, item);
                }
            });
        }
    });
}
