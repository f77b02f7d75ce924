//! A database that was restored from a backup: what was undecided in it is held until people release it.

mod world;

use std::sync::Arc;

use tercet_engine::{
    Act, Ask, Change, Decided, Decision, EngineSettings, HeldDecision, Input, Record, Rules,
    StoredTransaction, Until,
};
use tercet_wire::{Op, Spec, Wall};
use world::content::{CREATED_AT, branch, gid, operator, spec};
use world::driver::{Driver, calls, records, replies};

const NOTHING: [&str; 0] = [];

/// A node on a database that was restored a minute after these were begun, the last of them decided.
fn restored(undecided: &[&Arc<Spec>], decided: Option<&Arc<Spec>>) -> (Driver, Vec<String>) {
    let held_to = Some(Wall(CREATED_AT.0 + 60_000));
    let rules = Rules { held_to, ..Rules::default() };
    let mut driver = Driver::with(EngineSettings { rules, ..EngineSettings::default() });
    driver.now.wall = Wall(CREATED_AT.0 + 60_000);
    let mut called = Vec::new();
    for spec in undecided {
        let stored = StoredTransaction::begun(Arc::clone(spec));
        called.extend(calls(&driver.input(Input::Adopt(Box::new(stored)))));
    }
    if let Some(spec) = decided {
        let mut stored = StoredTransaction::begun(Arc::clone(spec));
        let decided = Decided { at: CREATED_AT, decision: Decision::Confirm };
        stored.apply(&Change::Decided(decided)).expect("it fits");
        called.extend(calls(&driver.input(Input::Adopt(Box::new(stored)))));
    }
    (driver, called)
}

/// Keeps P5.
#[test]
fn what_was_undecided_is_neither_called_nor_cancelled_until_released() {
    let (mut driver, called) = restored(
        &[&spec("t", false, vec![branch("a", 0)])],
        Some(&spec("d", false, vec![branch("b", 0)])),
    );
    assert_eq!(called, ["b confirm 1"], "what is decided goes on");
    assert_eq!(driver.next_in_ms(), Some(60_000), "that of what is decided alone");
    let hour = driver.pass(3_600_000);
    assert!(!calls(&hour).iter().any(|call| call.starts_with('a')), "{:?}", calls(&hour));
    assert!(!records(&hour).contains(&"Decided".to_owned()), "its deadline is long over");
    assert_eq!(driver.core.census().held, 1);
    let released = driver.input(Input::Release);
    assert_eq!(calls(&released), ["a try 1"]);
    assert_eq!((driver.core.census().held, records(&released)), (0, vec![]));
    // One more round, in which whoever has confirmed meanwhile says so.
    assert!(!records(&driver.pass(2_999)).contains(&"Decided".to_owned()));
    assert!(records(&driver.pass(1)).contains(&"Decided".to_owned()));
}

#[test]
fn what_is_asked_of_one_that_is_held_is_refused() {
    let (mut driver, _) = restored(&[&spec("t", true, Vec::new())], None);
    let by = operator("ann");
    for (number, ask) in (1..).zip([
        Ask::Confirm,
        Ask::Cancel { detail: None, if_unknown: None },
        Ask::Register(Box::new(branch("a", 0))),
        Ask::RegisterAtOnce(vec![branch("a", 0)]),
        Ask::Retry { by },
    ]) {
        let commands = driver.ask(&gid("t"), ask, Until::Decided);
        assert_eq!(replies(&commands), [format!("{number} Held")]);
        assert_eq!(records(&commands), NOTHING);
    }
    assert_eq!(replies(&driver.read(&gid("t"))), ["6 200 trying"]);
}

#[test]
fn what_is_held_stays_trying_whoever_asks_after_its_deadline() {
    let begun = spec("t", false, vec![branch("a", 0)]);
    let (mut driver, _) = restored(&[&begun], None);
    driver.pass(3_600_000);
    // A begin that is repeated goes through the rules, and nothing follows from them.
    let repeated = driver.begin(&begun, Until::Accepted);
    assert_eq!((records(&repeated), calls(&repeated)), (vec![], vec![]));
    assert_eq!(replies(&driver.read(&gid("t"))), ["2 200 trying"]);
}

fn act(record: &Record) -> Option<&Act> {
    match &record.change {
        Change::Acted(acted) => Some(&acted.act),
        _ => None,
    }
}

/// Keeps exactly-once.
#[test]
fn an_operator_decides_one_that_is_held_by_name() {
    for (op, action, expected) in [
        (Op::Confirm, "confirm-held", "1 200 confirmed"),
        (Op::Cancel, "cancel-held", "1 200 cancelled"),
    ] {
        let (mut driver, _) = restored(&[&spec("t", true, Vec::new())], None);
        let by = operator("ann");
        let decision = HeldDecision { op, note: Some("looked".into()), by };
        let decided = driver.ask(&gid("t"), Ask::DecideHeld(Box::new(decision)), Until::Decided);
        let acts: Vec<&Act> = decided.append.iter().filter_map(act).collect();
        let said = acts.iter().map(|act| (act.action.as_str(), act.note.as_deref()));
        assert_eq!(said.collect::<Vec<_>>(), [(action, Some("looked"))]);
        assert_eq!(replies(&driver.durable()), [expected]);
    }
}

#[test]
fn what_is_begun_since_is_not_held() {
    let (mut driver, _) = restored(&[], None);
    // Not even by a clock that was set back.
    driver.now.wall = CREATED_AT;
    let tries = driver.begun(&spec("new", false, vec![branch("a", 0)]));
    assert_eq!(tries.len(), 1);
    driver.answer(&tries[0], 200);
    assert_eq!(calls(&driver.durable()), ["a confirm 1"]);
}
