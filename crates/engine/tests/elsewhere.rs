//! A transaction that another incarnation drives: this one answers that, and keeps nothing.

mod world;

use std::sync::Arc;

use tercet_engine::{Ask, Input, Load, StoredTransaction, Until};
use tercet_wire::Incarnation;
use world::content::{branch, gid, spec};
use world::driver::{Driver, replies};

fn elsewhere() -> Load {
    let spec = spec("t", true, vec![branch("a", 0)]);
    let owner = Incarnation(9);
    let stored = StoredTransaction { owner: Some(owner), ..StoredTransaction::begun(spec) };
    Load::of(stored, Incarnation(1))
}

#[test]
fn rows_are_elsewhere_if_another_incarnation_owns_them() {
    let found = |owner: Option<i64>| {
        let stored = StoredTransaction::begun(spec("t", true, vec![]));
        let stored = StoredTransaction { owner: owner.map(Incarnation), ..stored };
        matches!(Load::of(stored, Incarnation(1)), Load::Found(_))
    };
    assert_eq!([None, Some(1), Some(9)].map(found), [true, true, false]);
}

/// Keeps P2.
#[test]
fn nobody_changes_what_another_incarnation_drives() {
    let may = |owner: Option<i64>| {
        let stored = StoredTransaction::begun(spec("t", true, vec![]));
        let stored = StoredTransaction { owner: owner.map(Incarnation), ..stored };
        stored.is_driven_by(Incarnation(1)).is_ok()
    };
    assert_eq!([None, Some(1), Some(9)].map(may), [true, true, false]);
}

#[test]
fn requests_for_what_another_drives_are_refused_by_its_name() {
    let mut driver = Driver::new();
    let open = spec("t", true, vec![branch("a", 0)]);
    driver.read(&open.gid);
    let begin = Ask::Begin { spec: Arc::clone(&open), fresh: false };
    driver.ask(&open.gid, begin, Until::Accepted);
    driver.ask(&open.gid, Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    let commands = driver.input(Input::Loaded(gid("t"), elsewhere()));
    let refused = |number| format!("{number} Elsewhere(Incarnation(9))");
    assert_eq!(replies(&commands), [1, 2, 3].map(refused));
    assert_eq!((commands.append.len(), commands.calls.len()), (0, 0));
    // Nothing is kept, whatever time passes: the next request asks the journal again.
    assert!(driver.core.engine().transaction(&gid("t")).is_none());
    let later = driver.pass(1_000_000);
    assert_eq!((later.append.len(), later.calls.len()), (0, 0));
    assert_eq!(driver.read(&open.gid).loads, [gid("t")]);
}

#[test]
fn an_answer_nobody_waits_for_changes_nothing() {
    let mut driver = Driver::new();
    let commands = driver.input(Input::Loaded(gid("t"), elsewhere()));
    assert_eq!((commands.append.len(), replies(&commands).len()), (0, 0));
    assert!(driver.core.engine().transaction(&gid("t")).is_none());
}

#[test]
fn a_transaction_taken_over_meanwhile_answers_for_itself() {
    let mut driver = Driver::new();
    let open = spec("t", true, vec![branch("a", 0)]);
    driver.read(&open.gid);
    let adopted = StoredTransaction {
        owner: Some(Incarnation(1)),
        ..StoredTransaction::begun(Arc::clone(&open))
    };
    driver.input(Input::Adopt(Box::new(adopted)));
    // The journal had looked before.
    let commands = driver.input(Input::Loaded(gid("t"), elsewhere()));
    assert_eq!(replies(&commands), ["1 200 trying"]);
}

/// Another node may have begun it between the journal's look and the request.
///
/// Keeps P7.
#[test]
fn who_asks_later_than_the_journal_looked_is_not_told_that_there_is_nothing() {
    let mut driver = Driver::new();
    driver.read(&gid("t"));
    // It waits for an answer that is under way.
    assert!(driver.read(&gid("t")).loads.is_empty());
    let commands = driver.input(Input::Loaded(gid("t"), Load::Nothing));
    assert_eq!(replies(&commands), ["1 NotFound"]);
    assert_eq!(commands.loads, [gid("t")]);
    let commands = driver.input(Input::Loaded(gid("t"), elsewhere()));
    assert_eq!(replies(&commands), ["2 Elsewhere(Incarnation(9))"]);
}
