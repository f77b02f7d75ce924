//! What does not fit is left out, and nothing else is.

use std::sync::Arc;

use tercet_engine::{
    BranchRecord, Change, Decided, Decision, HistoryEvent, Record, StoredTransaction,
};
use tercet_wire::{EventKind, PerOp, Seq, Spec, Status, Wall};

use super::{Rig, finished, on_each_store, open_transaction, record, trying};
use crate::JournalEvent;

on_each_store!(
    a_taken_gid_is_told_and_the_rest_is_written,
    a_record_that_does_not_fit_sets_its_transaction_aside_alone,
    every_kind_of_misfit_is_found_out,
    a_transaction_set_aside_keeps_what_was_durable,
    what_is_left_out_at_the_end_of_a_batch_is_covered_all_the_same,
);

fn begun(seq: u64, spec: &Arc<Spec>) -> Record {
    record(seq, spec, Change::Begun(Arc::clone(spec)))
}

fn confirm() -> Change {
    Change::Decided(Decided { at: Wall(9), decision: Decision::Confirm })
}

fn happened(number: u32) -> Change {
    Change::History(HistoryEvent {
        number,
        at: Wall(9),
        kind: EventKind::CallFailed,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    })
}

fn outcome() -> Change {
    Change::BranchRecord(BranchRecord {
        branch: "b0".parse().unwrap(),
        status: tercet_wire::BranchStatus::Tried,
        attempts: PerOp::default(),
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

async fn a_taken_gid_is_told_and_the_rest_is_written(rig: Rig) {
    let mut running = rig.open().await;
    let (first, other, third) = (trying("tx-1", 1, 0), trying("tx-1", 2, 5), trying("tx-2", 3, 5));
    running.write(vec![begun(1, &first)]).await;
    let told = running
        .write(vec![
            begun(2, &other),
            record(3, &other, happened(1)),
            begun(4, &third),
            record(5, &other, confirm()),
        ])
        .await;
    assert_eq!(told, [JournalEvent::Exists(other.gid.clone()), JournalEvent::Durable(Seq(5))]);
    // What the engine had written before it heard is left out silently.
    let told =
        running.write(vec![record(6, &other, outcome()), record(7, &third, confirm())]).await;
    assert_eq!(told, [JournalEvent::Durable(Seq(7))]);
    assert_eq!(running.stored(&first.gid).await, Some(StoredTransaction::begun(first)));
    assert_eq!(running.stored(&third.gid).await.unwrap().status, Status::Confirming);
}

/// Keeps P6.
async fn a_record_that_does_not_fit_sets_its_transaction_aside_alone(rig: Rig) {
    let mut running = rig.open().await;
    let specs: Vec<Arc<Spec>> =
        (1..=9).map(|number| trying(&format!("tx-{number}"), number, 0)).collect();
    let begins: Vec<Record> = (1..).zip(&specs).map(|(seq, spec)| begun(seq, spec)).collect();
    running.write(begins).await;
    let culprit = &specs[4];
    let mut records: Vec<Record> =
        (10..).zip(&specs).map(|(seq, spec)| record(seq, spec, confirm())).collect();
    records[4].change = Change::Finished { status: Status::Confirmed, at: Wall(9) };
    let told = running.write(records).await;
    let aside = JournalEvent::Quarantined(culprit.gid.clone());
    assert_eq!(told.iter().filter(|event| **event == aside).count(), 1, "{told:?}");
    let place = told.iter().position(|event| *event == aside).unwrap();
    let durable_before: Vec<_> = told[..place]
        .iter()
        .filter(|event| matches!(event, JournalEvent::Durable(seq) if *seq >= Seq(14)))
        .collect();
    assert_eq!(durable_before, Vec::<&JournalEvent>::new(), "it is told before it is covered");
    for spec in &specs {
        let status = running.stored(&spec.gid).await.unwrap().status;
        let left_out = spec.gid == culprit.gid;
        let expected = if left_out { Status::Trying } else { Status::Confirming };
        assert_eq!(status, expected, "{}", spec.gid);
    }
    // Nothing more of it is written, and nobody else notices.
    let told = running
        .write(vec![
            record(20, culprit, confirm()),
            record(21, &specs[0], Change::Finished { status: Status::Confirmed, at: Wall(9) }),
        ])
        .await;
    assert_eq!(told, [JournalEvent::Durable(Seq(21))]);
    assert_eq!(running.stored(&culprit.gid).await.unwrap().status, Status::Trying);
    assert_eq!(running.stored(&specs[0].gid).await.unwrap().status, Status::Confirmed);
}

/// Keeps P2.
async fn every_kind_of_misfit_is_found_out(rig: Rig) {
    let mut running = rig.open().await;
    let known = |name: &str, life| trying(name, life, 0);
    let late = open_transaction("late", 1, 0);
    let registered = trying("other", 99, 0).branches[1].clone();
    let confirmed = || Change::Finished { status: Status::Confirmed, at: Wall(9) };
    let cancelled = || Change::Finished { status: Status::Cancelled, at: Wall(9) };
    // What is durable before, and what does not fit after it.
    let table: Vec<(Arc<Spec>, Vec<Change>, Change)> = vec![
        (known("absent-1", 1), vec![], confirm()),
        (known("absent-2", 2), vec![], happened(1)),
        (known("absent-3", 3), vec![], outcome()),
        (known("absent-4", 4), vec![], Change::Parked(true)),
        (known("absent-5", 5), vec![], Change::Registered(registered.clone())),
        (
            known("twice", 6),
            vec![Change::Begun(known("twice", 6))],
            Change::Begun(known("twice", 6)),
        ),
        (
            late.clone(),
            vec![Change::Begun(late.clone()), confirm()],
            Change::Registered(registered),
        ),
        (
            open_transaction("late-1", 13, 0),
            vec![Change::Begun(open_transaction("late-1", 13, 0)), confirm()],
            Change::RegisteredAtOnce(trying("other", 99, 0).branches.clone()),
        ),
        (known("decided", 7), vec![Change::Begun(known("decided", 7)), confirm()], confirm()),
        (known("early", 8), vec![Change::Begun(known("early", 8))], confirmed()),
        (known("wrong", 9), vec![Change::Begun(known("wrong", 9)), confirm()], cancelled()),
        (known("over", 10), finished(&known("over", 10), 5, 6), confirmed()),
        (known("other-life-1", 11), vec![Change::Begun(known("other-life-1", 12))], confirm()),
        (known("other-life-2", 11), vec![Change::Begun(known("other-life-2", 12))], outcome()),
    ];
    let mut seq = 0;
    for together in [false, true] {
        for (spec, before, misfit) in &table {
            let spec = Spec {
                gid: format!("{}-{together}", spec.gid).parse().unwrap(),
                ..Spec::clone(spec)
            };
            let as_record = |seq, change: &Change| match change {
                Change::Begun(begun) => {
                    let begun = Arc::new(Spec { instance: begun.instance, ..spec.clone() });
                    record(seq, &begun.clone(), Change::Begun(begun))
                }
                other => record(seq, &spec, other.clone()),
            };
            let mut next = || {
                seq += 1;
                seq
            };
            let mut records: Vec<Record> =
                before.iter().map(|change| as_record(next(), change)).collect();
            if !together && !records.is_empty() {
                running.write(std::mem::take(&mut records)).await;
            }
            records.push(as_record(next(), misfit));
            let last = next();
            let other = trying(&format!("other-{last}"), 100 + last, 0);
            records.push(begun(last, &other));
            let told = running.write(records).await;
            let aside = JournalEvent::Quarantined(spec.gid.clone());
            assert!(told.contains(&aside), "{misfit:?} after {before:?}: {told:?}");
            assert_eq!(running.stored(&other.gid).await, Some(StoredTransaction::begun(other)));
        }
    }
}

async fn a_transaction_set_aside_keeps_what_was_durable(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 0);
    running.write(vec![begun(1, &spec), record(2, &spec, happened(1))]).await;
    let before = running.stored(&spec.gid).await;
    let told = running
        .write(vec![record(3, &spec, happened(2)), record(4, &spec, Change::Begun(spec.clone()))])
        .await;
    assert_eq!(told, [JournalEvent::Quarantined(spec.gid.clone()), JournalEvent::Durable(Seq(4))]);
    assert_eq!(running.stored(&spec.gid).await, before);
    running.crash().await;
    // The next life takes it up as it was.
    let mut running = rig.open().await;
    assert_eq!(running.stored(&spec.gid).await, before);
    let told = running.write(vec![record(1, &spec, confirm())]).await;
    assert_eq!(told, [JournalEvent::Durable(Seq(1))]);
}

async fn what_is_left_out_at_the_end_of_a_batch_is_covered_all_the_same(rig: Rig) {
    let mut running = rig.open().await;
    let specs: Vec<Arc<Spec>> =
        (1..=4).map(|number| trying(&format!("tx-{number}"), number, 0)).collect();
    let begins: Vec<Record> = (1..).zip(&specs).map(|(seq, spec)| begun(seq, spec)).collect();
    running.write(begins).await;
    running.write(vec![begun(5, &specs[3])]).await;
    // The last is left out, and the first makes the others be halved.
    let records = vec![
        begun(6, &specs[0]),
        record(7, &specs[1], confirm()),
        record(8, &specs[2], confirm()),
        record(9, &specs[3], confirm()),
    ];
    let told = running.write(records).await;
    assert_eq!(told.last(), Some(&JournalEvent::Durable(Seq(9))));
    assert_eq!(running.stored(&specs[2].gid).await.unwrap().status, Status::Confirming);
    assert_eq!(running.stored(&specs[3].gid).await.unwrap().status, Status::Trying);
}
