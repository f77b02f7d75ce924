//! What is still said of a transaction that was set aside after a fault of ours. P3, P6.

mod world;

use std::time::Duration;

use tercet_protocol::{Ask, Input, Rules, Until};
use world::content::{branch, gid, spec};
use world::driver::{Driver, replies};

/// One whose rules failed: no setting allows such a pause, and adding jitter to it panics.
fn rules_failed() -> Driver {
    let mut driver = Driver::rules(Rules { no_room_pause: Duration::MAX, ..Rules::default() });
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    // The first branch has no luck, and so no jitter.
    let commands = driver.input(Input::NotSent(tries[1].ticket.clone()));
    assert_eq!(commands.alarms.len(), 1);
    driver
}

#[test]
fn who_waits_for_it_is_told_how_it_stands_when_the_wait_is_over() {
    let mut driver = rules_failed();
    assert!(replies(&driver.ask(&gid("t"), Ask::Read, Until::Finished)).is_empty());
    assert_eq!(driver.next_in_ms(), Some(10_000));
    assert!(replies(&driver.pass(9_999)).is_empty());
    assert_eq!(replies(&driver.pass(1)), ["2 200 trying"]);
    assert_eq!(driver.next_in_ms(), None);
}
