//! Calls that a full queue does not take. P6.

mod world;

use tercet_engine::Input;
use world::content::{branch, spec};
use world::driver::{Driver, calls};

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
