//! What Tries were answered with: kept where somebody is told, durable before anybody is, and the
//! same for ever. P1, P5.

mod world;

use std::sync::Arc;

use tercet_engine::{Call, Change, Commands, EngineSettings, Snapshot, Transaction};
use tercet_wire::{BranchSpec, Op, Spec};
use world::content::{branch, gid, initiators, placed, saga, spec, step, with_legs, with_results};
use world::driver::{Driver, calls, records};

/// What each call brings: `b try: a=1 c="x"`; of one that brings nothing its name alone.
fn told(calls: &[Call]) -> Vec<String> {
    let told = |call: &Call| {
        let name = format!("{} {}", call.ticket.branch, call.ticket.op);
        match call.brought() {
            None => name,
            Some(brought) => brought.iter().fold(format!("{name}:"), |text, (id, result)| {
                format!("{text} {id}={}", result.as_json())
            }),
        }
    };
    calls.iter().map(told).collect()
}

fn answered(driver: &mut Driver, call: &Call, body: &str) -> Commands {
    driver.answer_with(call, body);
    driver.durable()
}

/// `flight` and `hotel` side by side, then `pay`, which is told, then `mail`, which only confirms.
fn trip() -> Arc<Spec> {
    let mail = placed(with_legs("mail", 3, &[Op::Confirm]), &["pay"]);
    let steps = vec![
        step("flight", 0, &[]),
        step("hotel", 1, &[]),
        with_results(step("pay", 2, &["hotel", "flight"])),
        with_results(mail),
    ];
    saga("t", false, steps)
}

/// Keeps P1.
#[test]
fn a_step_is_told_what_is_durable_of_all_before_it() {
    let mut driver = Driver::new();
    let first = driver.begun(&trip());
    assert!(first.iter().all(Call::keeps_result), "somebody who comes after is told");
    assert_eq!(told(&first), ["flight try", "hotel try"], "they asked for nothing");
    answered(&mut driver, &first[1], "{ \"room\" :7}");
    let commands = driver.answer_with(&first[0], "");
    assert_eq!(records(&commands), ["History", "Tried", "History"]);
    assert_eq!(calls(&commands), [""; 0], "nothing of it is durable");
    let pay = driver.durable().calls;
    assert_eq!(told(&pay), ["pay try: flight=null hotel={ \"room\" :7}"]);
    let confirms = answered(&mut driver, &pay[0], "paid").calls;
    assert_eq!(told(&confirms), ["flight confirm", "hotel confirm"]);
    answered(&mut driver, &confirms[0], "none");
    let confirms = answered(&mut driver, &confirms[1], "none").calls;
    let all = "flight=null hotel={ \"room\" :7} pay=\"paid\"";
    assert_eq!(told(&confirms), [format!("pay confirm: {all}")]);
    let confirms = answered(&mut driver, &confirms[0], "none").calls;
    assert_eq!(told(&confirms), [format!("mail confirm: {all}")], "it has no Try, and so no key");
}

/// Keeps P1, P5.
#[test]
fn after_a_crash_at_any_moment_the_same_is_told_to_the_byte() {
    let mut driver = Driver::new();
    let first = driver.begun(&trip());
    answered(&mut driver, &first[0], " [1]\n");
    let pay = answered(&mut driver, &first[1], "\u{1}").calls;
    let again = {
        driver.restart(&gid("t"));
        driver.durable().calls
    };
    assert_eq!(told(&again), told(&pay));
    assert_eq!(told(&again), ["pay try: flight= [1]\n hotel=\"\\u0001\""]);
    // Refused, it is told as much when it is cancelled, and nothing of its own.
    driver.answer(&again[0], 409);
    let undone = driver.durable().calls;
    assert_eq!(told(&undone), ["pay cancel: flight= [1]\n hotel=\"\\u0001\""]);
    let again = {
        driver.restart(&gid("t"));
        driver.durable().calls
    };
    assert_eq!(told(&again), told(&undone));
}

#[test]
fn in_tcc_a_branch_is_told_its_own_alone() {
    let mut driver = Driver::new();
    let branches = vec![with_results(branch("a", 0)), branch("b", 1)];
    let first = driver.begun(&spec("t", false, branches));
    assert_eq!(told(&first), ["a try:", "b try"]);
    assert_eq!(first.iter().map(Call::keeps_result).collect::<Vec<_>>(), [true, false]);
    let commands = driver.answer_with(&first[0], "7");
    assert_eq!(records(&commands), ["Tried"]);
    driver.durable();
    let commands = driver.answer(&first[1], 200);
    assert_eq!(records(&commands), ["Decided"]);
    assert_eq!(told(&driver.durable().calls), ["a confirm: a=7", "b confirm"]);
    // Nothing of it has to be written anew.
    assert_eq!(told(&driver.restart(&gid("t")).calls), ["a confirm: a=7", "b confirm"]);
}

#[test]
fn what_nobody_is_told_is_not_kept() {
    let mut driver = Driver::new();
    let first = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    assert!(first.iter().all(|call| call.results.is_none()));
    // Nor is what comes after whoever asks.
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", false, vec![with_results(branch("a", 0)), branch("b", 1)]));
    let next = answered(&mut driver, &first[0], "1").calls;
    assert_eq!((told(&next), next[0].keeps_result()), (vec!["b try".to_owned()], false));
    let commands = driver.answer(&next[0], 200);
    assert!(!records(&commands).contains(&"Tried".to_owned()));
}

/// Keeps P1.
#[test]
fn a_step_is_told_of_all_before_it_whoever_stands_between() {
    let mut driver = Driver::new();
    let steps = vec![branch("a", 0), branch("b", 1), with_results(branch("c", 2))];
    let first = driver.begun(&saga("t", false, steps));
    let second = answered(&mut driver, &first[0], "1").calls;
    assert_eq!(told(&second), ["b try"]);
    let third = answered(&mut driver, &second[0], "2").calls;
    assert_eq!(told(&third), ["c try: a=1 b=2"]);
}

#[test]
fn in_an_open_saga_somebody_may_yet_ask() {
    let mut driver = Driver::new();
    let first = driver.begun(&saga("t", true, vec![branch("a", 0)]));
    assert!(first[0].keeps_result());
    answered(&mut driver, &first[0], "\"12A\"");
    let ask = tercet_engine::Ask::Register(Box::new(with_results(branch("b", 0))));
    driver.ask(&gid("t"), ask, tercet_engine::Until::Accepted);
    assert_eq!(told(&driver.durable().calls), ["b try: a=\"12A\""]);
}

#[test]
fn a_branch_whose_try_the_initiator_calls_has_no_result() {
    let mut driver = Driver::new();
    driver.begun(&spec("t", true, Vec::new()));
    let ask = tercet_engine::Ask::Register(Box::new(with_results(initiators("a"))));
    driver.ask(&gid("t"), ask, tercet_engine::Until::Accepted);
    driver.durable();
    driver.ask(&gid("t"), tercet_engine::Ask::Confirm, tercet_engine::Until::Accepted);
    assert_eq!(told(&driver.durable().calls), ["a confirm:"]);
}

/// Keeps P9.
#[test]
fn results_that_are_too_large_together_refuse_the_try() {
    let body = |bytes: usize| "x".repeat(bytes);
    for (last, is_refused) in [(56 * 1024, false), (56 * 1024 + 1, true)] {
        let mut driver = Driver::new();
        let steps: Vec<BranchSpec> = ["a", "b", "c"]
            .into_iter()
            .zip(0..)
            .map(|(id, at)| with_results(branch(id, at)))
            .collect();
        let first = driver.begun(&saga("t", false, steps));
        let second = answered(&mut driver, &first[0], &body(100 * 1024)).calls;
        // What it had is known after a crash, too.
        driver.restart(&gid("t"));
        let second = [driver.durable().calls, second].concat();
        let third = answered(&mut driver, &second[0], &body(100 * 1024)).calls;
        let next = answered(&mut driver, &third[0], &body(last)).calls;
        let op = if is_refused { Op::Cancel } else { Op::Confirm };
        assert_eq!(next[0].ticket.op, op);
        let rows = driver.rows(&gid("t"));
        let error = rows.branch_records.iter().find_map(|row| row.last_error.as_deref());
        assert_eq!(error, is_refused.then_some("result-too-large"));
        assert_eq!(rows.results.len(), if is_refused { 2 } else { 3 });
    }
}

/// Keeps P9.
#[test]
fn results_count_in_the_memory_that_transactions_take() {
    let mut driver = Driver::new();
    let bytes = |driver: &Driver| driver.core.census().live_bytes;
    let first = driver.begun(&saga("t", false, vec![with_results(branch("a", 0)), branch("b", 1)]));
    let before = bytes(&driver);
    answered(&mut driver, &first[0], &"x".repeat(10_000));
    let after = bytes(&driver);
    assert!((10_000..10_500).contains(&(after - before)), "{before}, then {after}");
    driver.restart_with(&gid("t"), EngineSettings::default());
    assert!(
        (10_000..10_500).contains(&(bytes(&driver) - before)),
        "{before}, then {}",
        bytes(&driver)
    );
}

#[test]
fn a_result_is_shown_with_its_branch_to_the_byte() {
    let mut driver = Driver::new();
    let first = driver.begun(&trip());
    answered(&mut driver, &first[1], "{ \"room\" :7.0}");
    let shown = |transaction: Transaction, driver: &Driver| {
        let view =
            Snapshot { transaction, at: driver.now, paused: tercet_engine::PausedNames::default() }
                .view();
        let results = view.branches.into_iter().map(|branch| branch.result);
        results.map(|result| result.map(|text| text.as_str().to_owned())).collect::<Vec<_>>()
    };
    let expected = [None, Some("{ \"room\" :7.0}".to_owned()), None, None];
    let live = driver.core.engine().transaction(&gid("t")).expect("live").clone();
    assert_eq!(shown(live, &driver), expected);
    let read = Transaction::restore(&driver.rows(&gid("t")), driver.now);
    assert_eq!(shown(read, &driver), expected);
}

/// A record that does not fit is a fault of ours, and is not written.
#[test]
fn a_branch_has_one_result_and_only_if_it_was_tried() {
    let mut driver = Driver::new();
    let first = driver.begun(&trip());
    answered(&mut driver, &first[0], "1");
    let mut rows = driver.rows(&gid("t"));
    let tried = driver.records.iter().find(|record| matches!(record.change, Change::Tried(_)));
    let tried = tried.expect("it was written").change.clone();
    assert!(rows.apply(&tried).is_err(), "twice");
    let Change::Tried(mut other) = tried else { unreachable!("it was found as one") };
    other.record.branch = "hotel".parse().expect("an id");
    other.record.status = tercet_wire::BranchStatus::Registered;
    assert!(rows.apply(&Change::Tried(other)).is_err(), "of a branch that was not tried");
}
