//! Calls that their destination has no capacity for wait, and are made when it has some. P6, P9.

mod world;

use tercet_engine::{Ask, Call, CallState, CapacityFreed, Commands, Destination, Input, Until};
use tercet_wire::{BranchSpec, Mono, Resolution, ResolvedAs};
use world::content::{branch, gid, operator, spec};
use world::driver::{Driver, calls, records};

fn destination(call: &Call) -> Destination {
    let url = call.branch.url(call.ticket.op).expect("it has the leg");
    Destination::of(url, 1)
}

/// The call comes back: its destination has no room.
fn no_room(driver: &mut Driver, call: &Call) -> Commands {
    driver.input(Input::NotSent(call.ticket.clone(), Some(destination(call))))
}

fn capacity_freed(driver: &mut Driver, call: &Call, places: usize, healed: bool) -> Commands {
    let destination = destination(call);
    driver.input(Input::CapacityFreed(CapacityFreed { destination, places, healed }))
}

/// One branch, confirming, and its call.
fn confirming(driver: &mut Driver, gid: &str) -> Call {
    let tries = driver.begun(&spec(gid, false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    driver.durable().calls.remove(0)
}

#[test]
fn a_call_waits_until_there_is_capacity() {
    let mut driver = Driver::new();
    let first = confirming(&mut driver, "t1");
    let second = confirming(&mut driver, "t2");
    let asked = no_room(&mut driver, &first);
    assert_eq!(asked.notify_when_free, [destination(&first)], "the destination is to tell");
    driver.pass(5);
    assert!(no_room(&mut driver, &second).notify_when_free.is_empty(), "it is asked already");
    assert!(calls(&driver.pass(20_000)).is_empty(), "nobody asks again and again");

    let one = capacity_freed(&mut driver, &first, 1, false);
    assert_eq!(one.calls.len(), 1);
    assert_eq!(one.calls[0].ticket, first.ticket, "who waited longest goes first");
    assert_eq!(one.notify_when_free, [destination(&first)], "the other still waits");
    let two = capacity_freed(&mut driver, &first, 7, false);
    assert_eq!(two.calls[0].ticket, second.ticket);
    assert!(two.notify_when_free.is_empty(), "nobody waits any more");
}

#[test]
fn room_at_one_destination_is_no_room_at_another() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    no_room(&mut driver, &tries[0]);
    no_room(&mut driver, &tries[1]);
    assert_ne!(destination(&tries[0]), destination(&tries[1]));
    assert_eq!(calls(&capacity_freed(&mut driver, &tries[1], 10, false)), ["b try 1"]);
    assert_eq!(calls(&capacity_freed(&mut driver, &tries[0], 10, false)), ["a try 1"]);
}

#[test]
fn a_try_uses_up_an_attempt_while_it_waits_for_capacity() {
    let mut driver = Driver::new();
    let mut tried = driver.begun(&spec("t", false, vec![branch("a", 0)])).remove(0);
    for attempt in 1..=3 {
        no_room(&mut driver, &tried);
        let within = driver.next_in_ms().expect("a timer");
        assert_eq!(within, 3_000, "the call's own timeout");
        let failed = driver.pass(within);
        if attempt == 3 {
            assert!(records(&failed).contains(&"Decided".to_owned()), "attempts are used up");
            return;
        }
        assert_eq!(records(&failed), ["History"]);
        let pause = driver.next_in_ms().expect("it is called again");
        tried = driver
            .pass(pause)
            .calls
            .into_iter()
            .chain(driver.durable().calls)
            .next()
            .expect("a call");
        assert_eq!(tried.ticket.attempt, attempt + 1);
    }
}

#[test]
fn a_decided_branch_is_shown_after_a_minute_without_capacity() {
    let mut driver = Driver::new();
    let confirm = confirming(&mut driver, "t");
    no_room(&mut driver, &confirm);
    assert!(records(&driver.pass(59_999)).is_empty());
    assert_eq!(records(&driver.pass(1)), ["History", "BranchRecord", "Parked"]);
}

#[test]
fn nobody_sleeps_on_when_a_destination_answers_again() {
    let mut driver = Driver::new();
    let mut confirm = confirming(&mut driver, "t");
    driver.now.entropy = u64::MAX;
    for _ in 0..8 {
        driver.answer(&confirm, 503);
        driver.durable();
        // The wait of who began it may end in between.
        confirm = loop {
            let pause = driver.next_in_ms().expect("a pause");
            if let Some(call) = driver.pass(pause).calls.pop() {
                break call;
            }
        };
    }
    driver.answer(&confirm, 503);
    driver.durable();
    assert!(driver.next_in_ms().expect("a pause") > 1_000, "it has become long");
    let healed = capacity_freed(&mut driver, &confirm, 1, true);
    assert_eq!(healed.calls.len(), 1);
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live");
    assert!(!transaction.status().is_finished());
}

#[test]
fn a_pause_is_kept_where_the_participant_asked_for_it() {
    let mut driver = Driver::new();
    let confirm = confirming(&mut driver, "t");
    driver.answer(&confirm, 202);
    assert!(calls(&capacity_freed(&mut driver, &confirm, 1, true)).is_empty());
    // Nor is it if calls failed before: the pause of the moment counts.
    let again = driver.pass(1_000).calls.remove(0);
    driver.now.entropy = 50;
    driver.answer(&again, 500);
    driver.durable();
    let pause = driver.next_in_ms().expect("a pause");
    let again = driver.pass(pause).calls.remove(0);
    driver.answer(&again, 202);
    assert!(calls(&capacity_freed(&mut driver, &again, 1, true)).is_empty());
}

#[test]
fn a_resolution_takes_back_a_call_that_waits_for_its_turn() {
    let mut driver = Driver::new();
    let confirm = confirming(&mut driver, "t");
    let word = Resolution {
        branch: confirm.ticket.branch.clone(),
        as_: ResolvedAs::Confirmed,
        note: None,
        by: operator("somebody"),
    };
    let asked = driver.ask(&gid("t"), Ask::Resolve(Box::new(word)), Until::Finished);
    assert_eq!(asked.retract, std::slice::from_ref(&confirm.ticket));
    assert_eq!(records(&asked), ["BranchRecord"], "it may be under way all the same");
    let given_back = driver.input(Input::NotSent(confirm.ticket.clone(), None));
    assert_eq!(records(&given_back), ["BranchRecord", "History", "Finished"]);
    assert!(given_back.calls.is_empty());
}

/// Keeps P6.
#[test]
fn a_wait_counts_on_when_it_is_sent_away_again() {
    let mut driver = Driver::new();
    let first = confirming(&mut driver, "t1");
    let second = confirming(&mut driver, "t2");
    no_room(&mut driver, &first);
    driver.pass(5);
    no_room(&mut driver, &second);
    driver.pass(5);
    let offered = capacity_freed(&mut driver, &first, 1, false);
    assert_eq!(offered.calls[0].ticket, first.ticket);
    no_room(&mut driver, &first);
    let offered = capacity_freed(&mut driver, &first, 1, false);
    assert_eq!(offered.calls[0].ticket, first.ticket, "it is still the one that waits longest");
}

#[test]
fn a_try_waits_no_longer_than_its_call_may_take() {
    let mut driver = Driver::new();
    let tried = driver.begun(&spec("t", false, vec![branch("a", 0)])).remove(0);
    for _ in 0..3 {
        no_room(&mut driver, &tried);
        assert!(records(&driver.pass(900)).is_empty());
        assert_eq!(calls(&capacity_freed(&mut driver, &tried, 1, false)), ["a try 1"]);
    }
    no_room(&mut driver, &tried);
    assert_eq!(driver.next_in_ms(), Some(300), "three seconds in all");
    assert_eq!(records(&driver.pass(300)), ["History"]);
}

#[test]
fn room_for_some_calls_is_not_room_for_as_many_transactions() {
    let mut driver = Driver::new();
    for id in ["t1", "t2"] {
        let alike = ["a", "b", "c"].map(|name| branch_at(name, "a"));
        let tries = driver.begun(&spec(id, false, alike.into()));
        for call in &tries {
            no_room(&mut driver, call);
        }
        driver.pass(1);
    }
    let call = confirming(&mut driver, "t3");
    let some = capacity_freed(&mut driver, &call, 2, false);
    assert_eq!(calls(&some).len(), 3, "all of one transaction, and none of the next");
    assert_eq!(some.notify_when_free.len(), 1);
}

/// A branch of its own with the URLs of another.
fn branch_at(id: &str, at: &str) -> BranchSpec {
    BranchSpec { urls: branch(at, 0).urls, ..branch(id, 0) }
}

/// Of these, how many wait for room now.
fn waiting(driver: &Driver, calls: &[Call]) -> usize {
    let waits = |call: &&Call| {
        let transaction = driver.core.engine().transaction(&call.ticket.gid).expect("live");
        matches!(transaction.branches()[0].call_state(), CallState::Waiting { .. })
    };
    calls.iter().filter(waits).count()
}

/// Keeps P6.
#[test]
fn thousands_are_woken_some_at_a_time_but_not_later_failures() {
    const MANY: usize = 1_000;
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let confirms: Vec<Call> =
        (0..MANY).map(|n| confirming(&mut driver, &format!("t{n}"))).collect();
    for confirm in &confirms {
        driver.answer(confirm, 503);
    }
    driver.durable();
    driver.now.mono = Mono(driver.now.mono.0 + 1);
    let first = capacity_freed(&mut driver, &confirms[0], 1, true).calls.remove(0);
    assert_eq!(waiting(&driver, &confirms), 63, "one of them is called");
    assert_eq!(driver.next_in_ms(), Some(0), "the others have their turn at once");
    // It fails once more, and pauses like anybody whose call fails.
    driver.now.mono = Mono(driver.now.mono.0 + 1);
    driver.answer(&first, 503);
    for steps in 2..=16 {
        assert_eq!(waiting(&driver, &confirms), (64 * steps).min(MANY) - 1);
        driver.input(Input::Tick);
    }
    assert_ne!(driver.next_in_ms(), Some(0));
}

#[test]
fn a_call_is_offered_to_a_full_queue_less_and_less_often() {
    let mut driver = Driver::new();
    driver.now.entropy = 12_345;
    let mut tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    for most_ms in [100, 200, 400, 800, 1_600] {
        driver.input(Input::NotSent(tries[0].ticket.clone(), None));
        let wait = driver.next_in_ms().expect("a timer");
        assert!((most_ms / 2..=most_ms).contains(&wait), "{wait} of {most_ms}");
        let commands = driver.pass(wait);
        assert_eq!(calls(&commands), ["a try 1"]);
        tries = commands.calls;
    }
    // Once it was taken, the next refusal is the first again.
    driver.answer(&tries[0], 202);
    tries = driver.pass(1_000).calls;
    driver.input(Input::NotSent(tries[0].ticket.clone(), None));
    let wait = driver.next_in_ms().expect("a timer");
    assert!((50..=100).contains(&wait), "{wait}");
}
