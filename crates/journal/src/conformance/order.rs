//! Everything is written, in order, as applying the records one by one would have it.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tercet_engine::{Change, StoredTransaction, Urgency};
use tercet_wire::{BranchSpec, Gid, Seq, Spec};

use super::rig::{Running, patiently};
use super::{Rig, Script, on_each_store, record, trying};
use crate::{JournalError, JournalEvent};

on_each_store!(
    the_rows_are_what_applying_the_records_gives,
    durable_is_told_once_for_each_batch_and_in_order,
    a_batch_stays_within_its_caps,
    transactions_of_many_branches_are_written_however_many_wait,
    what_waits_is_taken_together,
    what_nobody_waits_for_goes_with_what_somebody_waits_for,
    what_nobody_waits_for_is_written_soon_all_the_same,
    nothing_is_told_while_the_journal_stalls,
    a_crash_loses_what_was_not_durable_and_nothing_else,
    closing_writes_what_was_appended,
    closing_in_no_time_says_what_is_lost,
    a_gid_nobody_began_loads_as_nothing,
);

/// Compares everything that can be read with what it must be.
pub(super) async fn check(running: &mut Running, expected: &BTreeMap<Gid, StoredTransaction>) {
    for (gid, expected) in expected {
        assert_eq!(running.stored(gid).await.as_ref(), Some(expected), "{gid}");
    }
    let unfinished: Vec<StoredTransaction> = expected
        .values()
        .filter(|stored| !stored.status.is_finished())
        .map(|stored| StoredTransaction { history: Vec::new(), ..stored.clone() })
        .collect();
    assert_eq!(running.unfinished(3).await, unfinished);
}

async fn the_rows_are_what_applying_the_records_gives(mut rig: Rig) {
    for entropy in 0..12 {
        let mut script = Script::of(entropy, 8, 150);
        rig.settings.batch_records = usize::try_from(script.pick(20)).unwrap() + 1;
        let rig = rig.fresh();
        let mut running = rig.open().await;
        let mut waiting = script.records.clone();
        while !waiting.is_empty() {
            let some = usize::try_from(script.pick(40)).unwrap() + 1;
            let rest = waiting.split_off(some.min(waiting.len()));
            running.journal.append(waiting, Urgency::Now);
            waiting = rest;
        }
        running.until_durable(Seq(150)).await;
        check(&mut running, &script.after(150)).await;
        running.crash().await;
        check(&mut rig.open().await, &script.after(150)).await;
    }
}

async fn durable_is_told_once_for_each_batch_and_in_order(mut rig: Rig) {
    rig.settings.batch_records = 4;
    let mut running = rig.open().await;
    running.faults.stall();
    let script = Script::of(3, 4, 22);
    running.journal.append(script.records.clone(), Urgency::Now);
    running.faults.until_stalled().await;
    running.faults.release();
    let told = running.until_durable(Seq(22)).await;
    assert_eq!(told, [4, 8, 12, 16, 20, 22].map(|seq| JournalEvent::Durable(Seq(seq))));
    let numbers: Vec<i64> = running.faults.submitted().iter().map(|batch| batch.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

/// Keeps P9.
async fn a_batch_stays_within_its_caps(mut rig: Rig) {
    rig.settings.batch_bytes = 10_000;
    let mut running = rig.open().await;
    running.faults.stall();
    let records: Vec<_> = (1..=200)
        .map(|number| {
            let spec = trying(&format!("tx-{number}"), number, 0);
            record(number, &spec, Change::Begun(spec.clone()))
        })
        .collect();
    running.journal.append(records, Urgency::Now);
    running.faults.release();
    running.until_durable(Seq(200)).await;
    let sizes: Vec<usize> =
        running.faults.submitted().iter().map(|batch| batch.records.len()).collect();
    assert!(sizes.len() > 5, "{sizes:?}");
    assert!(sizes.iter().all(|size| (1..40).contains(size)), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 200);
    assert_eq!(running.unfinished(100).await.len(), 200);
}

async fn transactions_of_many_branches_are_written_however_many_wait(rig: Rig) {
    let mut running = rig.open().await;
    let specs: Vec<Arc<Spec>> = (1..=100)
        .map(|number| {
            let mut spec = Arc::unwrap_or_clone(trying(&format!("tx-{number:03}"), number, 0));
            let one = spec.branches[0].clone();
            let branch = |position: u32| BranchSpec {
                id: format!("b{position}").parse().unwrap(),
                position,
                ..BranchSpec::clone(&one)
            };
            spec.branches = (0..64).map(|position| Arc::new(branch(position))).collect();
            Arc::new(spec)
        })
        .collect();
    let begins =
        (1..).zip(&specs).map(|(seq, spec)| record(seq, spec, Change::Begun(spec.clone())));
    running.write(begins.collect()).await;
    // One statement takes 32 766 values, and 100 times 64 branches of 14 are more.
    assert!(running.faults.submitted().len() > 2);
    let expected = specs.into_iter().map(|spec| (spec.gid.clone(), StoredTransaction::begun(spec)));
    check(&mut running, &expected.collect()).await;
}

async fn what_waits_is_taken_together(rig: Rig) {
    let mut running = rig.open().await;
    let script = Script::of(5, 6, 100);
    running.faults.stall();
    running.journal.append(script.records[..1].to_vec(), Urgency::Now);
    running.faults.until_stalled().await;
    for record in &script.records[1..] {
        running.journal.append(vec![record.clone()], Urgency::Now);
    }
    assert_eq!(running.journal.backlog().records, 100);
    running.faults.release();
    let told = running.until_durable(Seq(100)).await;
    assert_eq!(told, [1, 100].map(|seq| JournalEvent::Durable(Seq(seq))));
    check(&mut running, &script.after(100)).await;
    let backlog = running.journal.backlog();
    assert_eq!((backlog.records, backlog.bytes), (0, 0));
}

/// Keeps P3.
async fn nothing_is_told_while_the_journal_stalls(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 0);
    running.faults.stall();
    running.journal.append(vec![record(1, &spec, Change::Begun(spec.clone()))], Urgency::Now);
    running.faults.until_stalled().await;
    assert_eq!(running.told(), []);
    // Reading goes on: the gid is not there as long as it is not durable.
    assert_eq!(running.stored(&spec.gid).await, None);
    assert_eq!(running.told(), []);
    running.faults.release();
    assert_eq!(running.until_durable(Seq(1)).await, [JournalEvent::Durable(Seq(1))]);
    assert_eq!(running.stored(&spec.gid).await, Some(StoredTransaction::begun(spec)));
}

async fn a_crash_loses_what_was_not_durable_and_nothing_else(rig: Rig) {
    let script = Script::of(7, 5, 40);
    for durable in [1, 7, 20, 39] {
        let rig = rig.fresh();
        let mut running = rig.open().await;
        running.write(script.records[..durable].to_vec()).await;
        running.faults.stall();
        running.journal.append(script.records[durable..].to_vec(), Urgency::Now);
        running.faults.until_stalled().await;
        running.crash().await;
        let mut running = rig.open().await;
        check(&mut running, &script.after(durable)).await;
        // The next life writes on from there.
        running.write(script.records[durable..].to_vec()).await;
        check(&mut running, &script.after(40)).await;
    }
}

async fn what_nobody_waits_for_goes_with_what_somebody_waits_for(mut rig: Rig) {
    rig.settings.linger = Duration::from_secs(3_600);
    let mut running = rig.open().await;
    let script = Script::of(5, 4, 15);
    running.journal.append(script.records[..9].to_vec(), Urgency::Linger);
    // Time enough for a writer in haste.
    assert_eq!(running.unfinished(3).await, []);
    running.journal.append(script.records[9..12].to_vec(), Urgency::Now);
    assert_eq!(running.until_durable(Seq(12)).await, [JournalEvent::Durable(Seq(12))]);
    // Somebody may come to wait for it later.
    running.journal.append(script.records[12..].to_vec(), Urgency::Linger);
    running.journal.append(Vec::new(), Urgency::Now);
    assert_eq!(running.until_durable(Seq(15)).await, [JournalEvent::Durable(Seq(15))]);
    check(&mut running, &script.after(15)).await;
}

async fn what_nobody_waits_for_is_written_soon_all_the_same(rig: Rig) {
    let mut running = rig.open().await;
    let script = Script::of(7, 4, 12);
    running.journal.append(script.records.clone(), Urgency::Linger);
    running.until_durable(Seq(12)).await;
    check(&mut running, &script.after(12)).await;
}

async fn closing_writes_what_was_appended(rig: Rig) {
    let running = rig.open().await;
    let script = Script::of(9, 5, 60);
    running.faults.stall();
    running.journal.append(script.records[..10].to_vec(), Urgency::Now);
    running.faults.until_stalled().await;
    // Both wait behind the batch that stalls.
    running.journal.append(script.records[10..].to_vec(), Urgency::Now);
    let journal = running.journal.clone();
    let mut closing = Box::pin(journal.close(Duration::from_secs(20)));
    assert!(at_once(&mut closing).await.is_none(), "it waits for what is queued");
    running.faults.release();
    patiently(closing).await.unwrap();
    check(&mut rig.open().await, &script.after(60)).await;
}

/// What a future gives without waiting.
async fn at_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|context| match Pin::new(&mut *future).poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn closing_in_no_time_says_what_is_lost(rig: Rig) {
    let running = rig.open().await;
    running.faults.stall();
    running.journal.append(Script::of(9, 5, 60).records, Urgency::Now);
    running.faults.until_stalled().await;
    let closed = patiently(running.journal.close(Duration::ZERO)).await;
    assert!(matches!(closed, Err(JournalError::NotFlushed { records: 60 })), "{closed:?}");
}

async fn a_gid_nobody_began_loads_as_nothing(rig: Rig) {
    let mut running = rig.open().await;
    assert_eq!(running.stored(&"nobody".parse().unwrap()).await, None);
}
