//! A start at which memory has room for nothing that only waits: what has something to do now does it
//! all the same. P4, P5.

mod world;

use std::sync::Arc;

use tercet_engine::{Ask, Change, EngineSettings, Input, Record, StoredTransaction, Until};
use tercet_wire::{Op, ResolvedAs};
use world::content::{branch, gid, resolution, spec, with_legs};
use world::driver::{Driver, calls, records};

const NOTHING: [&str; 0] = [];

/// A driver in which nothing stays that only waits.
fn full() -> Driver {
    Driver::with(EngineSettings { in_memory_waiting_transactions: 0, ..EngineSettings::default() })
}

/// The rows after these records, up to the last one of this kind: it fell into the next batch, which
/// was never written.
fn rows_before(lost: &str, mut written: Vec<Record>) -> StoredTransaction {
    if !lost.is_empty() {
        let is_lost = |record: &Record| format!("{:?}", record.change).starts_with(lost);
        let at = written.iter().rposition(is_lost).expect("it was written once");
        written.truncate(at);
    }
    let Change::Begun(spec) = &written[0].change else { panic!("{written:?}") };
    let mut rows = StoredTransaction::begun(Arc::clone(spec));
    for record in &written[1..] {
        rows.apply(&record.change).expect("it fits");
    }
    rows
}

/// What was written until two Confirms are under way, which are returned too.
fn confirming(first: &mut Driver) -> (Vec<Record>, Vec<tercet_engine::Call>) {
    let two = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
    let mut written = first.begin(&two, Until::Accepted).append;
    for call in first.durable().calls {
        written.extend(first.answer(&call, 200).append);
    }
    (written, first.durable().calls)
}

fn resolve(first: &mut Driver, id: &str) -> Vec<Record> {
    let word = Ask::Resolve(Box::new(resolution(id, ResolvedAs::Confirmed)));
    first.ask(&gid("t"), word, Until::Accepted).append
}

#[test]
fn what_only_waits_is_left_where_it_is() {
    let (written, _) = confirming(&mut Driver::new());
    let mut second = full();
    let commands = second.input(Input::Adopt(Box::new(rows_before("", written))));
    assert_eq!((records(&commands), calls(&commands)), (vec![], vec![]));
    assert_eq!(second.core.census().paged_out, 1);
}

/// Keeps P4, P5.
#[test]
fn an_operators_word_takes_effect_at_a_start_however_full_it_is() {
    let mut first = Driver::new();
    let (mut written, _) = confirming(&mut first);
    written.extend(resolve(&mut first, "b"));
    let mut second = full();
    let commands = second.input(Input::Adopt(Box::new(rows_before("", written))));
    assert_eq!(records(&commands), ["BranchRecord", "History"]);
    assert_eq!(calls(&second.durable()), ["a confirm 1"]);
}

/// Keeps P5, P7.
#[test]
fn what_is_done_is_finished_at_a_start_however_full_it_is() {
    // Resolved by hand, which is durable before the end is.
    let mut first = Driver::new();
    let (mut written, confirms) = confirming(&mut first);
    first.now.entropy = u64::MAX;
    for (call, id) in confirms.iter().zip(["a", "b"]) {
        written.extend(first.answer(call, 503).append);
        written.extend(resolve(&mut first, id));
    }
    let resolved = rows_before("Finished", written);
    // Nobody has a leg for what was decided.
    let mut first = Driver::new();
    let legs = [Op::Try, Op::Confirm];
    let mut written =
        first.begin(&spec("t", false, vec![with_legs("a", 0, &legs)]), Until::Accepted).append;
    let cancel = Ask::Cancel { detail: None, if_unknown: None };
    written.extend(first.ask(&gid("t"), cancel, Until::Accepted).append);
    let absent = rows_before("Finished", written);
    for rows in [resolved, absent] {
        assert!(rows.status.is_decided() && !rows.status.is_finished());
        let mut second = full();
        let commands = second.input(Input::Adopt(Box::new(rows)));
        assert_eq!(records(&commands), ["Finished"]);
        second.durable();
        let census = second.core.census();
        assert!(census.by_status.is_empty() && census.paged_out == 0, "{census:?}");
    }
}

/// Keeps P4, P5.
#[test]
fn a_refusal_is_acted_on_at_a_start_however_full_it_is() {
    let mut first = Driver::new();
    let open = spec("t", true, vec![branch("a", 0)]);
    let mut written = first.begin(&open, Until::Accepted).append;
    let tries = first.durable().calls;
    written.extend(first.answer(&tries[0], 409).append);
    let mut second = full();
    let commands = second.input(Input::Adopt(Box::new(rows_before("Decided", written))));
    assert_eq!(records(&commands), ["Decided"]);
    assert_eq!(calls(&second.durable()), ["a cancel 1"]);
}

/// Lists of what is shown to people go by the transaction's row.
///
/// Keeps P7.
#[test]
fn what_is_parked_is_listed_after_a_start_however_full_it_is() {
    let mut first = Driver::new();
    let (mut written, _) = confirming(&mut first);
    written.extend(first.pass(60_000).append);
    let rows = rows_before("Parked", written);
    assert!(rows.branch_records.iter().any(|row| row.parked) && !rows.parked);
    let mut second = full();
    let commands = second.input(Input::Adopt(Box::new(rows)));
    assert_eq!(records(&commands), ["Parked"]);
    let census = second.core.census();
    assert_eq!((census.parked_branches, census.paged_out), (1, 0));
    assert_eq!(records(&second.durable()), NOTHING);
}
