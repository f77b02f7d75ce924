//! What is sent after what, and what a wrong answer to each of it leads to.

use sea_orm::Value;
use tercet_engine::{Acted, Batch, BranchRecord, Change, Decided, Decision, HistoryEvent, Record};
use tercet_wire::{BranchStatus, EventKind, PerOp, Reason, Spec, Wall};

use super::super::{Answer, Fault, Field, Step};
use super::script::Run;
use crate::conformance::{act, record, tried, trying, with_options};
use crate::store::CommitError;

/// All that a batch whose every statement has rows sends.
const ALL: [&str; 13] = [
    "begin with fence 7 3",
    "begin 2",
    "advance 1",
    "stay 2",
    "details 2",
    "own options 2",
    "reasons 1",
    "branches 5",
    "options 2",
    "outcomes 4",
    "results 2",
    "events 3",
    "COMMIT",
];

fn happened(number: u32) -> Change {
    Change::History(HistoryEvent {
        number,
        at: Wall(1),
        kind: EventKind::CallFailed,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    })
}

fn outcome(branch: &str) -> Change {
    Change::BranchRecord(BranchRecord {
        branch: branch.parse().unwrap(),
        status: BranchStatus::Registered,
        attempts: PerOp { try_: 1, confirm: 0, cancel: 0 },
        parked: false,
        last_error: None,
        answer: None,
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
        acknowledged_at: None,
    })
}

/// Has rows for every statement, in no order.
fn batch() -> Batch {
    let cancel = Decision::Cancel { reason: Reason::Requested, detail: Some("no".into()) };
    let begun = |name, life| {
        let spec = with_options(&trying(name, life, 0));
        let branches = spec.branches.iter().rev().cloned().collect();
        std::sync::Arc::new(Spec { branches, ..Spec::clone(&spec) })
    };
    let (z, a) = (begun("z", 1), begun("a", 2));
    let (m, k, b) = (trying("m", 3, 0), trying("k", 4, 0), trying("b", 5, 0));
    let changes = [
        (&z, Change::Begun(z.clone())),
        (&m, Change::Decided(Decided { at: Wall(2), decision: cancel })),
        (&k, happened(4)),
        (&b, outcome("b1")),
        (&k, happened(5)),
        (&a, Change::Begun(a.clone())),
        (&b, Change::Registered(b.branches[0].clone())),
        (&b, outcome("b0")),
        (&a, outcome("b0")),
        (&a, happened(1)),
        (&b, tried("b1")),
        (&a, tried("b1")),
    ];
    let records: Vec<Record> =
        (1..).zip(changes).map(|(seq, (spec, change))| record(seq, spec, change)).collect();
    Batch { number: 3, written_at: Wall(1), records, acts: Vec::new() }
}

#[test]
fn a_batch_is_sent_in_one_order() {
    let batch = batch();
    let (sent, done) = Run::of(&batch).finish();
    assert_eq!(sent, ALL);
    assert_eq!(done, Ok(Vec::new()));
    // The sign of life of a node with nothing to say.
    let empty = Batch { records: Vec::new(), ..batch };
    assert_eq!(Run::of(&empty).finish().0, ["begin with fence 7 3", "COMMIT"]);
}

/// What nobody does costs no statement; what somebody does goes last, in the same commit.
#[test]
fn what_operators_did_is_one_more_statement_where_there_is_any() {
    let (m, k) = (trying("m", 3, 0), trying("k", 4, 0));
    let acted = |number, spec: &Spec, changes| {
        let act = act(number, Wall(2), Some(&spec.gid));
        Change::Acted(Box::new(Acted { act, changes }))
    };
    let changes = [
        (&m, acted(1, &m, vec![outcome("b0"), happened(1)])),
        (&k, acted(2, &k, Vec::new())),
        (&m, happened(2)),
    ];
    let records = (1..).zip(changes).map(|(seq, (spec, change))| record(seq, spec, change));
    let mut batch =
        Batch { number: 3, written_at: Wall(1), records: records.collect(), acts: Vec::new() };
    let sent = ["begin with fence 7 3", "stay 2", "outcomes 1", "events 2", "audit 2", "COMMIT"];
    assert_eq!(Run::of(&batch).finish().0, sent);
    batch.records.clear();
    batch.acts.push(act(3, Wall(3), None).into());
    assert_eq!(Run::of(&batch).finish().0, ["begin with fence 7 3", "audit 1", "COMMIT"]);
}

#[test]
fn rows_of_every_statement_are_ordered_by_gid_and_branch() {
    let batch = batch();
    let mut run = Run::of(&batch);
    while run.done().is_none() {
        let good = run.good();
        run.answer(good);
    }
    let mut seen = 0;
    for (sent, bound) in run.sent.iter().zip(&run.bound) {
        let of_branch = ["branches", "options", "outcomes", "results"]
            .iter()
            .any(|kind| sent.starts_with(kind));
        let key = |row: &[Value]| match (&row[0], &row[1]) {
            (Value::String(Some(gid)), Value::String(Some(branch))) if of_branch => {
                (gid.clone(), branch.clone())
            }
            (Value::String(Some(gid)), _) => (gid.clone(), String::new()),
            other => panic!("{other:?} of {sent}"),
        };
        let keys: Vec<(String, String)> = bound.chunks(2).map(key).collect();
        assert!(keys.is_sorted(), "{sent}: {keys:?}");
        seen += usize::from(keys.len() > 1);
    }
    assert_eq!(seen, 9, "statements of which there is an order to see");
}

#[test]
fn a_fault_at_each_step_ends_the_batch_without_its_commit() {
    let batch = batch();
    let (again, rejected) = (|| Fault::Again("x".into()), || Fault::Rejected("x".into()));
    for (place, at) in ALL.iter().enumerate() {
        let of_data = !at.starts_with("begin with") && *at != "COMMIT";
        for (fault, is_rejected) in [(again(), false), (rejected(), of_data)] {
            let mut run = Run::of(&batch);
            for _ in 0..place {
                let good = run.good();
                run.answer(good);
            }
            assert_eq!(run.sent.last().unwrap(), at);
            run.answer(Answer::Failed(fault.clone()));
            let expected = match is_rejected {
                true => CommitError::Rejected("x".to_owned()),
                // Of a COMMIT that failed nobody knows whether it happened.
                false => CommitError::Again("x".to_owned()),
            };
            assert_eq!(run.done(), Some(&Err(expected)), "{fault:?} at {at}");
            assert_eq!(run.sent.len(), place + 1, "nothing is sent after {fault:?} at {at}");
        }
    }
}

#[test]
fn a_wrong_count_at_each_step_is_rejected_without_its_commit() {
    let batch = batch();
    for (place, at) in ALL.iter().enumerate().skip(1).take(ALL.len() - 2) {
        let count: u64 = at.rsplit(' ').next().unwrap().parse().unwrap();
        for wrong in [0, count - 1, count + 1] {
            let mut run = Run::of(&batch);
            for _ in 0..place {
                let good = run.good();
                run.answer(good);
            }
            let number = Field::Integer(i64::try_from(wrong).unwrap());
            run.answer(match run.step() {
                Step::Query(_) => Answer::Found(vec![vec![number]]),
                _ => Answer::Changed(wrong),
            });
            if at.starts_with("begin ") {
                assert_eq!(run.sent.last().unwrap(), "holders 2");
                run.answer(Answer::Found(Vec::new()));
            }
            // Of a gid that nobody holds by now another node may just have deleted the holder.
            let is_right = match run.done() {
                Some(Err(CommitError::Again(_))) => at.starts_with("begin "),
                Some(Err(CommitError::Rejected(_))) => !at.starts_with("begin "),
                _ => false,
            };
            assert!(is_right, "{wrong} at {at}: {:?}", run.step());
            assert!(!run.sent.contains(&"COMMIT".to_owned()), "{wrong} at {at}");
        }
    }
}

#[test]
fn an_answer_of_another_kind_is_no_answer() {
    let batch = batch();
    for (place, at) in ALL.iter().enumerate() {
        for wrong in [Answer::Changed(1), Answer::Found(Vec::new()), Answer::Ended] {
            let mut run = Run::of(&batch);
            for _ in 0..place {
                let good = run.good();
                run.answer(good);
            }
            if std::mem::discriminant(&wrong) == std::mem::discriminant(&run.good()) {
                continue;
            }
            run.answer(wrong.clone());
            let again = matches!(run.done(), Some(Err(CommitError::Again(_))));
            assert!(again, "{wrong:?} at {at}: {:?}", run.step());
        }
    }
}

/// Whatever is answered, COMMIT is sent only after the fence said one row and every statement
/// said what it must, and nothing after the end.
#[test]
fn whatever_is_answered_commit_is_sent_only_after_all_is_well() {
    let batch = batch();
    let mut committed = 0;
    for seed in 0..3_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut run, mut well) = (Run::of(&batch), true);
        for _ in 0..20 {
            let good = run.good();
            let answer = match rng.u32(..30) {
                0 => Answer::Failed(Fault::Again("x".into())),
                1 => Answer::Failed(Fault::Rejected("x".into())),
                2 => Answer::Changed(rng.u64(..4)),
                3 => Answer::Found(super::script::node("live", rng.i64(1..5))),
                4 => Answer::Found(vec![vec![Field::Integer(rng.i64(..4))]]),
                5 => Answer::Ended,
                _ => good.clone(),
            };
            well &= answer == good;
            run.answer(answer);
            match run.step() {
                Step::Commit => assert!(well, "seed {seed}: {:?}", run.sent),
                Step::Done(Ok(_)) if run.sent.last().unwrap() == "COMMIT" => {
                    committed += usize::from(well);
                    break;
                }
                Step::Done(_) => break,
                _ => {}
            }
        }
    }
    assert!(committed > 100, "{committed}");
}
