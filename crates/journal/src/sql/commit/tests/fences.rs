//! What becomes of a batch whose fence changed nothing.

use super::super::{Answer, Fault, Field, Row};
use super::script::{Run, node, text};
use super::takings::{batch_that_begins, own};
use crate::store::CommitError;
use tercet_engine::Batch;

fn looked(batch: &Batch, found: Vec<Row>) -> (Vec<String>, String) {
    let mut run = Run::of(batch);
    run.answer(Answer::Changed(0));
    run.answer(Answer::Found(found));
    if run.done().is_none() && !batch.records.is_empty() {
        let begun = batch.records.iter().map(|record| own(batch, record.gid.as_str()));
        run.answer(Answer::Found(begun.collect()));
    }
    let (sent, done) = run.finish();
    let what = match done {
        Ok(taken) => format!("written, {} taken", taken.len()),
        Err(CommitError::Again(_) | CommitError::Conflict(_)) => "again".to_owned(),
        Err(CommitError::Rejected(_)) => "rejected".to_owned(),
        Err(CommitError::Fenced(why)) if why.contains("lost acknowledged writes") => {
            "fenced, ALARM".to_owned()
        }
        Err(CommitError::Fenced(_)) => "fenced".to_owned(),
    };
    (sent, what)
}

#[test]
fn a_life_is_fenced_only_for_cause() {
    let batch = batch_that_begins(10, &["a", "b"]);
    let number = vec![vec![Field::Integer(1), Field::Integer(10)]];
    let table = [
        (node("live", 10), "written, 0 taken"),
        // The look came from a moment before the fence.
        (node("live", 9), "again"),
        (node("live", 11), "fenced"),
        (node("live", 8), "fenced, ALARM"),
        (node("live", 0), "fenced, ALARM"),
        (node("fenced", 9), "fenced"),
        (node("fenced", 10), "fenced"),
        (node("left", 10), "fenced"),
        (Vec::new(), "fenced"),
        (number, "again"),
        (vec![vec![text("live")]], "again"),
    ];
    for (found, expected) in table {
        let (sent, what) = looked(&batch, found.clone());
        assert_eq!(what, expected, "{found:?}");
        let written: &[&str] = match expected {
            "written, 0 taken" => &["begin with fence 7 10", "look", "holders 2", "ROLLBACK"],
            _ => &["begin with fence 7 10", "look"],
        };
        assert_eq!(sent, written, "{found:?}");
    }
}

#[test]
fn a_written_batch_without_begins_asks_for_no_holders() {
    let batch = batch_that_begins(10, &[]);
    let (sent, what) = looked(&batch, node("live", 10));
    assert_eq!((sent.last().map(String::as_str), &*what), (Some("ROLLBACK"), "written, 0 taken"));
    assert_eq!(sent.len(), 3);
}

#[test]
fn a_written_batch_is_never_rejected() {
    let batch = batch_that_begins(10, &["a"]);
    for steps in 0..2 {
        for fault in [Fault::Again("x".to_owned()), Fault::Rejected("x".to_owned())] {
            let mut run = Run::of(&batch);
            run.answer(Answer::Changed(0));
            run.answer(Answer::Found(node("live", 10)));
            for _ in 0..steps {
                let good = run.good();
                run.answer(good);
            }
            run.answer(Answer::Failed(fault));
            assert_eq!(run.done(), Some(&Err(CommitError::Again("x".to_owned()))), "{steps}");
        }
    }
}

#[test]
fn a_fence_that_moves_more_than_one_row_writes_nothing() {
    let batch = batch_that_begins(10, &["a"]);
    for changed in [2, u64::MAX] {
        let mut run = Run::of(&batch);
        run.answer(Answer::Changed(changed));
        assert!(matches!(run.done(), Some(Err(CommitError::Again(_)))), "{changed}");
        assert_eq!(run.sent.len(), 1);
    }
}
