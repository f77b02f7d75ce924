//! Which branches are shown to people. P4, P7.

mod world;

use tercet_engine::{
    BranchRecord, Call, Change, Commands, Decided, Decision, Destination, EngineSettings, Input,
    Load, Parked, StoredTransaction,
};
use tercet_wire::{Answer, BranchStatus, PerOp, Wall};
use world::content::{branch, gid, spec};
use world::driver::{Driver, records};

/// One branch, confirming, and its call.
fn confirming(driver: &mut Driver) -> Call {
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    driver.durable().calls.remove(0)
}

/// "In progress" is a sign of life, not doubt.
#[test]
fn a_participant_that_says_it_is_at_it_is_never_shown_to_people() {
    let mut driver = Driver::new();
    let mut confirm = confirming(&mut driver);
    for second in 0..200 {
        assert!(records(&driver.answer(&confirm, 202)).is_empty(), "after {second} s");
        confirm = driver.pass(1_000).calls.remove(0);
    }
    // The last call hangs: from when it was to be asked again the time runs.
    assert!(records(&driver.pass(59_999)).is_empty());
    assert_eq!(records(&driver.pass(1)), ["History", "BranchRecord", "Parked"]);
    assert_eq!(told(&driver.durable()), ["t/a confirm 201 -"]);
    // A sign of life ends that as well, at once and in the rows.
    assert_eq!(records(&driver.answer(&confirm, 202)), ["BranchRecord", "Parked"]);
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live");
    assert!(!transaction.is_parked());
}

#[test]
fn a_pause_as_long_as_the_patience_parks_nobody() {
    let mut driver = Driver::new();
    let mut confirm = confirming(&mut driver);
    for _ in 0..5 {
        let retry_after = Some(std::time::Duration::from_secs(60));
        let answer = Answer::Status { code: 202, retry_after, excerpt: String::new() };
        driver.input(Input::Answered(confirm.ticket.clone(), answer));
        let commands = driver.pass(60_000);
        assert!(records(&commands).is_empty());
        confirm = commands.calls.into_iter().next().expect("called again");
    }
}

/// Time alone counts: a call that hangs, one that waits for room, one that fails.
///
/// Keeps P9.
#[test]
fn whoever_waits_is_shown_by_the_clock_however_it_waits() {
    let mut driver = Driver::new();
    let mut waiting = Vec::new();
    for how in ["hangs", "has-no-room", "fails"] {
        let tries = driver.begun(&spec(how, false, vec![branch("a", 0)]));
        driver.answer(&tries[0], 200);
        waiting.push(driver.durable().calls.remove(0));
    }
    driver.now.entropy = u64::MAX;
    let url = waiting[1].branch.url(tercet_wire::Op::Confirm).expect("a URL");
    let there = Destination::of(url, 1);
    driver.input(Input::NotSent(waiting[1].ticket.clone(), Some(there)));
    driver.answer(&waiting[2], 503);
    driver.durable();
    driver.pass(59_999);
    assert_eq!(driver.core.census().parked_branches, 0);
    driver.pass(1);
    assert_eq!(driver.core.census().parked_branches, 3);
    driver.durable();
    // Each is told once.
    for _ in 0..3 {
        assert_eq!(told(&driver.pass(60_000)), Vec::<String>::new());
        assert_eq!(told(&driver.durable()), Vec::<String>::new());
    }
}

/// Keeps P9.
#[test]
fn what_is_paged_out_is_shown_to_people_at_its_time() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut driver = Driver::with(settings);
    driver.now.entropy = u64::MAX;
    let begun = spec("t", false, vec![branch("a", 0)]);
    let mut written = driver.begin(&begun, tercet_engine::Until::Accepted).append;
    let tries = driver.durable().calls;
    written.extend(driver.answer(&tries[0], 200).append);
    let confirm = driver.durable().calls.remove(0);
    written.extend(driver.answer(&confirm, 503).append);
    driver.durable();
    assert!(driver.core.engine().transaction(&gid("t")).is_none(), "it is paged out");
    // Pages of those that are paged out come to nothing here: its time alone brings it back.
    for _ in 0..119 {
        assert!(driver.pass(500).loads.is_empty());
    }
    assert_eq!(driver.pass(500).loads, [gid("t")]);
    let Change::Begun(begun) = &written[0].change else { panic!("{written:?}") };
    let mut stored = StoredTransaction::begun(begun.clone());
    for record in &written[1..] {
        stored.apply(&record.change).expect("it fits");
    }
    let found = Load::Found(Box::new(stored));
    let commands = driver.input(Input::Loaded(gid("t"), found));
    assert!(records(&commands).contains(&"Parked".to_owned()), "{:?}", records(&commands));
}

/// What a stop interrupts people hear of again only if it lasts.
#[test]
fn what_is_found_parked_at_a_start_is_told_anew_once_it_has_lasted() {
    let mut first = Driver::new();
    let mut stored = StoredTransaction::begun(spec("t", false, vec![branch("a", 0)]));
    let tries = {
        let commands = first.input(Input::Adopt(Box::new(stored.clone())));
        commands.calls
    };
    for commands in [first.answer(&tries[0], 200), first.pass(60_000)] {
        for record in commands.append {
            stored.apply(&record.change).expect("it fits");
        }
    }
    assert!(stored.parked && stored.branch_records[0].parked);
    let lines = stored.history_len;
    let mut second = Driver::new();
    let commands = second.input(Input::Adopt(Box::new(stored)));
    assert!(told(&commands).is_empty() && commands.append.is_empty());
    assert!(told(&second.pass(59_999)).is_empty());
    // Neither a line of history nor a row is written again.
    let commands = second.pass(1);
    assert_eq!((records(&commands).len(), told(&commands).len()), (0, 1), "after {lines} lines");
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
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
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
    assert!(driver.pass(60_000).parked.is_empty(), "it is not durable");
    assert_eq!(told(&driver.durable()), ["t/b confirm 1 answered 503"]);
}

/// That a branch is late is told as its participant's outage; what that answers then is other news.
///
/// Keeps P3.
#[test]
fn people_are_told_that_a_branch_is_hopeless_after_they_were_told_that_it_is_late() {
    let mut driver = Driver::new();
    let mut confirm = confirming(&mut driver);
    driver.pass(60_000);
    let late = driver.durable().parked;
    assert!(
        matches!(&late[..], [(_, parked)] if parked.unreachable && !parked.hopeless),
        "{late:?}"
    );
    let mut hopeless = Vec::new();
    for _ in 0..3 {
        let answered = driver.answer(&confirm, 410);
        let commands = [answered, driver.durable(), driver.pass(600_000), driver.durable()];
        let mut calls = Vec::new();
        for mut commands in commands {
            hopeless.append(&mut commands.parked);
            calls.append(&mut commands.calls);
        }
        confirm = calls.remove(0);
    }
    assert!(matches!(&hopeless[..], [(_, parked)] if parked.hopeless), "{hopeless:?}");
}

/// What people are told of.
fn told(commands: &Commands) -> Vec<String> {
    let told = commands.parked.iter().map(|(gid, parked)| {
        let Parked { branch, op, attempts, last_error, .. } = parked;
        format!("{gid}/{} {op} {attempts} {}", branch.id, last_error.as_deref().unwrap_or("-"))
    });
    told.collect()
}
