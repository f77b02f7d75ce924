//! Participants that an operator has paused: nobody calls them, and nothing fails for it. P4, P6.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use tercet_engine::{
    Ask, CapacityFreed, Commands, Destination, EngineSettings, Input, Paused, Reply, Rules, Until,
};
use tercet_wire::{Answer, Op, Wall};
use world::content::{at_port, branch, checked, delayed, gid, spec};
use world::driver::{Driver, calls, records};
use world::node::Node;

const PARTICIPANT: &str = "127.0.0.1:7301";

fn set(participants: &[&str]) -> BTreeSet<String> {
    participants.iter().map(|name| (*name).to_owned()).collect()
}

fn pause(driver: &mut Driver) -> Commands {
    driver.input(Input::Paused(set(&[PARTICIPANT])))
}

fn resume(driver: &mut Driver) -> Commands {
    driver.input(Input::Paused(set(&[])))
}

fn at(branch: &str) -> Destination {
    let url = format!("http://{PARTICIPANT}/{branch}/confirm");
    Destination::of(&url.parse().expect("a URL"), 1)
}

/// Its destination says that it has room.
fn has_room(driver: &mut Driver, branch: &str) -> Commands {
    let freed = CapacityFreed { destination: at(branch), places: 10, healed: false };
    driver.input(Input::CapacityFreed(freed))
}

/// Keeps P4.
#[test]
fn what_is_paused_waits_without_an_end_and_goes_on_when_it_is_resumed() {
    let mut driver = Driver::new();
    pause(&mut driver);
    let tries = driver.begun(&spec("t", true, vec![branch("a", 0)]));
    assert!(tries.is_empty(), "{tries:?}");
    // Neither its timeout nor its attempts are used up.
    for _ in 0..9 {
        let passed = driver.pass(3_000);
        assert!(calls(&passed).is_empty() && records(&passed).is_empty(), "{passed:?}");
    }
    // Whoever says that there is room says it of a destination that nobody calls.
    assert!(calls(&has_room(&mut driver, "a")).is_empty());
    let resumed = resume(&mut driver);
    assert_eq!(resumed.notify_when_free, [at("a")], "it is to tell when it has room");
    assert_eq!(calls(&has_room(&mut driver, "a")), ["a try 1"]);
}

#[test]
fn a_try_that_is_paused_waits_up_to_its_deadline() {
    let mut driver = Driver::new();
    pause(&mut driver);
    driver.begun(&spec("t", false, vec![branch("a", 0)]));
    assert_eq!(records(&driver.pass(30_000)), ["BranchRecord", "Decided"]);
    assert!(calls(&driver.durable()).is_empty(), "its Cancel is not made either");
    resume(&mut driver);
    assert_eq!(calls(&has_room(&mut driver, "a")), ["a cancel 1"]);
}

/// Keeps P6.
#[test]
fn others_are_called_meanwhile() {
    let mut driver = Driver::new();
    driver.input(Input::Paused(set(&["127.0.0.1:7302"])));
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    assert_eq!(tries.len(), 1);
}

#[test]
fn what_is_paused_is_not_shown_to_people_and_has_its_time_anew_afterwards() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let confirm = driver.durable().calls.remove(0);
    driver.pass(30_000);
    pause(&mut driver);
    // The call that was under way is answered, again and again of no use.
    driver.answer(&confirm, 410);
    assert!(driver.durable().parked.is_empty());
    let passed = driver.pass(600_000);
    assert!(calls(&passed).is_empty() && records(&passed).is_empty(), "{passed:?}");
    resume(&mut driver);
    assert!(!records(&driver.pass(59_999)).contains(&"Parked".to_owned()));
    assert!(records(&driver.pass(1)).contains(&"Parked".to_owned()), "a minute after");
}

/// When a branch is called next, as people are shown it.
fn next_attempt(driver: &mut Driver) -> Option<Wall> {
    let read = driver.read(&gid("t")).replies.remove(0).1;
    let Reply::Transaction { snapshot, .. } = read else { panic!("{read:?}") };
    snapshot.view().branches[0].next_attempt_at
}

#[test]
fn who_backs_off_is_called_at_once_after_a_pause() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let confirm = driver.durable().calls.remove(0);
    driver.answer(&confirm, 503);
    driver.durable();
    let next = driver.next_in_ms().expect("it is called again");
    assert!(next > 0 && next_attempt(&mut driver).is_some());
    pause(&mut driver);
    assert_eq!(next_attempt(&mut driver), None, "people say when");
    let resumed = resume(&mut driver);
    assert_eq!((calls(&resumed), resumed.notify_when_free), (vec![], vec![at("a")]));
    assert_eq!(calls(&has_room(&mut driver, "a")), ["a confirm 2"]);
}

#[test]
fn a_pause_that_was_asked_for_is_kept_beyond_an_operators() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let confirm = driver.durable().calls.remove(0);
    let busy = Answer::Status {
        code: 503,
        retry_after: Some(Duration::from_secs(10)),
        excerpt: String::new(),
    };
    driver.input(Input::Answered(confirm.ticket, busy));
    driver.durable();
    pause(&mut driver);
    driver.pass(1_000);
    assert!(resume(&mut driver).notify_when_free.is_empty());
    assert!(calls(&driver.pass(8_999)).is_empty());
    assert_eq!(calls(&driver.pass(1)), ["a confirm 2"]);
}

#[test]
fn a_delayed_confirm_has_no_time_while_it_is_paused() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![delayed(branch("a", 0), 60_000)]));
    driver.answer(&tries[0], 200);
    driver.durable();
    let due = next_attempt(&mut driver);
    assert!(due.is_some());
    pause(&mut driver);
    assert_eq!(next_attempt(&mut driver), None);
    resume(&mut driver);
    assert_eq!(next_attempt(&mut driver), due, "that is not hurried");
}

/// Keeps P3.
#[test]
fn what_was_parked_before_is_shown_no_more_when_it_is_paused() {
    for is_told in [true, false] {
        let rules = Rules { park_after_permanent_errors: 1, ..Rules::default() };
        let mut driver = Driver::rules(rules);
        let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
        driver.answer(&tries[0], 200);
        let confirm = driver.durable().calls.remove(0);
        assert!(records(&driver.answer(&confirm, 410)).contains(&"Parked".to_owned()));
        if is_told {
            assert_eq!(driver.durable().parked.len(), 1);
        }
        let paused = pause(&mut driver);
        assert_eq!(records(&paused), ["BranchRecord", "Parked"]);
        // Of what its row says no more nobody is told any more.
        assert!(driver.durable().parked.is_empty());
        let rows = driver.rows(&gid("t"));
        assert!(!rows.parked && !rows.branch_records[0].parked);
        assert_eq!(driver.core.census().parked_branches, 0);
        // It is late a minute after it is called again, and told as any other.
        resume(&mut driver);
        assert!(!records(&driver.pass(59_999)).contains(&"Parked".to_owned()));
        assert!(records(&driver.pass(1)).contains(&"Parked".to_owned()));
        assert_eq!(driver.durable().parked.len(), 1);
    }
}

#[test]
fn an_initiator_that_is_paused_is_not_asked() {
    let mut driver = Driver::new();
    driver.input(Input::Paused(set(&["127.0.0.1:7310"])));
    driver.begun(&checked(&spec("t", true, vec![])));
    assert!(calls(&driver.pass(30_000)).is_empty());
    assert!(records(&driver.pass(600_000)).is_empty(), "nor shown to people");
    let resumed = resume(&mut driver);
    assert_eq!(resumed.notify_when_free.len(), 1);
    let freed = CapacityFreed {
        destination: resumed.notify_when_free[0].clone(),
        places: 1,
        healed: false,
    };
    assert_eq!(driver.input(Input::CapacityFreed(freed)).calls.len(), 1);
}

/// It was paused when its transaction left memory, where another branch has asked for ten minutes.
///
/// Keeps P4.
#[test]
fn who_was_resumed_while_it_was_paged_out_has_its_own_time() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    let branches = vec![branch("a", 0), at_port(branch("b", 1), 7302)];
    let begun = node.driver.begin(&spec("t", false, branches), Until::Accepted);
    let tries = node.advance(begun).calls;
    let mut confirms = Vec::new();
    for call in &tries {
        let tried = node.driver.answer(call, 200);
        confirms.extend(node.advance(tried).calls);
    }
    let ten_minutes = Some(Duration::from_secs(600));
    let at_it = Answer::Status { code: 202, retry_after: ten_minutes, excerpt: String::new() };
    node.input(Input::Answered(confirms[1].ticket.clone(), at_it));
    pause(&mut node.driver);
    node.input(Input::NotSent(confirms[0].ticket.clone(), Some(at("a"))));
    let passed = node.driver.pass(1_000);
    node.advance(passed);
    assert!(!node.is_live("t"), "it rests");
    resume(&mut node.driver);
    node.answers_loads = true;
    let mut next = node.driver.ask(&gid("t"), Ask::Read, Until::Accepted);
    // There is no room for its call, neither now nor later.
    for _ in 0..62 {
        while let Some(call) = node.advance(next).calls.first() {
            next = node.driver.input(Input::NotSent(call.ticket.clone(), Some(at("a"))));
        }
        next = node.driver.pass(1_000);
    }
    node.advance(next);
    assert!(node.rows[&gid("t")].parked, "it is shown to people");
}

/// Nobody was there to see that it was resumed: its time begins when it is read.
///
/// Keeps P4.
#[test]
fn an_initiator_that_was_resumed_while_it_was_paged_out_is_shown_when_it_is_late() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    node.answers_loads = true;
    let begun = node.driver.begin(&checked(&spec("t", true, vec![])), Until::Accepted);
    node.advance(begun);
    let mut asks = Vec::new();
    let mut next_ask = |node: &mut Node| {
        while asks.is_empty() {
            let passed = node.driver.pass(100);
            asks.extend(node.advance(passed).calls);
        }
        asks.remove(0)
    };
    // The coordinator has no room for a call, neither now nor later; in the end it is paused as well.
    for _ in 0..8 {
        let ask = next_ask(&mut node);
        node.input(Input::NotSent(ask.ticket, None));
    }
    let ask = next_ask(&mut node);
    node.driver.input(Input::Paused(set(&["127.0.0.1:7310"])));
    node.input(Input::NotSent(ask.ticket, None));
    let passed = node.driver.pass(1_000);
    node.advance(passed);
    assert!(!node.is_live("t"), "it rests");
    resume(&mut node.driver);
    for _ in 0..75 {
        let mut next = node.driver.pass(1_000);
        while let Some(call) = node.advance(next).calls.first() {
            next = node.driver.input(Input::NotSent(call.ticket.clone(), None));
        }
    }
    assert!(node.rows[&gid("t")].parked, "it is shown to people");
}

/// Keeps P5.
#[test]
fn a_life_that_begins_with_a_pause_calls_nobody_there() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    driver.durable();
    let paused = Paused::of(set(&[PARTICIPANT]));
    let rules = Rules { paused, ..Rules::default() };
    let settings = EngineSettings { rules, ..EngineSettings::default() };
    assert!(calls(&driver.restart_with(&gid("t"), settings)).is_empty());
    assert!(records(&driver.pass(600_000)).is_empty());
    resume(&mut driver);
    assert_eq!(calls(&has_room(&mut driver, "a")).len(), 1);
    let shown = driver.core.engine().transaction(&gid("t")).expect("live");
    assert_eq!(*shown.branches()[0].attempts().get(Op::Confirm), 1);
}
