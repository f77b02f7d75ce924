//! Deadlines and a wall clock that jumps. P8.

mod world;

use std::time::Duration;

use tercet_engine::{EngineSettings, Input, StoredTransaction, Until};
use tercet_wire::{Now, Wall};
use world::content::{CREATED_AT, branch, spec};
use world::driver::{Driver, calls, records};

const HOUR: Duration = Duration::from_secs(3_600);

/// A node that starts with one transaction in its journal, whose Try is not answered, the
/// wall clock standing this far from its begin.
fn started(ahead_ms: i64, clock_doubted: bool) -> (Driver, Vec<String>, Vec<String>) {
    let mut driver = Driver::with(EngineSettings { clock_doubted, ..EngineSettings::default() });
    driver.now = Now { wall: Wall(CREATED_AT.0 + ahead_ms), ..driver.now };
    let stored = StoredTransaction::begun(spec("t", false, vec![branch("a", 0)]));
    let commands = driver.input(Input::Adopt(Box::new(stored)));
    let (calls, records) = (calls(&commands), records(&commands));
    (driver, calls, records)
}

#[test]
fn a_deadline_is_over_at_once_if_it_passed_during_a_stop() {
    let (_, _, records) = started(31_000, false);
    assert_eq!(records, ["BranchRecord", "Decided"]);
}

#[test]
fn a_clock_that_cannot_be_believed_gives_one_more_round_of_try() {
    let hour = i64::try_from(HOUR.as_millis()).expect("small");
    let (mut driver, calls, records) = started(hour, true);
    assert_eq!((calls.as_slice(), records.len()), (&["a try 1".to_owned()][..], 0));
    // The round is as long as its longest call may take, to the millisecond.
    assert_eq!(driver.next_in_ms(), Some(3_000));
    assert!(self::records(&driver.pass(2_999)).is_empty());
    assert_eq!(self::records(&driver.pass(1)), ["BranchRecord", "Decided"]);
}

#[test]
fn a_clock_set_back_puts_no_deadline_off() {
    let (driver, _, _) = started(-3_600_000, false);
    assert_eq!(driver.next_in_ms(), Some(30_000));
}

#[test]
fn a_clock_that_jumps_while_the_node_runs_moves_no_timer() {
    let mut driver = Driver::new();
    driver.begin(&spec("t", false, vec![branch("a", 0)]), Until::Accepted);
    driver.durable();
    for jump in [HOUR.as_millis(), 0] {
        let jump = i64::try_from(jump).expect("small");
        driver.now.wall = Wall(CREATED_AT.0 + jump);
        assert!(records(&driver.input(Input::Tick)).is_empty());
        assert_eq!(driver.next_in_ms(), Some(30_000));
    }
}
