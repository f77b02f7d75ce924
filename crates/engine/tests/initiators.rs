//! Initiators who give up: they hang up, or cancel before their begin has come.

mod world;

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Ask, Change, EngineSettings, Input, Load, Record, ReplyTo, StoredTransaction, Until,
};
use tercet_wire::Fingerprint;
use world::content::{self, branch, gid, new_branch, spec};
use world::driver::{Driver, calls, records, replies};

const NOTHING: [&str; 0] = [];

fn two() -> Arc<tercet_wire::Spec> {
    spec("t", false, vec![branch("a", 0), branch("b", 1)])
}

/// The rows after these records.
fn rows(records: &[Record]) -> StoredTransaction {
    let mut rows: Option<StoredTransaction> = None;
    for record in records {
        match (&mut rows, &record.change) {
            (None, Change::Begun(spec)) => rows = Some(StoredTransaction::begun(Arc::clone(spec))),
            (Some(rows), change) => rows.apply(change).expect("it fits"),
            (None, change) => panic!("{change:?} of nothing"),
        }
    }
    rows.expect("begun")
}

/// Keeps P1, P8.
#[test]
fn a_begin_is_written_at_once_and_whoever_repeats_one_meets_what_has_the_gid() {
    let has_the_gid = rows(&Driver::new().begin(&two(), Until::Finished).append);
    let mut driver = Driver::new();
    let ask = |id: &str| Ask::Begin { spec: spec(id, false, vec![branch("a", 0)]), fresh: false };
    let begun = driver.ask(&gid("new"), ask("new"), Until::Accepted);
    assert_eq!((records(&begun), begun.loads.len()), (vec!["Begun".to_owned()], 0));
    assert_eq!(replies(&begun), NOTHING, "nobody hears of it before it is durable");
    assert!(begun.calls.is_empty());
    assert_eq!(replies(&driver.durable()), ["1 201 trying"]);
    // Its begin was lost on the way back: it is begun once more, and read.
    let other = content::of_another_life(&two(), 0);
    let again = Ask::Begin { spec: other, fresh: false };
    assert_eq!(records(&driver.ask(&gid("t"), again, Until::Accepted)), ["Begun"]);
    driver.ask(&gid("t"), Ask::Read, Until::Accepted);
    let taken = driver.input(Input::Exists(gid("t")));
    assert_eq!((taken.loads.len(), replies(&taken).len(), taken.calls.len()), (1, 0, 0));
    let found = driver.input(Input::Loaded(gid("t"), Load::Found(Box::new(has_the_gid))));
    assert_eq!(replies(&found), ["2 200 trying", "3 200 trying"]);
    // Repeats come together: for a moment others are asked for first.
    assert_eq!(driver.ask(&gid("u"), ask("u"), Until::Accepted).loads, [gid("u")]);
    driver.pass(99);
    assert_eq!(driver.ask(&gid("v"), ask("v"), Until::Accepted).loads, [gid("v")]);
    driver.pass(1);
    assert_eq!(records(&driver.ask(&gid("w"), ask("w"), Until::Accepted)), ["Begun"]);
}

/// Keeps P9.
#[test]
fn who_hung_up_leaves_their_place_to_others() {
    let settings = EngineSettings { waiters: 2, ..EngineSettings::default() };
    let mut driver = Driver::with(settings);
    driver.begun(&two());
    assert_eq!(replies(&driver.ask(&gid("t"), Ask::Read, Until::Finished)), NOTHING);
    let gone = driver.input(Input::HungUp(gid("t"), ReplyTo(2)));
    assert_eq!(replies(&gone), ["2 200 trying"], "everybody is answered once");
    assert_eq!(replies(&driver.ask(&gid("t"), Ask::Read, Until::Finished)), NOTHING, "a place");
    // Whoever is not there any more, or is no waiter of this one's, changes nothing.
    assert_eq!(replies(&driver.input(Input::HungUp(gid("t"), ReplyTo(2)))), NOTHING);
    assert_eq!(replies(&driver.input(Input::HungUp(gid("u"), ReplyTo(3)))), NOTHING);
}

/// Whoever hangs up, or is to be told while the node stops, may still wait for the journal to say
/// what it knows.
///
/// Keeps P9.
#[test]
fn who_hung_up_during_a_load_takes_no_place_once_it_is_read() {
    let stored = rows(&Driver::new().begin(&two(), Until::Finished).append);
    let settings = EngineSettings { waiters: 1, ..EngineSettings::default() };
    let mut driver = Driver::with(settings);
    driver.ask(&gid("t"), Ask::Read, Until::Finished);
    assert_eq!(replies(&driver.input(Input::HungUp(gid("t"), ReplyTo(1)))), NOTHING);
    driver.ask(&gid("t"), Ask::Read, Until::Finished);
    // Of another gid, and somebody who is not there.
    driver.ask(&gid("u"), Ask::Begin { spec: two(), fresh: false }, Until::Finished);
    driver.input(Input::HungUp(gid("t"), ReplyTo(7)));
    let found = driver.input(Input::Loaded(gid("t"), Load::Found(Box::new(stored))));
    assert_eq!(replies(&found), ["1 200 trying"], "the other has the one place");
    let passed = driver.pass(10_000);
    assert!(replies(&passed).contains(&"2 200 trying".to_owned()), "{:?}", replies(&passed));
}

/// Keeps P2.
#[test]
fn a_begin_is_done_though_its_initiator_hung_up_during_a_load() {
    let mut driver = Driver::new();
    driver.meets_a_taken_gid();
    driver.ask(&gid("t"), Ask::Begin { spec: two(), fresh: false }, Until::Finished);
    driver.input(Input::HungUp(gid("t"), ReplyTo(2)));
    let begun = driver.input(Input::Loaded(gid("t"), Load::Nothing));
    assert_eq!(records(&begun), ["Begun"]);
    let durable = driver.durable();
    assert_eq!(replies(&durable), ["2 202 trying"]);
    assert_eq!(calls(&durable), ["a try 1", "b try 1"]);
}

#[test]
fn who_waits_for_a_load_waits_no_longer_than_the_node_lives() {
    let stored = rows(&Driver::new().begin(&two(), Until::Finished).append);
    let mut driver = Driver::new();
    driver.ask(&gid("t"), Ask::Read, Until::Finished);
    let moment = driver.now.mono.after(Duration::from_secs(1));
    driver.input(Input::NobodyWaitsBeyond(moment));
    let found = driver.input(Input::Loaded(gid("t"), Load::Found(Box::new(stored))));
    assert_eq!(replies(&found), NOTHING);
    assert_eq!(replies(&driver.pass(1_000)), ["1 200 trying"]);
}

/// Keeps P2, P3.
#[test]
fn a_cancel_that_overtakes_its_begin_takes_the_gid_for_good() {
    let mut driver = Driver::new();
    let mut refused = (*spec("t", true, vec![])).clone();
    refused.fingerprint = Fingerprint::of_refused();
    let cancel = |if_unknown| Ask::Cancel { detail: Some("gone".into()), if_unknown };
    let refused = Arc::new(refused);
    driver.ask(&gid("t"), cancel(None), Until::Finished);
    assert_eq!(replies(&driver.input(Input::Loaded(gid("t"), Load::Nothing))), ["1 NotFound"]);
    driver.ask(&gid("t"), cancel(Some(Arc::clone(&refused))), Until::Finished);
    // The begin and another cancel come while the journal is asked.
    let begin = Ask::Begin { spec: two(), fresh: false };
    driver.ask(&gid("t"), begin.clone(), Until::Finished);
    driver.ask(&gid("t"), cancel(Some(refused)), Until::Finished);
    let commands = driver.input(Input::Loaded(gid("t"), Load::Nothing));
    assert_eq!((replies(&commands), calls(&commands)), (vec![], vec![]), "nothing is durable");
    let stored = rows(&commands.append);
    let told = ["2 201 cancelled", "3 200 cancelled", "4 200 cancelled"];
    assert_eq!(replies(&driver.durable()), told);
    // It has left memory, and the journal knows it.
    driver.meets_a_taken_gid();
    driver.ask(&gid("t"), begin, Until::Finished);
    driver.ask(&gid("t"), Ask::Confirm, Until::Finished);
    driver.ask(&gid("t"), Ask::Register(Box::new(new_branch("c"))), Until::Tried);
    let commands = driver.input(Input::Loaded(gid("t"), Load::Found(Box::new(stored))));
    let told = ["6 200 cancelled", "7 AlreadyCancelled", "8 AlreadyCancelled"];
    assert_eq!((replies(&commands), calls(&commands)), (told.map(str::to_owned).to_vec(), vec![]));
    assert_eq!(records(&commands), NOTHING);
}
