//! What participants' answers lead to beyond their verdict: what is kept of them, when the next call is
//! made, and what is shown of it.

mod world;

use std::time::Duration;

use tercet_engine::{Input, Until};
use tercet_wire::{Answer, LastAnswerView, Op};
use world::content::{self, branch, gid, spec};
use world::driver::{Driver, records};

const NOTHING: [&str; 0] = [];

/// The `answer` of a branch and its `last_answer`, as they are shown.
fn answers(driver: &Driver) -> (Option<tercet_wire::AnswerView>, Option<LastAnswerView>) {
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live").clone();
    let snapshot = tercet_engine::Snapshot {
        transaction,
        at: driver.now,
        paused: tercet_engine::PausedNames::default(),
    };
    let branch = snapshot.view().branches.remove(0);
    (branch.answer, branch.last_answer)
}

fn said(driver: &mut Driver, call: &tercet_engine::Call, code: u16, words: &str) -> Vec<String> {
    let answer = Answer::Status { code, retry_after: None, excerpt: words.to_owned() };
    let commands = driver.input(Input::Answered(call.ticket.clone(), answer));
    let lines = commands.append.iter().filter_map(|record| match &record.change {
        tercet_engine::Change::History(line) => line.detail.as_deref().map(str::to_owned),
        _ => None,
    });
    lines.collect()
}

/// A participant's words are kept, shown and in the history; a success says nothing worth keeping.
#[test]
fn what_a_participant_says_of_itself_is_shown_and_told() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    assert_eq!(said(&mut driver, &tries[0], 503, "starting"), ["answered 503: starting"]);
    let again = driver.durable().calls.remove(0);
    assert_eq!(said(&mut driver, &again, 200, "reserved"), NOTHING);
    // Of the Try that was done after all nothing is told; what was said before stays.
    let (answer, last) = answers(&driver);
    assert_eq!((answer, last.map(|last| last.body)), (None, Some("starting".to_owned())));
    let mut confirm = driver.durable().calls.remove(0);
    let closed = r#"{"code":"ledger-closed"}"#;
    let told = said(&mut driver, &confirm, 409, closed);
    assert_eq!(told, [r#"answered 409: {"code":"ledger-closed"}"#]);
    let last = answers(&driver).1.expect("kept");
    assert_eq!(
        (last.op, last.status, &*last.body, last.at),
        (Op::Confirm, 409, closed, driver.now.wall)
    );
    // What it says again is not written down again; silence and "in progress" say nothing.
    confirm = driver.durable().calls.remove(0);
    assert_eq!(said(&mut driver, &confirm, 409, closed), ["answered 409"]);
    confirm = driver.durable().calls.remove(0);
    let why = "connection refused".to_owned();
    driver.input(Input::Answered(confirm.ticket.clone(), Answer::Nothing { why }));
    confirm = driver.durable().calls.remove(0);
    assert_eq!(said(&mut driver, &confirm, 202, "working"), NOTHING);
    assert_eq!(answers(&driver).1.map(|last| last.body), Some(closed.to_owned()));
    confirm = driver.pass(1_000).calls.remove(0);
    let end = driver.answer(&confirm, 200);
    let row = end.append.iter().find_map(|record| match &record.change {
        tercet_engine::Change::BranchRecord(row) => row.last_answer.clone(),
        _ => None,
    });
    assert_eq!(row.map(|last| last.status), Some(409), "it is durable with the branch's outcome");
}

#[test]
fn an_answer_in_progress_breaks_a_row_of_hopeless_ones() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let mut confirm = driver.durable().calls.remove(0);
    for code in [404, 404, 202, 404, 404] {
        let commands = driver.answer(&confirm, code);
        assert!(!records(&commands).contains(&"Parked".to_owned()), "{code}");
        let mut calls = driver.durable().calls;
        calls.extend(driver.pass(1_000).calls);
        confirm = calls.remove(0);
    }
    assert!(records(&driver.answer(&confirm, 404)).contains(&"Parked".to_owned()));
}

/// What the Try failed at is no part of how the Confirm goes.
#[test]
fn failures_of_a_try_are_not_carried_into_its_confirm() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let mut tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    for _ in 0..2 {
        driver.answer(&tries[0], 500);
        driver.durable();
        let pause = driver.next_in_ms().expect("a pause");
        tries = driver.pass(pause).calls;
    }
    driver.answer(&tries[0], 200);
    let confirm = driver.durable().calls.remove(0);
    let before = driver.now.mono;
    driver.answer(&confirm, 500);
    driver.durable();
    let pause = driver.core.next_deadline().expect("a pause").since(before);
    assert!(pause <= Duration::from_millis(100), "{pause:?} is not the first pause");
}

/// A Try that asks for more time than is left is called once more before the deadline, and none is
/// shown to be called after it.
#[test]
fn a_pause_that_leads_past_the_deadline_is_cut_short() {
    for code in [202, 429, 503] {
        let mut driver = Driver::new();
        let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
        driver.pass(26_000);
        let retry_after = Some(std::time::Duration::from_secs(60));
        let answer = Answer::Status { code, retry_after, excerpt: String::new() };
        driver.input(Input::Answered(tries[0].ticket.clone(), answer));
        driver.durable();
        let next = shown_next(&driver).expect("it is called again");
        assert!(next < content::CREATED_AT.after(std::time::Duration::from_secs(30)), "{code}");
        let again = driver.pass(2_000).calls.remove(0);
        assert_eq!(again.ticket.attempt, 2);
        driver.answer(&again, 200);
        let status = driver.core.engine().transaction(&gid("t")).expect("live").status();
        assert_eq!(status, tercet_wire::Status::Confirming, "{code}");
    }
}

/// When the first branch is shown to be called next.
fn shown_next(driver: &Driver) -> Option<tercet_wire::Wall> {
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live").clone();
    let snapshot = tercet_engine::Snapshot {
        transaction,
        at: driver.now,
        paused: tercet_engine::PausedNames::default(),
    };
    snapshot.view().branches[0].next_attempt_at
}

/// The wall clock may be a little behind the one that deadlines go by.
#[test]
fn a_decision_for_the_deadline_is_never_shown_before_it() {
    for (behind_ms, at_the_deadline) in [(1, true), (20, true), (3_600_000, false)] {
        let mut driver = Driver::new();
        let spec = spec("t", true, vec![]);
        driver.begin(&spec, Until::Accepted);
        driver.durable();
        driver.now.wall.0 -= behind_ms;
        let commands = driver.pass(30_000);
        let decided = commands.append.iter().find_map(|record| match &record.change {
            tercet_engine::Change::Decided(decided) => Some(decided.at),
            _ => None,
        });
        let finished = commands.append.iter().find_map(|record| match &record.change {
            tercet_engine::Change::Finished { at, .. } => Some(*at),
            _ => None,
        });
        assert_eq!(decided == Some(spec.deadline_at), at_the_deadline, "{behind_ms} ms behind");
        assert!(finished >= decided && decided.is_some(), "{behind_ms} ms behind");
    }
}

/// Nobody was asked, so nobody has said anything; and time does not mend it.
#[test]
fn a_participant_that_may_not_be_called_is_parked_at_once() {
    let forbidden = || Answer::NotAllowed { why: "leads to nobody".to_owned() };
    let told = "participant-not-allowed: leads to nobody";
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let confirm = driver.durable().calls.remove(0);
    let commands = driver.input(Input::Answered(confirm.ticket.clone(), forbidden()));
    assert!(records(&commands).contains(&"Parked".to_owned()), "{:?}", records(&commands));
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live").clone();
    let snapshot = tercet_engine::Snapshot {
        transaction,
        at: driver.now,
        paused: tercet_engine::PausedNames::default(),
    };
    let shown = snapshot.view().branches.remove(0);
    assert_eq!((shown.last_error.as_deref(), shown.last_answer), (Some(told), None));
    // It is called again all the same: once it may be, nothing needs to be done here.
    let again = driver.durable().calls.remove(0);
    driver.answer(&again, 200);
    driver.durable();
    assert!(driver.core.engine().transaction(&gid("t")).is_none());

    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.input(Input::Answered(tries[0].ticket.clone(), forbidden()));
    let shown = answers(&driver).0.expect("an answer to the Try");
    assert_eq!((shown.status, shown.body.as_str()), (None, told));
    let cancel = driver.durable().calls.remove(0);
    assert_eq!(cancel.ticket.op, Op::Cancel, "a Try that was refused is the transaction's end");
}
