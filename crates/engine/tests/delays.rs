//! Confirms that are put off: not before their time, whoever asks; nobody is troubled meanwhile.

mod world;

use std::time::Duration;

use tercet_engine::{
    Ask, Call, CallState, EngineSettings, Input, Load, Reply, Snapshot, Transaction, Until,
};
use tercet_wire::{BranchSpec, BranchView, Op, ResolvedAs, Status, Wall};
use world::content::{branch, delayed, gid, operator, placed, resolution, saga, spec, with_legs};
use world::driver::{Driver, calls, replies};
use world::node::{Node, destination, two_may_wait};

const NOTHING: [&str; 0] = [];
const HOUR: u64 = 3_600_000;

/// A message that goes out so long after its transaction is decided.
fn message(id: &str, delay: u64) -> BranchSpec {
    delayed(with_legs(id, 0, &[Op::Confirm]), delay)
}

fn transaction(driver: &Driver) -> &Transaction {
    driver.core.engine().transaction(&gid("t")).expect("live")
}

fn shown(driver: &Driver, id: &str) -> BranchView {
    let snapshot = Snapshot {
        transaction: transaction(driver).clone(),
        at: driver.now,
        paused: tercet_engine::PausedNames::default(),
    };
    snapshot.branch_view(&id.parse().expect("an id")).expect("the branch")
}

/// When a message of this delay goes out that was decided at the beginning.
fn due(delay: u64) -> Option<Wall> {
    Some(world::content::CREATED_AT.after(Duration::from_millis(delay)))
}

/// A message with this delay, decided at the beginning.
fn put_off(delay: u64) -> Driver {
    let mut driver = Driver::new();
    assert!(driver.begun(&spec("t", false, vec![message("a", delay)])).is_empty());
    driver
}

/// Time passes, and what follows becomes durable.
fn passed(driver: &mut Driver, ms: u64) -> Vec<String> {
    let told = calls(&driver.pass(ms));
    [told, calls(&driver.durable())].concat()
}

#[test]
fn a_confirm_is_not_called_before_its_time() {
    let mut driver = put_off(500);
    assert_eq!(shown(&driver, "a").next_attempt_at, due(500));
    assert_eq!(passed(&mut driver, 500), NOTHING, "a millisecond may be lost to rounding");
    assert_eq!(passed(&mut driver, 1), ["a confirm 1"]);
    let none = shown(&driver, "a").next_attempt_at;
    assert_eq!(none, None, "it is called");
}

#[test]
fn a_try_and_a_cancel_are_not_put_off() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![delayed(branch("a", 0), HOUR)]));
    assert_eq!(tries.len(), 1);
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Accepted);
    assert_eq!(calls(&driver.durable()), ["a cancel 1"]);
}

/// Keeps P5.
#[test]
fn a_restart_brings_no_confirm_before_its_time() {
    let mut driver = put_off(HOUR);
    driver.pass(HOUR / 2);
    driver.restart(&gid("t"));
    assert_eq!(calls(&driver.durable()), NOTHING);
    assert_eq!(shown(&driver, "a").next_attempt_at, due(HOUR));
    assert_eq!(passed(&mut driver, HOUR / 2), NOTHING);
    assert_eq!(passed(&mut driver, 1), ["a confirm 1"]);
}

#[test]
fn a_confirm_whose_time_passed_while_nobody_was_there_is_called() {
    let mut driver = put_off(HOUR);
    driver.now.wall = driver.now.wall.after(Duration::from_millis(HOUR));
    let found = calls(&driver.restart(&gid("t")));
    assert_eq!([found, calls(&driver.durable())].concat(), ["a confirm 1"]);
}

#[test]
fn a_clock_set_back_puts_it_off_by_no_more_than_was_asked() {
    let mut driver = put_off(HOUR);
    driver.now.wall = Wall(driver.now.wall.0 - 100 * 86_400_000);
    driver.restart(&gid("t"));
    assert_eq!(passed(&mut driver, HOUR), NOTHING);
    assert_eq!(passed(&mut driver, 1), ["a confirm 1"]);
}

#[test]
fn retry_does_not_hurry_it() {
    let mut driver = put_off(HOUR);
    let told = driver.ask(&gid("t"), Ask::Retry { by: operator("o") }, Until::Accepted);
    let calls = [calls(&told), calls(&driver.durable())].concat();
    assert_eq!(calls, NOTHING);
    assert_eq!(shown(&driver, "a").next_attempt_at, due(HOUR));
}

#[test]
fn it_is_not_parked_meanwhile_and_is_from_then_on() {
    let mut driver = put_off(HOUR);
    driver.pass(HOUR / 2);
    assert!(!transaction(&driver).is_parked());
    driver.pass(HOUR / 2 + 1);
    driver.durable();
    assert!(!transaction(&driver).is_parked());
    driver.pass(59_999);
    assert!(!transaction(&driver).is_parked(), "its time begins when it could be called");
    driver.pass(1);
    assert!(transaction(&driver).is_parked());
}

#[test]
fn resolve_ends_it() {
    let mut driver = put_off(HOUR);
    let word = Ask::Resolve(Box::new(resolution("a", ResolvedAs::Cancelled)));
    let told = driver.ask(&gid("t"), word, Until::Accepted);
    let told = [replies(&told), replies(&driver.durable())].concat();
    assert_eq!(told, ["1 201 confirmed", "2 200 confirmed"]);
    assert_eq!(passed(&mut driver, HOUR + 1), NOTHING);
}

#[test]
fn a_step_waits_for_its_turn_and_for_its_time() {
    for (first, second, after) in [(HOUR, 10, HOUR), (10, HOUR, HOUR)] {
        let mut driver = Driver::new();
        let steps = [message("a", first), placed(with_legs("b", 1, &[Op::Confirm]), &["a"])];
        let [a, b] = steps;
        driver.begun(&saga("t", false, vec![a, delayed(b, second)]));
        assert_eq!(shown(&driver, "b").next_attempt_at, due(after));
        driver.pass(first + 1);
        let call = driver.durable().calls.remove(0);
        assert_eq!(call.ticket.branch.as_str(), "a");
        driver.answer(&call, 200);
        let at_once = calls(&driver.durable());
        if first > second {
            assert_eq!(at_once, ["b confirm 1"], "its time is over");
        } else {
            assert_eq!(at_once, NOTHING, "its time is to come");
            assert_eq!(passed(&mut driver, second - first), ["b confirm 1"]);
        }
    }
}

/// Keeps P6.
#[test]
fn a_sibling_is_not_put_off_with_it() {
    let mut driver = Driver::new();
    let now = with_legs("now", 0, &[Op::Confirm]);
    let calls_now = driver.begun(&spec("t", false, vec![now, message("later", HOUR)]));
    assert_eq!(calls_now.len(), 1);
    driver.answer(&calls_now[0], 200);
    driver.durable();
    driver.pass(HOUR / 2);
    driver.durable();
    driver.restart(&gid("t"));
    let again = calls(&driver.durable());
    assert_eq!(again, NOTHING, "what has acknowledged is not called again");
    assert_eq!(passed(&mut driver, HOUR / 2 + 1), ["later confirm 1"]);
}

#[test]
fn what_is_asleep_is_counted_and_of_no_age() {
    let mut driver = put_off(HOUR);
    driver.pass(HOUR / 2);
    assert_eq!(driver.core.census().by_status[&Status::Confirming], (1, None));
    let there = driver.core.engine().waiting_for(["127.0.0.1:7301"]);
    assert_eq!(there["127.0.0.1:7301"].waiting, 0);
    driver.pass(HOUR / 2 + 1);
    let (count, begun) = driver.core.census().by_status[&Status::Confirming];
    // What it was put off for is nobody's lateness.
    assert_eq!((count, begun), (1, due(HOUR)));
    let there = driver.core.engine().waiting_for(["127.0.0.1:7301"]);
    assert_eq!(there["127.0.0.1:7301"].waiting, 1);
}

/// A message that is decided at once, on a node whose memory has no room for it.
fn asleep(node: &mut Node, id: &str, delay: u64) {
    let begun = node.driver.begin(&spec(id, false, vec![message("a", delay)]), Until::Accepted);
    assert_eq!(calls(&node.advance(begun)), NOTHING);
}

/// Keeps P9.
#[test]
fn what_is_asleep_leaves_memory_first_and_comes_back_in_time() {
    let mut node = Node::with(two_may_wait());
    node.answers_loads = true;
    node.stuck("s1");
    for id in ["t1", "t2", "t3"] {
        node.driver.pass(1);
        asleep(&mut node, id, HOUR);
    }
    assert_eq!(["s1", "t1", "t2"].map(|id| node.is_live(id)), [true, false, false]);
    let census = node.driver.core.census();
    assert_eq!(census.paged_out, 2);
    assert_eq!(census.by_status[&Status::Confirming].0, 4);
    // For half an hour the journal is not asked for them.
    for _ in 0..20 {
        let passed = node.driver.pass(90_000);
        assert!(!passed.loads.contains(&gid("t1")) && passed.page_requests.is_empty());
        node.advance(passed);
    }
    let back = node.driver.pass(HOUR / 2 + 10);
    let called = calls(&node.advance(back));
    assert_eq!(called.iter().filter(|call| *call == "a confirm 1").count(), 3, "{called:?}");
    assert_eq!(node.driver.core.census().paged_out, 0);
}

#[test]
fn who_looks_at_what_is_asleep_does_not_wake_it() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    asleep(&mut node, "t", HOUR);
    assert!(!node.is_live("t"));
    let looks = node.driver.read(&gid("t"));
    let rows = Box::new(node.rows[&gid("t")].clone());
    node.advance(looks);
    let found = node.input(Input::Loaded(gid("t"), Load::Found(rows)));
    assert_eq!(calls(&found), NOTHING);
    let (_, Reply::Transaction { snapshot, .. }) = &found.replies[0] else { panic!("{found:?}") };
    assert_eq!(snapshot.view().branches[0].next_attempt_at, due(HOUR));
    assert_eq!(node.driver.core.census().paged_out, 1, "it has left again");
    node.answers_loads = true;
    let back = node.driver.pass(HOUR + 1);
    assert_eq!(calls(&node.advance(back)), ["a confirm 1"]);
}

/// Keeps P6.
#[test]
fn what_waits_for_somebody_and_its_time_comes_back_for_both() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    node.answers_loads = true;
    let both = vec![with_legs("now", 0, &[Op::Confirm]), message("later", 10_000)];
    let begun = node.driver.begin(&spec("t", false, both), Until::Accepted);
    let now: Call = node.advance(begun).calls.remove(0);
    node.answers_loads = false;
    let no_room = Input::NotSent(now.ticket.clone(), Some(destination(&now)));
    node.input(no_room);
    assert!(!node.is_live("t"));
    node.answers_loads = true;
    let mut called = Vec::new();
    for _ in 0..30 {
        let passed = node.driver.pass(500);
        let commands = node.advance(passed);
        called.extend(calls(&commands));
        for call in commands.calls {
            let there = Input::NotSent(call.ticket.clone(), Some(destination(&call)));
            let told = node.driver.input(there);
            let told = node.advance(told);
            called.extend(calls(&told));
        }
    }
    let first = called.iter().position(|call| call.starts_with("later"));
    assert!(first.is_some_and(|first| first > 0), "{called:?}");
}

#[test]
fn room_and_health_do_not_hurry_it() {
    let mut driver = put_off(HOUR);
    let at = tercet_engine::Destination::of(
        &"http://127.0.0.1:7301/a/confirm".parse().expect("a URL"),
        1,
    );
    let freed = tercet_engine::CapacityFreed { destination: at, places: 64, healed: true };
    assert_eq!(calls(&driver.input(Input::CapacityFreed(freed))), NOTHING);
    assert!(matches!(transaction(&driver).branches()[0].call_state(), CallState::Held(_)));
}
