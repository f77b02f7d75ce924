//! Transactions that begin with a gid that another life holds.

use tercet_engine::{Batch, Change, TransactionKey};
use tercet_wire::Wall;

use super::super::{Answer, Field, Row};
use super::script::{Run, node, text};
use crate::conformance::{open_transaction, record};
use crate::store::CommitError;

/// Begins a transaction of each name, without branches.
pub(super) fn batch_that_begins(number: i64, names: &[&str]) -> Batch {
    let begun = |(seq, name): (u64, &&str)| {
        let spec = open_transaction(name, seq, 0);
        record(seq, &spec, Change::Begun(spec.clone()))
    };
    Batch { number, written_at: Wall(1), records: (1..).zip(names).map(begun).collect() }
}

fn held(gid: &str, by: Field) -> Row {
    vec![text(gid), by]
}

fn of(batch: &Batch, name: &str) -> TransactionKey {
    let found = batch.records.iter().find(|record| record.gid.as_str() == name);
    TransactionKey::of(found.unwrap())
}

fn own(batch: &Batch, name: &str) -> Row {
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
