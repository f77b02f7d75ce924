//! What sagas take of a node: its room, its history, the time of those who look; and what becomes of
//! their steps while they are not in memory. P1, P6, P9.

mod world;

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Ask, Call, Change, Commands, EngineSettings, Input, Record, Until, Weight};
use tercet_wire::{BranchSpec, EventKind, Op, PerOp, Seq, Spec};
use world::content::{branch, gid, instance, placed, saga, spec, step, with_legs};
use world::driver::{Driver, calls, replies};
use world::node::{Node, destination};

fn of_one(gid: &str) -> Arc<Spec> {
    saga(gid, false, vec![branch("a", 0)])
}

/// The same branch, at another participant.
fn at_port(branch: BranchSpec, port: u16) -> BranchSpec {
    let moved = |op: Op| {
        let mut url = (**branch.url(op)?).clone();
        url.set_port(Some(port)).expect("a URL with a host");
        Some(Arc::new(url))
    };
    let urls =
        PerOp { try_: moved(Op::Try), confirm: moved(Op::Confirm), cancel: moved(Op::Cancel) };
    BranchSpec { urls, ..branch }
}

/// The lines among these records that say that a step was called, as `branch op`.
fn told_called(commands: &Commands) -> Vec<String> {
    let line = |record: &Record| match &record.change {
        Change::History(line) if line.kind == EventKind::StepCalled => {
            Some(format!("{} {}", line.branch.as_ref()?, line.op?))
        }
        _ => None,
    };
    commands.append.iter().filter_map(line).collect()
}

/// The one call that time brings, and what was written before it.
fn next_call(driver: &mut Driver) -> (Commands, Call) {
    let mut all = Commands::default();
    for _ in 0..100 {
        let pause = driver.next_in_ms().expect("it is called again");
        let passed = driver.pass(pause);
        let durable = driver.durable();
        all.append.extend(passed.append.into_iter().chain(durable.append));
        let mut calls = [passed.calls, durable.calls].concat();
        if let Some(call) = calls.pop() {
            assert_eq!(calls, []);
            return (all, call);
        }
    }
    panic!("it is not called");
}

/// One that tries stays in memory for as long as its participant does not answer.
///
/// Keeps P9.
#[test]
fn sagas_leave_half_of_the_room_to_others() {
    let settings = EngineSettings { live_transactions: 4, ..EngineSettings::default() };
    let mut driver = Driver::with(settings);
    let first = driver.begun(&of_one("s1"));
    driver.begun(&of_one("s2"));
    let told = replies(&driver.begin(&of_one("s3"), Until::Accepted));
    assert_eq!(told, ["3 TooManyTransactions { limit: 2 }"]);
    let other = spec("t", false, vec![branch("a", 0)]);
    assert_eq!(driver.begun(&other).len(), 1, "others have their half");
    // What has ended makes room.
    driver.answer(&first[0], 200);
    let confirm = driver.durable().calls.remove(0);
    driver.answer(&confirm, 200);
    driver.durable();
    assert_eq!(driver.begun(&of_one("s4")).len(), 1);
}

/// Keeps P9.
#[test]
fn sagas_leave_half_of_the_bytes_to_others() {
    let mut driver = Driver::new();
    driver.begun(&of_one("s1"));
    let one = driver.core.census().live_bytes;
    let settings = EngineSettings { live_bytes: 4 * one, ..EngineSettings::default() };
    let mut driver = Driver::with(settings);
    driver.begun(&of_one("s1"));
    assert_eq!(driver.begun(&of_one("s2")).len(), 1);
    let told = replies(&driver.begin(&of_one("s3"), Until::Accepted));
    assert_eq!(told, [format!("3 TooManyBytes {{ limit: {} }}", 2 * one)]);
    assert_eq!(driver.begun(&spec("t", false, vec![branch("a", 0)])).len(), 1);
}

#[test]
fn a_step_that_is_offered_or_called_again_is_told_once() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let begun = driver.begin(&of_one("t"), Until::Finished);
    assert_eq!(told_called(&begun), ["a try"]);
    let mut call = driver.durable().calls.remove(0);
    for _ in 0..3 {
        driver.input(Input::NotSent(call.ticket.clone(), None));
        let (offered, again) = next_call(&mut driver);
        assert_eq!((told_called(&offered).as_slice(), again.ticket.attempt), (&[][..], 1));
        call = again;
    }
    driver.answer(&call, 503);
    driver.durable();
    let (again, call) = next_call(&mut driver);
    assert_eq!((told_called(&again).as_slice(), call.ticket.attempt), (&[][..], 2));
    // Each leg by itself.
    let decided = driver.answer(&call, 200);
    assert_eq!(told_called(&decided), ["a confirm"]);
}

/// Keeps P9.
#[test]
fn a_step_without_room_is_told_once_however_often_it_leaves_memory() {
    let settings =
        EngineSettings { in_memory_waiting_transactions: 0, ..EngineSettings::default() };
    let mut node = Node::with(settings);
    node.answers_loads = true;
    let begun = saga("t", false, vec![with_legs("a", 0, &[Op::Confirm])]);
    let commands = node.driver.begin(&begun, Until::Accepted);
    let mut calls = node.advance(commands).calls;
    let mut offered = 0;
    for _ in 0..20 {
        for call in std::mem::take(&mut calls) {
            offered += 1;
            // It leaves, and is back when its page is read.
            let no_room = Input::NotSent(call.ticket.clone(), Some(destination(&call)));
            calls.extend(node.input(no_room).calls);
        }
        let passed = node.driver.pass(500);
        calls.extend(node.advance(passed).calls);
    }
    assert!(offered > 5, "it was offered {offered} times");
    let all = Commands { append: node.driver.records.clone(), ..Commands::default() };
    assert_eq!(told_called(&all), ["a confirm"]);
}

/// A doubted clock has its deadline over, which gives it one more round; then it leaves memory, and
/// is spoken of. What is registered only now would be a new step.
///
/// Keeps P8.
#[test]
fn what_comes_back_in_its_last_round_begins_no_new_step() {
    let mut before = Driver::new();
    let first = before.begun(&saga("t", true, vec![step("a", 0, &[])]));
    before.answer(&first[0], 200);
    before.durable();
    let rows = before.rows(&gid("t"));
    let settings = EngineSettings {
        clock_doubted: true,
        in_memory_waiting_transactions: 0,
        ..EngineSettings::default()
    };
    for doubted in [false, true] {
        let mut node = Node::with(settings.clone());
        node.answers_loads = true;
        if doubted {
            node.driver.now.wall = node.driver.now.wall.after(Duration::from_secs(7_200));
        }
        node.rows.insert(gid("t"), rows.clone());
        node.input(Input::Adopt(Box::new(rows.clone())));
        assert!(!node.is_live("t"), "it rests");
        let register = Ask::Register(Box::new(step("b", 0, &[])));
        let asked = node.driver.ask(&gid("t"), register, Until::Tried);
        let called = calls(&node.advance(asked));
        let expected: &[&str] = if doubted { &[] } else { &["b try 1"] };
        assert_eq!(called, expected, "doubted: {doubted}");
    }
}

/// Whose turn is to come waits for nobody, in memory and out of it.
///
/// Keeps P6.
#[test]
fn a_step_waits_for_its_participant_from_its_turn_on() {
    let first = at_port(with_legs("a", 0, &[Op::Confirm]), 7_301);
    let second = placed(at_port(with_legs("b", 1, &[Op::Confirm]), 7_302), &["a"]);
    let begun = saga("t", false, vec![first, second]);
    for stays in [1_000, 0] {
        let settings =
            EngineSettings { in_memory_waiting_transactions: stays, ..EngineSettings::default() };
        let mut node = Node::with(settings);
        let commands = node.driver.begin(&begun, Until::Accepted);
        let confirm = node.advance(commands).calls.remove(0);
        node.input(Input::NotSent(confirm.ticket.clone(), Some(destination(&confirm))));
        assert_eq!(node.is_live("t"), stays > 0);
        let both = ["127.0.0.1:7301", "127.0.0.1:7302"];
        let waiting = node.driver.core.engine().waiting_for(both);
        assert_eq!(both.map(|at| waiting[at].waiting), [1, 0], "{stays} stay");
    }
}

/// Names of others are texts like any: many steps that come after many are no small matter.
///
/// Keeps P9.
#[test]
fn the_names_that_steps_come_after_count_in_memory_and_in_a_batch() {
    let steps = |after: &[&str]| {
        let long = "x".repeat(60);
        let all = [step("a", 0, &[]), step(&long, 1, &[]), step("c", 2, after)];
        saga("t", false, all.to_vec())
    };
    let (none, long) = (steps(&[]), "x".repeat(60));
    let named = steps(&["a", &long]);
    let in_memory = |spec: &Arc<Spec>| {
        let mut driver = Driver::new();
        driver.begin(spec, Until::Accepted);
        driver.core.census().live_bytes
    };
    assert!(in_memory(&named) >= in_memory(&none) + 61);
    let in_batch = |spec: &Arc<Spec>| {
        let change = Change::Begun(Arc::clone(spec));
        let record = Record { seq: Seq(1), gid: gid("t"), instance: instance(1), change };
        Weight::of(&record).bytes
    };
    assert!(in_batch(&named) >= in_batch(&none) + 61);
}
