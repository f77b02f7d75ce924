//! Transactions that begin with a gid that another life holds.

use tercet_engine::{Batch, Change, TransactionKey};
use tercet_wire::Wall;

use super::super::{Answer, Fault, Field, Row};
use super::script::{Run, node, text};
use crate::conformance::{open_transaction, record};
use crate::store::CommitError;

/// Begins a transaction of each name, without branches.
pub(super) fn batch_that_begins(number: i64, names: &[&str]) -> Batch {
    let begun = |(seq, name): (u64, &&str)| {
        let spec = open_transaction(name, seq, 0);
        record(seq, &spec, Change::Begun(spec.clone()))
    };
    Batch {
        number,
        written_at: Wall(1),
        records: (1..).zip(names).map(begun).collect(),
        acts: Vec::new(),
    }
}

fn held(gid: &str, by: Field) -> Row {
    vec![text(gid), by]
}

fn of(batch: &Batch, name: &str) -> TransactionKey {
    let found = batch.records.iter().find(|record| record.gid.as_str() == name);
    TransactionKey::of(found.unwrap())
}

pub(super) fn own(batch: &Batch, name: &str) -> Row {
    held(name, text(&of(batch, name).instance.to_string()))
}

const ANOTHER: &str = "00000000-0000-7000-8000-00000000ffff";

#[test]
fn a_taken_gid_is_left_out_and_the_rest_is_written() {
    let batch = batch_that_begins(1, &["a", "b", "c"]);
    for holder in [text(ANOTHER), text("no instance"), Field::Other, Field::Integer(3)] {
        let mut run = Run::of(&batch);
        run.answer(Answer::Changed(1));
        run.answer(Answer::Changed(2));
        let rows = vec![own(&batch, "a"), held("b", holder), own(&batch, "c")];
        run.answer(Answer::Found(rows));
        let (sent, done) = run.finish();
        let expected = ["begin with fence 7 1", "begin 3", "holders 3", "details 2", "COMMIT"];
        assert_eq!(sent, expected);
        assert_eq!(done, Ok(vec![of(&batch, "b")]));
    }
}

#[test]
fn a_transaction_that_is_there_already_is_rejected() {
    let batch = batch_that_begins(1, &["a", "b"]);
    // None is held by another, one of two, and more than began.
    let table = [
        (1, vec![own(&batch, "a"), own(&batch, "b")]),
        (0, vec![own(&batch, "a"), held("b", text(ANOTHER))]),
        (1, vec![held("a", text(ANOTHER)), held("b", text(ANOTHER))]),
        (3, vec![own(&batch, "a"), own(&batch, "b")]),
    ];
    for (begun, rows) in table {
        let mut run = Run::of(&batch);
        run.answer(Answer::Changed(1));
        run.answer(Answer::Changed(begun));
        run.answer(Answer::Found(rows));
        assert!(matches!(run.done(), Some(Err(CommitError::Rejected(_)))), "{begun}");
    }
}

/// Another node has deleted what held it between the two statements. Nothing is wrong with who begins.
#[test]
fn a_gid_that_was_taken_and_no_longer_is_is_begun_again() {
    let batch = batch_that_begins(1, &["a", "b", "c"]);
    for held in [Vec::new(), vec![held("c", text(ANOTHER))]] {
        let mut run = Run::of(&batch);
        run.answer(Answer::Changed(1));
        run.answer(Answer::Changed(1));
        run.answer(Answer::Found([vec![own(&batch, "a")], held].concat()));
        assert!(matches!(run.done(), Some(Err(CommitError::Again(_)))));
    }
}

#[test]
fn a_gid_found_taken_is_found_again_when_the_batch_was_written() {
    let batch = batch_that_begins(4, &["a", "b"]);
    let mut run = Run::of(&batch);
    run.answer(Answer::Changed(0));
    run.answer(Answer::Found(node("live", 4)));
    run.answer(Answer::Found(vec![own(&batch, "a"), held("b", text(ANOTHER))]));
    let (sent, done) = run.finish();
    assert_eq!(sent.last().unwrap(), "ROLLBACK");
    assert_eq!(done, Ok(vec![of(&batch, "b")]));
}

/// Keeps exactly-once. Whoever held the gid is gone by the second look; that the batch did not begin
/// its own life is so all the same.
#[test]
fn a_gid_that_nobody_holds_any_more_was_taken_when_the_batch_was_written() {
    let batch = batch_that_begins(4, &["a", "b"]);
    let mut run = Run::of(&batch);
    run.answer(Answer::Changed(0));
    run.answer(Answer::Found(node("live", 4)));
    run.answer(Answer::Found(vec![own(&batch, "a")]));
    let (_, done) = run.finish();
    assert_eq!(done, Ok(vec![of(&batch, "b")]));
}

fn refused() -> Answer {
    Answer::Failed(Fault::Taken("duplicate".to_owned()))
}

#[test]
fn begins_that_are_refused_for_one_of_them_are_begun_again_without_it() {
    let batch = batch_that_begins(1, &["a", "b", "c"]);
    let mut run = Run::of(&batch);
    run.answer(Answer::Changed(1));
    run.answer(refused());
    run.answer(Answer::Ended);
    run.answer(Answer::Found(vec![held("b", text(ANOTHER))]));
    // Somebody else takes another meanwhile.
    run.answer(Answer::Changed(1));
    run.answer(refused());
    run.answer(Answer::Ended);
    run.answer(Answer::Found(vec![held("c", text(ANOTHER))]));
    let (sent, done) = run.finish();
    let round = |begun, holders| ["begin with fence 7 1", begun, "ROLLBACK", holders];
    let rounds = [round("begin 3", "holders 3"), round("begin 2", "holders 2")].concat();
    let last = ["begin with fence 7 1", "begin 1", "details 1", "COMMIT"];
    assert_eq!(sent, [rounds, last.to_vec()].concat());
    assert_eq!(done, Ok(vec![of(&batch, "b"), of(&batch, "c")]));
}

#[test]
fn of_two_lives_of_a_gid_that_begin_together_the_first_is_written() {
    let batch = batch_that_begins(1, &["a", "a"]);
    let mut run = Run::of(&batch);
    run.answer(Answer::Changed(1));
    run.answer(refused());
    run.answer(Answer::Ended);
    run.answer(Answer::Found(Vec::new()));
    let (sent, done) = run.finish();
    assert_eq!(sent.last().map(String::as_str), Some("COMMIT"));
    let second = TransactionKey::of(&batch.records[1]);
    assert_eq!(done, Ok(vec![second]));
}

#[test]
fn begins_that_are_refused_for_no_reason_that_can_be_found_are_not_begun_again_at_once() {
    let batch = batch_that_begins(1, &["a", "b"]);
    // Whoever held it was forgotten; or it is there already, as this life itself.
    for (rows, is_rejected) in [(Vec::new(), false), (vec![own(&batch, "a")], true)] {
        let mut run = Run::of(&batch);
        run.answer(Answer::Changed(1));
        run.answer(refused());
        run.answer(Answer::Ended);
        run.answer(Answer::Found(rows));
        let rejected = matches!(run.done(), Some(Err(CommitError::Rejected(_))));
        let again = matches!(run.done(), Some(Err(CommitError::Again(_))));
        assert_eq!((rejected, again), (is_rejected, !is_rejected));
    }
}
