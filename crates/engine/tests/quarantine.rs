//! What is still said of a transaction that was quarantined after a fault of ours. P3, P6.

mod world;

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Ask, Input, Load, Rules, StoredTransaction, Until};
use world::content::{branch, gid, spec};
use world::driver::{Driver, calls, records, replies};

/// One whose rules failed: no setting allows such a pause, and adding jitter to it panics.
fn rules_failed() -> Driver {
    let mut driver = Driver::rules(Rules { no_room_pause: Duration::MAX, ..Rules::default() });
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    // The first branch has no luck, and so no jitter.
    let commands = driver.input(Input::NotSent(tries[1].ticket.clone(), None));
    assert_eq!(commands.alarms.len(), 1);
    driver
}

#[test]
fn a_reader_is_told_how_it_stands_when_its_wait_is_over() {
    let mut driver = rules_failed();
    assert!(replies(&driver.ask(&gid("t"), Ask::Read, Until::Finished)).is_empty());
    assert_eq!(driver.next_in_ms(), Some(10_000));
    assert!(replies(&driver.pass(9_999)).is_empty());
    assert_eq!(replies(&driver.pass(1)), ["2 200 trying"]);
    assert_eq!(driver.next_in_ms(), None);
}

/// Keeps P3.
#[test]
fn a_decision_that_the_journal_did_not_take_is_never_told() {
    let mut driver = Driver::new();
    let open = spec("t", true, vec![branch("a", 0)]);
    driver.begin(&open, Until::Accepted);
    let tries = driver.durable().calls;
    driver.answer(&tries[0], 200);
    driver.durable();
    let commands = driver.ask(&gid("t"), Ask::Confirm, Until::Decided);
    assert_eq!(records(&commands), ["Decided"]);
    driver.ask(&gid("t"), Ask::Read, Until::Finished);
    let commands = driver.input(Input::Quarantined(gid("t")));
    assert_eq!(replies(&commands), ["2 JournalUnavailable", "3 Quarantined"]);
    // What was left out counts as written, so that the others go on.
    let commands = driver.durable();
    assert_eq!((calls(&commands), replies(&commands)), (vec![], vec![]));
    // In the rows it is still trying, so nobody may hear of the confirm.
    assert_eq!(replies(&driver.read(&gid("t"))), ["4 Quarantined"]);
    assert_eq!(replies(&driver.ask(&gid("t"), Ask::Read, Until::Decided)), ["5 Quarantined"]);
    let again =
        driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    assert_eq!(replies(&again), ["6 Quarantined"]);
}

#[test]
fn senseless_rows_quarantine_one_transaction_until_asked_again() {
    let mut driver = Driver::new();
    let two = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
    let begin = || Ask::Begin { spec: Arc::clone(&two), fresh: false };
    let unreadable = || Input::Loaded(gid("t"), Load::Unreadable { why: "torn".to_owned() });
    // Found at start, when nobody has asked.
    let commands = driver.input(unreadable());
    assert_eq!(commands.alarms.len(), 1);
    assert!(commands.alarms[0].1.contains("(torn); mend them"), "{:?}", commands.alarms);
    assert_eq!(driver.core.census().quarantined, 1);
    // The gid is not free, and one alarm is enough.
    driver.ask(&gid("t"), begin(), Until::Accepted);
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    let commands = driver.input(unreadable());
    assert_eq!(replies(&commands), ["1 Quarantined", "2 Quarantined"]);
    assert_eq!((commands.alarms.len(), records(&commands).len()), (0, 0));
    // Mended by hand: it goes on as if nothing had been.
    driver.ask(&gid("t"), begin(), Until::Accepted);
    let stored = StoredTransaction::begun(Arc::clone(&two));
    let commands = driver.input(Input::Loaded(gid("t"), Load::Found(Box::new(stored))));
    assert_eq!(replies(&commands), ["3 200 trying"]);
    assert_eq!(calls(&commands), ["a try 1", "b try 1"]);
    assert_eq!(driver.core.census().quarantined, 0);
}
