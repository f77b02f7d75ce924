//! Which branches are shown to people. P4, P7.

mod world;

use tercet_engine::{
    BranchRecord, Call, Change, Commands, Decided, Decision, Input, Parked, StoredTransaction,
};
use tercet_wire::{BranchStatus, PerOp, Wall};
use world::content::{branch, gid, spec};
use world::driver::{Driver, records};

/// One branch, confirming, and its call.
fn confirming(driver: &mut Driver) -> Call {
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    driver.durable().calls.remove(0)
}

#[test]
fn a_participant_that_is_at_it_for_a_minute_is_shown_to_people() {
    let mut driver = Driver::new();
    let mut confirm = confirming(&mut driver);
    for second in 0..60 {
        assert!(records(&driver.answer(&confirm, 202)).is_empty(), "after {second} s");
        confirm = driver.pass(1_000).calls.remove(0);
    }
    assert_eq!(records(&driver.answer(&confirm, 202)), ["History", "BranchRecord", "Parked"]);
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live");
    assert!(transaction.is_parked());
    // It goes on at its own pace, and is shown once.
    let mut commands = driver.durable();
    commands.calls.extend(driver.pass(1_000).calls);
    assert!(records(&driver.answer(&commands.calls[0], 202)).is_empty());
}

#[test]
fn a_branch_that_finds_no_room_for_a_minute_is_shown_to_people() {
    let mut driver = Driver::new();
    let mut confirm = confirming(&mut driver);
    for _ in 0..1_000 {
        let commands = driver.input(Input::NotSent(confirm.ticket.clone(), None));
        if records(&commands).contains(&"Parked".to_owned()) {
            return;
        }
        let wait = driver.next_in_ms().expect("it is offered again");
        let mut calls = driver.pass(wait).calls;
        if calls.is_empty() {
            calls = driver.durable().calls;
        }
        // The wait of who began it may end in between.
        if let Some(call) = calls.pop() {
            confirm = call;
        }
    }
    panic!("nobody was told");
}

/// A crash may come between the row that ends a branch's trouble and the one that says of the
/// transaction that nobody need look at it any more.
#[test]
fn a_parked_branch_is_not_shown_for_ever_after_a_stop() {
    let mut stored =
        StoredTransaction::begun(spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    let at = Wall(1_763_640_001_000);
    let acknowledged = BranchRecord {
        branch: "a".parse().expect("an id"),
        status: BranchStatus::Tried,
        attempts: PerOp { try_: 1, confirm: 4, cancel: 0 },
        parked: false,
        last_error: None,
        answer: None,
        resolved_as: None,
        acknowledged_at: Some(at),
    };
    let decided = Decided { at, decision: Decision::Confirm };
    for change in
        [Change::Decided(decided), Change::Parked(true), Change::BranchRecord(acknowledged)]
    {
        stored.apply(&change).expect("it fits");
    }
    let mut driver = Driver::new();
    let commands = driver.input(Input::Adopt(Box::new(stored)));
    let shown = commands.append.iter().map(|record| &record.change).collect::<Vec<_>>();
    assert_eq!(shown, [&Change::Parked(false)]);
}

/// Keeps P3.
#[test]
fn people_are_told_of_each_parked_branch_once_that_is_durable() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    for call in &tries {
        driver.answer(call, 200);
    }
    let confirms = driver.durable().calls;
    // One is parked now, the other a minute later, while the transaction is shown already.
    for call in &confirms {
        let code = if call.ticket.branch.as_str() == "a" { 410 } else { 503 };
        assert!(driver.answer(call, code).parked.is_empty(), "it is not durable");
        let told = told(&driver.durable());
        let expected: &[_] = if code == 410 { &["t/a confirm 1 answered 410"] } else { &[] };
        assert_eq!(told, expected);
    }
    let again = driver.pass(60_000).calls;
    let call = again.iter().find(|call| call.ticket.branch.as_str() == "b").expect("called again");
    assert!(driver.answer(call, 503).parked.is_empty(), "it is not durable");
    assert_eq!(told(&driver.durable()), ["t/b confirm 2 answered 503"]);
}

/// What people are told of.
fn told(commands: &Commands) -> Vec<String> {
    let told = commands.parked.iter().map(|(gid, parked)| {
        let Parked { branch, op, attempts, last_error, .. } = parked;
        format!("{gid}/{} {op} {attempts} {}", branch.id, last_error.as_deref().unwrap_or("-"))
    });
    told.collect()
}
