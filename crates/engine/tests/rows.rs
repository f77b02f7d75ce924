//! What no database would take, or what could not be read again, is refused when it is applied: so the
//! model and the simulation see what would otherwise show only on a database.

mod world;

use std::sync::Arc;

use tercet_engine::{
    BranchRecord, Change, Decided, Decision, HistoryEvent, PendingResolution, StoredTransaction,
    begins,
};
use tercet_wire::{
    BranchSpec, BranchStatus, EventKind, Fingerprint, PerOp, ResolvedAs, Spec, Wall,
};
use world::content::{CREATED_AT, branch, spec};

fn line(number: u32) -> Change {
    let (branch, op, attempt, detail) = (None, None, None, None);
    let kind = EventKind::CallFailed;
    Change::History(HistoryEvent { number, at: CREATED_AT, kind, branch, op, attempt, detail })
}

fn row(id: &str) -> BranchRecord {
    BranchRecord {
        branch: id.parse().expect("an id"),
        status: BranchStatus::Tried,
        attempts: PerOp::default(),
        parked: false,
        last_error: None,
        answer: None,
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
        acknowledged_at: None,
    }
}

/// Whether it is refused, and then leaves everything as it was.
fn is_refused(stored: &StoredTransaction, change: &Change) -> bool {
    let mut after = stored.clone();
    let refused = after.apply(change).is_err();
    assert!(!refused || after == *stored, "a change that is refused changes nothing");
    refused
}

fn registered(id: &str, position: u32) -> Change {
    Change::Registered(Arc::new(BranchSpec { position, ..branch(id, 0) }))
}

fn at_once(all: &[(&str, u32)]) -> Change {
    let spec = |(id, position): &(&str, u32)| {
        Arc::new(BranchSpec { position: *position, ..branch(id, 0) })
    };
    Change::RegisteredAtOnce(all.iter().map(spec).collect())
}

#[test]
fn a_key_is_taken_once_and_an_order_is_kept() {
    let mut stored = StoredTransaction::begun(spec("t", true, vec![branch("a", 0)]));
    let table = [
        (line(1), false),
        (line(2), true),
        (line(0), true),
        (registered("b", 1), false),
        (registered("a", 1), true),
        (registered("b", 0), true),
        (at_once(&[("b", 1), ("c", 2)]), false),
        (at_once(&[("b", 1), ("a", 2)]), true),
        (at_once(&[("b", 1), ("c", 1)]), true),
        (at_once(&[("b", 1), ("b", 2)]), true),
        (Change::BranchRecord(row("a")), false),
        (Change::BranchRecord(row("x")), true),
    ];
    for (change, refused) in &table {
        assert_eq!(is_refused(&stored, change), *refused, "{change:?}");
    }
    stored.apply(&line(1)).expect("the first line");
    assert!(is_refused(&stored, &line(1)), "its number is taken");
    assert!(!is_refused(&stored, &line(2)));
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let mut stored = StoredTransaction::begun(spec("t", false, vec![branch("a", 0)]));
    let at = Wall(CREATED_AT.0 + 1);
    let acknowledged_at = Some(at);
    let said = PendingResolution { as_: ResolvedAs::Confirmed, by: "a".into(), note: None, at };
    let ended = BranchRecord { acknowledged_at, ..row("a") };
    assert!(is_refused(&stored, &Change::BranchRecord(ended.clone())), "nothing is decided");
    let decided = |at| Change::Decided(Decided { at, decision: Decision::Confirm });
    assert!(is_refused(&stored, &decided(Wall(-1))));
    stored.apply(&decided(at)).expect("it is not decided");
    assert!(!is_refused(&stored, &Change::BranchRecord(ended)));
    let resolved_as = Some(ResolvedAs::Confirmed);
    let unsaid = BranchRecord { resolved_as, ..row("a") };
    assert!(is_refused(&stored, &Change::BranchRecord(unsaid)), "when has it ended?");
    let pending_resolution = Some(Arc::new(said));
    let both = BranchRecord { pending_resolution, acknowledged_at, ..row("a") };
    assert!(is_refused(&stored, &Change::BranchRecord(both)), "it waits no more");
}

#[test]
fn a_begin_that_does_not_fit_its_columns_is_refused() {
    let fits = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
    assert_eq!(begins(&fits), Ok(()));
    let long = "x".repeat(129);
    let table = [
        Spec {
            branches: vec![Arc::new(branch("a", 0)), Arc::new(branch("a", 1))],
            ..(*fits).clone()
        },
        Spec {
            branches: vec![Arc::new(branch("a", 0)), Arc::new(branch("b", 0))],
            ..(*fits).clone()
        },
        Spec { traceparent: Arc::from(&*long), ..(*fits).clone() },
        Spec { traceparent: Arc::from("a\0b"), ..(*fits).clone() },
        Spec { fingerprint: Fingerprint::from_text(&long), ..(*fits).clone() },
        Spec { deadline_at: Wall(-1), ..(*fits).clone() },
        Spec { branches: vec![Arc::new(branch("a", u32::MAX))], ..(*fits).clone() },
    ];
    for spec in &table {
        assert!(begins(spec).is_err(), "{spec:?}");
    }
}
