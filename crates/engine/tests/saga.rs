//! Sagas: steps in their order, undone in reverse, and never before that is durable. P1, P4, P5.

mod world;

use std::time::Duration;

use tercet_engine::{
    Ask, Call, Change, Commands, EngineSettings, Record, Snapshot, Transaction, Until,
};
use tercet_wire::{BranchOptions, BranchSpec, BranchStatus, EventKind, Op};
use world::content::{branch, gid, initiators, placed, saga, spec, step, with_legs};
use world::driver::{Driver, calls, replies};

const NOTHING: [&str; 0] = [];

/// Steps `a`, `b`, `c`, one after the other; each can be done and undone.
fn chain() -> Vec<BranchSpec> {
    let legs = [Op::Try, Op::Cancel];
    ["a", "b", "c"].into_iter().zip(0..).map(|(id, at)| with_legs(id, at, &legs)).collect()
}

fn transaction(driver: &Driver) -> &Transaction {
    driver.core.engine().transaction(&gid("t")).expect("live")
}

fn statuses(driver: &Driver) -> Vec<BranchStatus> {
    let rows = driver.rows(&gid("t"));
    let snapshot = Snapshot {
        transaction: Transaction::restore(&rows, driver.now),
        at: driver.now,
        paused: tercet_engine::PausedNames::default(),
    };
    snapshot.view().branches.into_iter().map(|branch| branch.status).collect()
}

/// The call of this branch among these.
fn of<'a>(calls: &'a [Call], id: &str) -> &'a Call {
    calls.iter().find(|call| call.ticket.branch.as_str() == id).expect("it is called")
}

/// The steps in the history among these records, as `kind branch op`.
fn steps(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| match &record.change {
        Change::History(line)
            if matches!(line.kind, EventKind::StepCalled | EventKind::StepDone) =>
        {
            let (branch, op) = (line.branch.as_ref()?, line.op?);
            Some(format!("{} {branch} {op}", line.kind))
        }
        _ => None,
    };
    records.iter().filter_map(line).collect()
}

/// Answers a call, and makes all of that durable.
fn answered(driver: &mut Driver, call: &Call, status: u16) -> Commands {
    driver.answer(call, status);
    driver.durable()
}

#[test]
fn a_step_is_called_once_what_it_builds_on_is_durable() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, chain()));
    assert_eq!(first.iter().map(|call| call.ticket.branch.as_str()).collect::<Vec<_>>(), ["a"]);
    let commands = driver.answer(of(&first, "a"), 200);
    assert_eq!(calls(&commands), NOTHING, "nobody has written that a is done");
    assert_eq!(steps(&commands.append), ["step-done a try", "step-called b try"]);
    assert_eq!(calls(&driver.durable()), ["b try 1"]);
}

#[test]
fn steps_side_by_side_are_called_together_and_what_comes_after_both_after_both() {
    let mut driver = Driver::new();
    let steps =
        vec![step("flight", 0, &[]), step("hotel", 1, &[]), step("pay", 2, &["hotel", "flight"])];
    let first = driver.begun(&saga("t", false, steps));
    assert_eq!(first.len(), 2);
    assert_eq!(calls(&answered(&mut driver, of(&first, "hotel"), 200)), NOTHING);
    assert_eq!(calls(&answered(&mut driver, of(&first, "flight"), 200)), ["pay try 1"]);
}

#[test]
fn what_was_done_is_undone_in_reverse_and_what_was_not_reached_is_skipped() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, chain()));
    let second = answered(&mut driver, of(&first, "a"), 200).calls;
    let undone = answered(&mut driver, of(&second, "b"), 409).calls;
    assert_eq!(undone.len(), 1, "b may have done something, c cannot");
    assert_eq!(undone[0].ticket.branch.as_str(), "b");
    let next = answered(&mut driver, &undone[0], 200).calls;
    assert_eq!(
        (next.len(), next[0].ticket.branch.as_str(), next[0].ticket.op),
        (1, "a", Op::Cancel)
    );
    answered(&mut driver, &next[0], 200);
    let (cancelled, skipped) = (BranchStatus::Cancelled, BranchStatus::Skipped);
    assert_eq!(statuses(&driver), [cancelled, cancelled, skipped]);
}

#[test]
fn a_step_without_an_answer_may_have_been_done() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, chain()));
    answered(&mut driver, of(&first, "a"), 200);
    // b is under way when the initiator gives up.
    let ask = Ask::Cancel { detail: None, if_unknown: None };
    driver.ask(&gid("t"), ask, Until::Finished);
    assert_eq!(calls(&driver.durable()), ["b cancel 1"]);
    assert!(!transaction(&driver).branches()[1].is_skipped());
    assert!(transaction(&driver).branches()[2].is_skipped());
}

#[test]
fn a_skipped_step_is_called_by_nobody_after_a_restart() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, chain()));
    answered(&mut driver, of(&first, "a"), 409);
    driver.restart(&gid("t"));
    assert_eq!(calls(&driver.durable()), ["a cancel 1"]);
    let word = world::content::resolution("c", tercet_wire::ResolvedAs::Cancelled);
    let told = driver.ask(&gid("t"), Ask::Resolve(Box::new(word)), Until::Accepted);
    let told = [replies(&told), replies(&driver.durable())].concat();
    assert!(told[0].contains("AlreadyFinished"), "{told:?}");
}

/// A clock that is an hour ahead, or right after a long stop: nobody knows.
#[test]
fn a_deadline_that_has_passed_by_a_doubted_clock_lets_no_new_step_begin() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, chain()));
    answered(&mut driver, of(&first, "a"), 200);
    driver.now.wall = driver.now.wall.after(Duration::from_secs(7_200));
    driver.restart_with(
        &gid("t"),
        EngineSettings { clock_doubted: true, ..EngineSettings::default() },
    );
    let again = driver.durable().calls;
    assert_eq!(again.iter().map(|call| call.ticket.branch.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(calls(&answered(&mut driver, &again[0], 200)), NOTHING, "c would be a new step");
    // As the rows tell it, it may have been called.
    driver.pass(3_000);
    assert_eq!(calls(&driver.durable()), ["c cancel 1"]);
}

#[test]
fn what_is_only_confirmed_comes_after_the_decision_in_its_order() {
    let mut driver = Driver::new();
    let pay = with_legs("pay", 0, &[Op::Try]);
    let mail = placed(with_legs("mail", 1, &[Op::Confirm]), &["pay"]);
    let close = placed(with_legs("close", 2, &[Op::Confirm]), &["mail"]);
    let first = driver.begun(&saga("t", false, vec![pay, mail, close]));
    assert_eq!(first.len(), 1);
    let confirms = answered(&mut driver, of(&first, "pay"), 200).calls;
    assert_eq!((confirms.len(), confirms[0].ticket.branch.as_str()), (1, "mail"));
    let commands = driver.answer(&confirms[0], 200);
    assert_eq!(calls(&commands), NOTHING, "nobody has written that the mail is sent");
    assert_eq!(calls(&driver.durable()), ["close confirm 1"]);
}

#[test]
fn a_step_that_fails_is_called_until_the_deadline_unless_it_says_how_often() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, vec![branch("a", 0)]));
    let mut call = first[0].clone();
    for _ in 0..10 {
        driver.answer(&call, 503);
        driver.durable();
        driver.pass(60_000);
        let again = driver.durable().calls;
        call = again.into_iter().next().unwrap_or(call);
    }
    assert!(transaction(&driver).decision().is_none(), "three failures are nothing to a saga");

    let mut driver = Driver::new();
    let options = BranchOptions { try_attempts: Some(1), ..BranchOptions::default() };
    let once = BranchSpec { options: options.unless_empty(), ..branch("a", 0) };
    let first = driver.begun(&saga("t", false, vec![once]));
    assert_eq!(calls(&answered(&mut driver, &first[0], 503)), ["a cancel 1"]);
}

#[test]
fn a_step_that_does_not_get_on_is_shown_to_people() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, vec![branch("a", 0), branch("b", 1)]));
    driver.answer(&first[0], 503);
    driver.durable();
    driver.pass(60_000);
    driver.durable();
    let branches = transaction(&driver).branches();
    assert_eq!(
        (branches[0].is_parked(), branches[1].is_parked()),
        (true, false),
        "b's turn is to come"
    );
}

#[test]
fn a_step_is_registered_after_those_that_are_there() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", true, vec![branch("a", 0)]));
    let register = |branch: BranchSpec| Ask::Register(Box::new(branch));
    let refused = |driver: &mut Driver, branch| {
        let told = replies(&driver.ask(&gid("t"), register(branch), Until::Accepted));
        told.concat()
    };
    assert!(refused(&mut driver, placed(branch("x", 0), &["nobody"])).contains("Unfit"));
    assert!(refused(&mut driver, initiators("x")).contains("Unfit"));
    driver.ask(&gid("t"), register(branch("b", 0)), Until::Tried);
    assert_eq!(calls(&driver.durable()), NOTHING, "it comes after a");
    driver.ask(&gid("t"), register(placed(branch("c", 0), &[])), Until::Tried);
    assert_eq!(calls(&driver.durable()), ["c try 1"], "it comes after nothing");
    assert_eq!(calls(&answered(&mut driver, &first[0], 200)), ["b try 1"]);
}

#[test]
fn only_sagas_have_an_order() {
    let mut driver = Driver::new();
    driver.begun(&spec("t", true, vec![branch("a", 0)]));
    let ask = Ask::Register(Box::new(placed(branch("b", 0), &["a"])));
    let told = replies(&driver.ask(&gid("t"), ask, Until::Accepted)).concat();
    assert!(told.contains("Unfit"), "{told}");
}
