//! Branches that an operator has called elsewhere: durably, from the next call on, and without what
//! went wrong before. P1.

mod world;

use std::sync::Arc;

use tercet_engine::{
    Ask, CapacityFreed, Change, Commands, Destination, Input, Refusal, Reply, Until,
};
use tercet_wire::{Answer, BranchSpec, Op, PerOp, Readdressing, Status};
use world::content::{branch, delayed, gid, readdressing, saga, spec, with_legs};
use world::driver::{Driver, calls, names, records, replies};

/// Where it is called after it was moved there.
const NEW: u16 = 7_399;

fn moved(driver: &mut Driver, word: Readdressing) -> Commands {
    driver.ask(&gid("t"), Ask::Readdress(Box::new(word)), Until::Accepted)
}

fn host(commands: &Commands, call: usize) -> String {
    let call = &commands.calls[call];
    call.branch
        .url(call.ticket.op)
        .expect("it has the leg")
        .port()
        .map(|it| it.to_string())
        .unwrap_or_default()
}

fn refused(commands: &Commands) -> &Refusal {
    match commands.replies.first() {
        Some((_, Reply::Refused(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

/// One branch that waits for its next Confirm, after three answers that could not become right.
fn wrong(driver: &mut Driver) {
    // Pauses are drawn, and none would be none.
    driver.now.entropy = 99;
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let mut confirm = driver.durable().calls.remove(0);
    for _ in 0..3 {
        let excerpt = "{\"code\":\"no such path\"}".to_owned();
        let answer = Answer::Status { code: 404, retry_after: None, excerpt };
        driver.input(Input::Answered(confirm.ticket.clone(), answer));
        driver.durable();
        let mut again = driver.pass(30_000);
        confirm = match again.calls.pop() {
            Some(call) => call,
            None => return,
        };
    }
    driver.answer(&confirm, 404);
    driver.durable();
}

/// Keeps P1.
#[test]
fn a_branch_is_called_elsewhere_once_that_is_durable_and_begins_anew() {
    let mut driver = Driver::new();
    wrong(&mut driver);
    let before = driver.core.engine().transaction(&gid("t")).expect("live").branches()[0].clone();
    assert!(before.is_parked() && before.last_answer().is_some());
    let asked = moved(&mut driver, readdressing("a", NEW));
    assert_eq!(
        names(&asked.append[0].change.parts().cloned().collect::<Vec<_>>()),
        ["Readdressed", "BranchRecord", "History", "Parked"]
    );
    assert!(matches!(asked.append[0].change, Change::Acted(_)), "with its act");
    assert!(asked.calls.is_empty() && asked.replies.is_empty(), "not before that is durable");
    let durable = driver.durable();
    assert_eq!((calls(&durable).len(), host(&durable, 0)), (1, NEW.to_string()));
    assert_eq!(replies(&durable).len(), 1);
    let rows = driver.rows(&gid("t"));
    let after = driver.core.engine().transaction(&gid("t")).expect("live").branches()[0].clone();
    assert_eq!(rows.branches[0], *after.spec());
    assert_eq!(rows.spec.branches[0], *after.spec(), "as what was begun with, too");
    assert!(!after.is_parked() && after.last_answer().is_none());
    assert_eq!(rows.branch_records[0].last_answer, None);
    let said = rows.history.last().and_then(|line| line.detail.clone()).expect("a line");
    assert!(said.contains("confirm from 127.0.0.1:7301 to 127.0.0.1:7399"), "{said}");
    assert!(said.starts_with("by 10.0.0.9: ") && said.ends_with(": moved"), "{said}");
    // The first failure there is the first, and a repeat of the begin is one.
    driver.answer(&durable.calls[0], 503);
    driver.durable();
    assert!(driver.next_in_ms().is_some_and(|ms| ms <= 100), "{:?}", driver.next_in_ms());
    let repeat = driver.begin(&spec("t", false, vec![branch("a", 0)]), Until::Accepted);
    assert!(replies(&repeat)[0].ends_with("200 confirming"), "{:?}", replies(&repeat));
}

/// Keeps P5.
#[test]
fn it_is_called_there_after_a_restart() {
    let mut driver = Driver::new();
    wrong(&mut driver);
    moved(&mut driver, readdressing("a", NEW));
    driver.durable();
    let restarted = driver.restart(&gid("t"));
    assert_eq!((calls(&restarted).len(), host(&restarted, 0)), (1, NEW.to_string()));
}

/// Keeps P1.
#[test]
fn a_call_that_waits_for_the_disk_or_for_its_turn_is_made_there_instead() {
    let mut driver = Driver::new();
    driver.begin(&spec("t", false, vec![branch("a", 0)]), Until::Accepted);
    // The Try waits for the disk.
    moved(&mut driver, readdressing("a", NEW));
    let durable = driver.durable();
    assert_eq!((calls(&durable), host(&durable, 0)), (vec!["a try 1".to_owned()], NEW.to_string()));
    // That one waits for its turn, as far as anybody knows: the dispatcher is asked for it.
    let asked = moved(&mut driver, readdressing("a", 7_398));
    assert_eq!(asked.retract, [durable.calls[0].ticket.clone()]);
    driver.input(Input::NotSent(asked.retract[0].clone(), None));
    let again = driver.durable();
    assert_eq!((calls(&again), host(&again, 0)), (vec!["a try 1".to_owned()], "7398".to_owned()));
}

#[test]
fn what_fails_where_it_was_called_says_nothing_of_where_it_is() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    moved(&mut driver, readdressing("a", NEW));
    driver.durable();
    // It was on its way, and is the only one meanwhile.
    let failed = driver.answer(&tries[0], 500);
    assert_eq!(records(&failed), ["History"]);
    let again = driver.durable();
    assert_eq!((calls(&again), host(&again, 0)), (vec!["a try 2".to_owned()], NEW.to_string()));
    let branch = driver.core.engine().transaction(&gid("t")).expect("live").branches()[0].clone();
    assert_eq!(branch.last_answer(), None);
    // One that has done it has done it.
    driver.answer(&again.calls[0], 200);
    let confirm = driver.durable().calls.remove(0);
    moved(&mut driver, readdressing("a", 7_398));
    driver.answer(&confirm, 200);
    driver.durable();
    assert_eq!(driver.rows(&gid("t")).status, Status::Confirmed);
}

#[test]
fn one_that_waits_where_there_is_no_room_waits_there_no_longer() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    let url = tries[0].branch.url(Op::Try).expect("a Try");
    driver.input(Input::NotSent(tries[0].ticket.clone(), Some(Destination::of(url, 1))));
    moved(&mut driver, readdressing("a", NEW));
    let durable = driver.durable();
    assert_eq!((calls(&durable), host(&durable, 0)), (vec!["a try 1".to_owned()], NEW.to_string()));
    let freed = CapacityFreed { destination: Destination::of(url, 1), places: 9, healed: false };
    assert!(calls(&driver.input(Input::CapacityFreed(freed))).is_empty());
}

#[test]
fn what_is_put_off_is_not_hurried_by_it() {
    let mut driver = Driver::new();
    let message = delayed(with_legs("a", 0, &[Op::Confirm]), 60_000);
    driver.begun(&spec("t", false, vec![message]));
    driver.durable();
    moved(&mut driver, readdressing("a", NEW));
    assert!(calls(&driver.durable()).is_empty());
    let due = driver.pass(60_001);
    assert_eq!((calls(&due).len(), host(&due, 0)), (1, NEW.to_string()));
}

#[test]
fn a_branch_has_the_legs_it_had_and_one_that_has_ended_none() {
    let mut driver = Driver::new();
    let steps = vec![with_legs("a", 0, &[Op::Confirm]), branch("b", 1)];
    driver.begun(&saga("t", false, steps));
    let only_try = |id: &str| Readdressing {
        urls: PerOp { try_: readdressing(id, NEW).urls.try_, ..PerOp::default() },
        is_endpoint: false,
        ..readdressing(id, NEW)
    };
    let told = moved(&mut driver, only_try("a"));
    match refused(&told) {
        Refusal::Unfit(unfit) => assert_eq!(unfit.field, "try"),
        other => panic!("{other:?}"),
    }
    let told = moved(&mut driver, readdressing("x", NEW));
    assert!(matches!(refused(&told), Refusal::BranchNotFound(_)));
    moved(&mut driver, readdressing("a", NEW));
    driver.durable();
    let known: Arc<BranchSpec> = Arc::clone(&driver.rows(&gid("t")).branches[0]);
    let legs = Op::ALL.map(|op| known.url(op).is_some());
    assert_eq!(legs, [false, true, false], "an endpoint stands for those it has");
    let told =
        driver.ask(&gid("none"), Ask::Readdress(Box::new(readdressing("a", 1))), Until::Accepted);
    assert_eq!(told.loads.len(), 1, "it may be paged out");
}
