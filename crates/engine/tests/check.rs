//! The initiator of an open transaction is asked at its deadline. P2, P4, P5, P6, P7, P9.

mod world;

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Ask, Call, CapacityFreed, Change, Commands, Decision, EngineSettings, Input, Load, Until,
};
use tercet_wire::{Answer, CallOp, EventKind, Incarnation, Op, Reason, Spec, Status, Wall};
use world::content::{
    branch, checked, gid, initiators, new_branch, operator, saga, spec, step, with_legs,
};
use world::driver::{Driver, calls, records, replies};
use world::node::{Node, destination};

/// A message: its branch has a Confirm alone.
fn message() -> Arc<Spec> {
    checked(&spec("t", true, vec![with_legs("mail", 0, &[Op::Confirm])]))
}

/// One that was begun and left alone until its deadline, and the question to its initiator.
fn asked(driver: &mut Driver) -> Call {
    driver.begin(&message(), Until::Accepted);
    driver.durable();
    only(driver.pass(30_000))
}

fn only(mut commands: Commands) -> Call {
    assert_eq!(calls(&commands).len(), 1, "{:?}", calls(&commands));
    commands.calls.remove(0)
}

fn status(driver: &Driver) -> Status {
    driver.core.engine().transaction(&gid("t")).expect("live").status()
}

fn is_parked(driver: &Driver) -> bool {
    driver.core.engine().transaction(&gid("t")).expect("live").is_parked()
}

fn answer(driver: &mut Driver, call: &Call, code: u16, retry_after_ms: Option<u64>) -> Commands {
    let retry_after = retry_after_ms.map(Duration::from_millis);
    let answer = Answer::Status { code, retry_after, excerpt: "so".to_owned() };
    driver.input(Input::Answered(call.ticket.clone(), answer))
}

/// Keeps P2, P7.
#[test]
fn what_an_initiator_answers_decides() {
    for code in [200, 204, 404, 409, 410] {
        let mut driver = Driver::new();
        driver.begin(&message(), Until::Accepted);
        driver.durable();
        assert!(driver.pass(29_999).calls.is_empty(), "its time is not over");
        let ask = only(driver.pass(1));
        assert!(ask.ticket.asks && ask.deadline_at.is_none());
        assert_eq!((ask.ticket.call_op(), ask.ticket.attempt), (CallOp::Check, 1));
        assert_eq!((&*ask.branch.payload, ask.branch.timeout.as_secs()), ("{}", 3));
        assert_eq!(status(&driver), Status::Trying);
        let decided = answer(&mut driver, &ask, code, None);
        let is_confirm = code < 300;
        // What has no Cancel is cancelled at once.
        let all = if is_confirm {
            vec!["History", "Decided"]
        } else {
            vec!["History", "Decided", "Finished"]
        };
        assert_eq!(records(&decided), all, "{code}");
        let Change::History(line) = &decided.append[0].change else { panic!("a line") };
        assert_eq!((line.kind, line.op), (EventKind::Checked, Some(CallOp::Check)));
        assert_eq!((line.branch.as_ref(), line.attempt), (None, Some(1)));
        assert_eq!(line.detail.as_deref(), Some(format!("answered {code}: so").as_str()));
        assert!(decided.calls.is_empty(), "it is not durable");
        let rows = driver.rows(&gid("t"));
        match rows.decision().expect("decided") {
            Decision::Confirm => assert!(is_confirm),
            Decision::Cancel { reason, detail } => {
                assert_eq!((*reason, is_confirm), (Reason::Check, false));
                assert_eq!(detail.as_deref(), Some(format!("answered {code}").as_str()));
            }
        }
        let told: &[_] = if is_confirm { &["mail confirm 1".to_owned()] } else { &[] };
        assert_eq!(calls(&driver.durable()), told, "{code}");
    }
}

/// What is not known to be reserved cannot be confirmed, whatever the initiator says.
///
/// Keeps P2.
#[test]
fn a_try_without_an_answer_cancels_and_nobody_is_asked() {
    let of_tcc = spec("t", true, vec![new_branch("a")]);
    // Of a saga the second is not even called: it is as unanswered.
    let of_saga = saga("t", true, vec![step("a", 0, &[]), step("b", 1, &["a"])]);
    for begun in [checked(&of_tcc), checked(&of_saga)] {
        let mut driver = Driver::new();
        driver.begin(&begun, Until::Accepted);
        driver.durable();
        let commands = driver.pass(3_600_000);
        assert!(commands.calls.iter().all(|call| !call.ticket.asks), "{:?}", calls(&commands));
        let rows = driver.rows(&gid("t"));
        let reason = match rows.decision() {
            Some(Decision::Cancel { reason, .. }) => Some(*reason),
            Some(Decision::Confirm) | None => None,
        };
        assert_eq!(reason, Some(Reason::Deadline));
    }
}

/// Keeps P7.
#[test]
fn an_open_saga_whose_steps_are_done_is_confirmed_by_its_initiator() {
    let mut driver = Driver::new();
    let begun = checked(&saga("t", true, vec![step("a", 0, &[]), step("b", 1, &["a"])]));
    driver.begin(&begun, Until::Accepted);
    let first = only(driver.durable());
    driver.answer(&first, 200);
    let second = only(driver.durable());
    driver.answer(&second, 200);
    driver.durable();
    let ask = only(driver.pass(3_600_000));
    assert!(ask.ticket.asks);
    driver.answer(&ask, 200);
    assert_eq!(calls(&driver.durable()), ["a confirm 1"]);
}

/// Keeps P9.
#[test]
fn an_initiator_that_does_not_say_is_asked_without_end_and_shown() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let mut ask = asked(&mut driver);
    for attempt in 2..40 {
        let code = if attempt % 2 == 0 { 500 } else { 429 };
        answer(&mut driver, &ask, code, None);
        driver.durable();
        let pause = driver.next_in_ms().expect("it is asked again");
        assert!(pause <= 30_000, "after {pause} ms");
        ask = driver.pass(pause).calls.pop().unwrap_or(ask);
        driver.durable();
    }
    assert!(is_parked(&driver), "for minutes");
    let rows = driver.rows(&gid("t"));
    assert!(rows.parked && rows.branch_records.is_empty());
    assert_eq!(status(&driver), Status::Trying);
    let census = driver.core.census();
    assert_eq!(census.parked_branches, 1);
}

/// Whoever says that it is at it is asked again when it wants to be, and never shown.
#[test]
fn an_initiator_that_is_at_it_is_not_shown_to_people() {
    let mut driver = Driver::new();
    let mut ask = asked(&mut driver);
    for pause in [None, Some(2_000), Some(60_000), None] {
        for _ in 0..40 {
            let commands = answer(&mut driver, &ask, 202, pause);
            assert!(records(&commands).is_empty());
            assert_eq!(driver.next_in_ms(), Some(pause.unwrap_or(1_000)));
            ask = only(driver.pass(pause.unwrap_or(1_000)));
        }
    }
    assert_eq!(ask.ticket.attempt, 161);
    assert!(!is_parked(&driver));
}

/// Keeps P3.
#[test]
fn three_answers_in_a_row_that_cannot_become_right_are_shown_at_once() {
    let mut driver = Driver::new();
    let mut ask = asked(&mut driver);
    let mut shown = Vec::new();
    for code in [403, 400, 500, 422, 400, 405] {
        assert!(shown.is_empty(), "before {code}");
        assert!(answer(&mut driver, &ask, code, None).parked.is_empty(), "it is not durable");
        shown.append(&mut driver.durable().parked);
        let pause = driver.next_in_ms().expect("it is asked again");
        ask = only(driver.pass(pause));
    }
    assert!(shown[0].1.hopeless && shown[0].1.asks);
    assert_eq!(shown[0].1.branch.participant(), "127.0.0.1:7310");
    // It may be asked again at once; a decision ends it.
    answer(&mut driver, &ask, 200, None);
    assert!(!driver.rows(&gid("t")).parked);
}

/// It has been shown, and somebody decides before that is durable: nobody waits for it any more.
///
/// Keeps P3.
#[test]
fn people_are_not_told_of_an_initiator_whose_transaction_was_decided_meanwhile() {
    let mut driver = Driver::new();
    let mut ask = asked(&mut driver);
    for _ in 0..2 {
        answer(&mut driver, &ask, 403, None);
        driver.durable();
        let pause = driver.next_in_ms().expect("it is asked again");
        ask = only(driver.pass(pause));
    }
    let shown = answer(&mut driver, &ask, 403, None);
    assert!(records(&shown).contains(&"Parked".to_owned()), "{shown:?}");
    let decided = driver.ask(&gid("t"), Ask::Confirm, Until::Decided);
    assert!(records(&decided).contains(&"Decided".to_owned()), "{decided:?}");
    assert!(driver.durable().parked.is_empty());
}

/// A check answer must not override a decision.
///
/// Keeps P2.
#[test]
fn an_answer_that_comes_after_a_decision_changes_nothing() {
    for (ask, code) in [(Ask::Cancel { detail: None, if_unknown: None }, 200), (Ask::Confirm, 404)]
    {
        let mut driver = Driver::new();
        let question = asked(&mut driver);
        let is_confirm = ask == Ask::Confirm;
        driver.ask(&gid("t"), ask, Until::Decided);
        let decided = driver.durable();
        assert_eq!(replies(&decided).len(), 1, "it is taken meanwhile");
        let late = answer(&mut driver, &question, code, None);
        assert!(late.append.is_empty() && late.calls.is_empty());
        let rows = driver.rows(&gid("t"));
        assert_eq!(rows.decision() == Some(&Decision::Confirm), is_confirm);
        assert!(driver.pass(600_000).calls.iter().all(|call| !call.ticket.asks));
    }
}

/// Whoever is asked must know all that there is.
///
/// Keeps P4.
#[test]
fn nothing_is_registered_while_the_initiator_is_asked() {
    let mut driver = Driver::new();
    driver.begin(&message(), Until::Accepted);
    driver.durable();
    // The registration comes at the deadline, before anybody has looked at the clock.
    driver.now.mono = driver.now.mono.after(Duration::from_secs(30));
    let mut ask = |id: &str| {
        let commands = driver.ask(&gid("t"), Ask::Register(Box::new(initiators(id))), Until::Tried);
        (calls(&commands), replies(&commands))
    };
    let refused = |number: u32| vec![format!("{number} AsksItsInitiator")];
    assert_eq!(ask("late"), (vec!["check try 1".to_owned()], refused(2)));
    assert_eq!(ask("mail"), (Vec::new(), refused(3)));
    assert_eq!(driver.rows(&gid("t")).branches.len(), 1);
}

#[test]
fn an_operators_retry_asks_at_once() {
    let mut driver = Driver::new();
    let ask = asked(&mut driver);
    answer(&mut driver, &ask, 503, Some(60_000));
    driver.durable();
    let retry = || Ask::Retry { by: operator("somebody") };
    // The history says so first.
    assert!(driver.ask(&gid("t"), retry(), Until::Accepted).calls.is_empty());
    let commands = driver.durable();
    assert_eq!(replies(&commands), ["2 200 trying"]);
    assert_eq!(only(commands).ticket.attempt, 2);
    // Before the deadline there is nobody to ask.
    let mut driver = Driver::new();
    driver.begin(&message(), Until::Accepted);
    driver.durable();
    assert!(driver.ask(&gid("t"), retry(), Until::Accepted).calls.is_empty());
}

/// Keeps P5.
#[test]
fn a_restart_goes_on_asking_by_the_rows_alone() {
    let mut driver = Driver::new();
    asked(&mut driver);
    let again = only(driver.restart(&gid("t")));
    assert!(again.ticket.asks);
    assert_eq!(again.ticket.attempt, 1, "a hint, which may repeat");
    // What is shown to people stays so.
    driver.pass(60_000);
    assert!(driver.rows(&gid("t")).parked);
    let commands = driver.restart(&gid("t"));
    assert!(records(&commands).is_empty() && is_parked(&driver));
    let again = only(commands);
    driver.durable();
    // A sign of life ends that.
    assert_eq!(records(&answer(&mut driver, &again, 202, None)), ["Parked"]);
    assert!(!is_parked(&driver));
}

/// Keeps P5, P8.
#[test]
fn a_clock_in_doubt_asks_nobody_before_the_round_it_gives() {
    let mut driver = Driver::new();
    driver.begin(&message(), Until::Accepted);
    driver.now.wall = Wall(driver.now.wall.0 + 3_600_000);
    let settings = EngineSettings { clock_doubted: true, ..EngineSettings::default() };
    assert!(driver.restart_with(&gid("t"), settings).calls.is_empty());
    let round = driver.next_in_ms().expect("a deadline");
    assert!(round >= 1_000, "{round}");
    assert!(driver.pass(round - 1).calls.is_empty());
    let asked = driver.ask(&gid("t"), Ask::Register(Box::new(initiators("b"))), Until::Tried);
    driver.durable();
    assert!(calls(&asked).is_empty(), "it may go on as before");
    assert!(only(driver.pass(1)).ticket.asks);
}

/// Keeps P9.
#[test]
fn who_waits_for_its_initiator_leaves_memory_and_asks_at_its_time() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    node.answers_loads = true;
    let begun = node.driver.begin(&message(), Until::Accepted);
    node.advance(begun);
    let passed = node.driver.pass(1_000);
    node.advance(passed);
    assert!(!node.is_live("t"));
    let passed = node.driver.pass(29_000);
    let mut ask = only(node.advance(passed));
    for _ in 0..3 {
        let retry_after = Some(Duration::from_secs(20));
        let busy = Answer::Status { code: 202, retry_after, excerpt: String::new() };
        node.input(Input::Answered(ask.ticket.clone(), busy));
        let passed = node.driver.pass(1_000);
        node.advance(passed);
        assert!(!node.is_live("t"), "it waits");
        let passed = node.driver.pass(18_999);
        assert!(node.advance(passed).calls.is_empty(), "it is not to be asked yet");
        // Nobody adds to it while it is away.
        let passed = node.driver.pass(1);
        ask = only(node.advance(passed));
        assert_eq!(node.driver.core.census().parked_branches, 0, "it has given signs of life");
    }
    node.input(Input::Answered(
        ask.ticket.clone(),
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() },
    ));
    assert_eq!(node.rows[&gid("t")].status, Status::Confirming);
}

/// Keeps P6.
#[test]
fn who_finds_no_room_to_ask_waits_for_it() {
    let mut driver = Driver::new();
    let ask = asked(&mut driver);
    let there = destination(&ask);
    let commands = driver.input(Input::NotSent(ask.ticket.clone(), Some(there.clone())));
    assert_eq!(commands.notify_when_free, std::slice::from_ref(&there));
    driver.durable();
    // However long: it uses up no attempt, but people are shown it.
    assert!(driver.pass(59_999).append.is_empty());
    assert_eq!(records(&driver.pass(1)), ["History", "Parked"]);
    driver.durable();
    let freed = CapacityFreed { destination: there, places: 1, healed: false };
    let again = only(driver.input(Input::CapacityFreed(freed)));
    assert_eq!(again.ticket.attempt, 1);
    // Where the node itself has no room it is offered again.
    driver.input(Input::NotSent(again.ticket.clone(), None));
    let pause = driver.next_in_ms().expect("it is offered again");
    assert_eq!(only(driver.pass(pause)).ticket.attempt, 1);
}

/// Of what is taken over people hear anew only if it lasts: its initiator is asked first.
///
/// Keeps P5, P7.
#[test]
fn an_initiator_is_asked_anew_after_a_take_over_before_people_are_told() {
    let mut before = Driver::new();
    asked(&mut before);
    before.pass(60_000);
    let rows = before.rows(&gid("t"));
    assert!(rows.parked);
    let mut driver = Driver::new();
    driver.now.wall = Wall(driver.now.wall.0 + 3_600_000);
    let (dead, gids) = (Incarnation(7), vec![gid("t")]);
    driver.input(Input::TakingOver { dead, gids: gids.clone() });
    driver.input(Input::TakenOver(gids));
    let mut found = driver.input(Input::Loaded(gid("t"), Load::Found(Box::new(rows))));
    assert!(found.calls[0].ticket.asks && is_parked(&driver));
    found.parked.append(&mut driver.pass(59_999).parked);
    found.parked.append(&mut driver.durable().parked);
    assert_eq!(found.parked, [], "it has been asked for less than a minute");
    let mut told = driver.pass(1).parked;
    told.append(&mut driver.durable().parked);
    assert_eq!(told.len(), 1, "nor does it say so now");
}

/// What is decided and paged out may have been finished by somebody else, which is forgotten; those
/// that ask their initiators are not among it.
///
/// Keeps P7, P9.
#[test]
fn who_asks_in_vain_is_counted_though_what_is_decided_is_gone() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    node.answers_loads = true;
    let begun = node.driver.begin(&message(), Until::Accepted);
    node.advance(begun);
    let passed = node.driver.pass(1_000);
    node.advance(passed);
    let passed = node.driver.pass(29_000);
    let mut ask = only(node.advance(passed));
    for wait in [1_000, 1_000, 60_000] {
        let retry_after = Some(Duration::from_millis(wait));
        let wrong = Answer::Status { code: 403, retry_after, excerpt: String::new() };
        node.input(Input::Answered(ask.ticket.clone(), wrong));
        if wait == 1_000 {
            let passed = node.driver.pass(wait);
            ask = node.advance(passed).calls.pop().expect("it is asked again");
        }
    }
    let passed = node.driver.pass(1_000);
    node.advance(passed);
    assert!(!node.is_live("t") && node.rows[&gid("t")].parked);
    node.answers_loads = false;
    let (begun, created_at) = (spec("u", false, vec![branch("a", 0)]), node.driver.now.wall);
    let deadline_at = created_at.after(Duration::from_secs(30));
    let begun = Arc::new(Spec { created_at, deadline_at, ..Spec::clone(&begun) });
    let commands = node.driver.begin(&begun, Until::Accepted);
    let tries = node.advance(commands).calls;
    let tried = node.driver.answer(&tries[0], 200);
    let confirm = node.advance(tried).calls.remove(0);
    node.input(Input::NotSent(confirm.ticket.clone(), Some(destination(&confirm))));
    assert_eq!(node.driver.core.census().paged_out, 2);
    node.rows.remove(&gid("u"));
    for gone in std::mem::take(&mut node.loads) {
        node.input(Input::Loaded(gone, Load::Nothing));
    }
    for _ in 0..10 {
        let passed = node.driver.pass(500);
        node.advance(passed);
    }
    let census = node.driver.core.census();
    assert_eq!((census.paged_out, census.parked_branches), (1, 1));
    let waiting = node.driver.core.engine().waiting_for(["127.0.0.1:7310", "127.0.0.1:7301"]);
    assert_eq!((waiting["127.0.0.1:7310"].parked, waiting["127.0.0.1:7301"].waiting), (1, 0));
}
