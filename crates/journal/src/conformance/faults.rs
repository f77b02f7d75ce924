//! Whatever a submission comes to, each batch happens once and is told once.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tercet_engine::{Change, Urgency};
use tercet_wire::Seq;

use super::order::check;
use super::{Fault, Rig, Script, on_each_store, record, trying};
use crate::JournalEvent;

on_each_store!(
    a_fault_at_any_step_neither_loses_nor_doubles,
    a_batch_given_up_anywhere_in_its_middle_is_completed,
    who_was_in_anothers_way_is_repeated_and_nobody_hears_of_it,
    a_gid_found_taken_is_told_again_after_an_unknown_outcome,
    a_replaced_incarnation_writes_nothing_more,
    an_outcome_learned_too_late_does_not_revive_a_replaced_incarnation,
    what_the_journal_does_can_be_measured,
);

fn failing_then_healed_then_durable(seq: u64, told: &[JournalEvent]) {
    let [JournalEvent::Failing { .. }, JournalEvent::Healed, JournalEvent::Durable(durable)] = told
    else {
        panic!("{told:?}");
    };
    assert_eq!(*durable, Seq(seq));
}

/// Keeps exactly-once.
async fn a_fault_at_any_step_neither_loses_nor_doubles(rig: Rig) {
    const RECORDS: usize = 14;
    let mut script = Script::of(11, 3, RECORDS);
    let faults: [&[Fault]; 6] = [
        &[Fault::Before],
        &[Fault::After],
        &[Fault::Before, Fault::Before],
        &[Fault::After, Fault::After],
        &[Fault::Before, Fault::After, Fault::Before],
        &[Fault::After, Fault::Before, Fault::After],
    ];
    for faults in faults {
        let rig = rig.fresh();
        let mut running = rig.open().await;
        let mut written = 0;
        while written < RECORDS {
            let some = usize::try_from(script.pick(4)).unwrap() + 1;
            let end = (written + some).min(RECORDS);
            running.faults.then(faults);
            let told = running.write(script.records[written..end].to_vec()).await;
            failing_then_healed_then_durable(u64::try_from(end).unwrap(), &told);
            written = end;
        }
        let mut numbers: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        for batch in running.faults.submitted() {
            numbers.entry(batch.number).or_default().push(batch.records);
        }
        for (number, submissions) in numbers {
            assert_eq!(submissions.len(), faults.len() + 1, "batch {number} after {faults:?}");
            assert!(submissions.windows(2).all(|pair| pair[0] == pair[1]), "the same batch");
        }
        check(&mut running, &script.after(RECORDS)).await;
        assert_eq!(running.told(), []);
    }
}

/// Keeps exactly-once.
async fn a_batch_given_up_anywhere_in_its_middle_is_completed(rig: Rig) {
    let script = Script::of(13, 4, 60);
    let mut running = rig.open().await;
    // More waits than a batch has, so that the last are cut at or after its COMMIT.
    for (step, records) in script.records.chunks(3).enumerate() {
        running.faults.then(&[Fault::CutAfter(u32::try_from(step).unwrap())]);
        let told = running.write(records.to_vec()).await;
        let durable = records.last().unwrap().seq;
        let count = |event: &JournalEvent| told.iter().filter(|told| *told == event).count();
        assert_eq!(count(&JournalEvent::Durable(durable)), 1, "{told:?}");
        let failed = told.iter().any(|told| matches!(told, JournalEvent::Failing { .. }));
        assert_eq!(count(&JournalEvent::Healed), usize::from(failed), "{told:?}");
    }
    check(&mut running, &script.after(60)).await;
}

/// Keeps exactly-once, P7.
async fn who_was_in_anothers_way_is_repeated_and_nobody_hears_of_it(rig: Rig) {
    let mut running = rig.open().await;
    let (first, second) = (trying("tx-1", 1, 0), trying("tx-2", 2, 0));
    running.faults.then(&[Fault::Conflict, Fault::Conflict, Fault::ConflictAfter]);
    let told = running.write(vec![record(1, &first, Change::Begun(first.clone()))]).await;
    assert_eq!(told, [JournalEvent::Durable(Seq(1))]);
    assert_eq!(running.faults.submitted().len(), 4);
    // Who is in the way without end is a failure like any other.
    running.faults.then(&[Fault::Conflict; 30]);
    let told = running.write(vec![record(2, &second, Change::Begun(second.clone()))]).await;
    failing_then_healed_then_durable(2, &told);
    for spec in [first, second] {
        assert_eq!(running.stored(&spec.gid).await.unwrap().spec, spec);
    }
}

async fn a_gid_found_taken_is_told_again_after_an_unknown_outcome(rig: Rig) {
    let mut running = rig.open().await;
    let (first, other) = (trying("tx-1", 1, 0), trying("tx-1", 2, 5));
    let third = trying("tx-2", 3, 5);
    running.write(vec![record(1, &first, Change::Begun(first.clone()))]).await;
    running.faults.then(&[Fault::After]);
    let told = running
        .write(vec![
            record(2, &other, Change::Begun(other.clone())),
            record(3, &third, Change::Begun(third.clone())),
        ])
        .await;
    let [JournalEvent::Failing { .. }, rest @ ..] = &told[..] else { panic!("{told:?}") };
    let exists = JournalEvent::Exists(other.gid.clone());
    assert_eq!(rest, [JournalEvent::Healed, exists, JournalEvent::Durable(Seq(3))]);
    assert_eq!(running.stored(&first.gid).await.unwrap().spec, first);
    assert_eq!(running.stored(&third.gid).await.unwrap().spec, third);
}

/// Keeps P8.
async fn a_replaced_incarnation_writes_nothing_more(rig: Rig) {
    let mut old = rig.open().await;
    let (first, second) = (trying("tx-1", 1, 0), trying("tx-2", 2, 0));
    old.write(vec![record(1, &first, Change::Begun(first.clone()))]).await;
    let mut new = rig.open().await;
    old.journal.append(vec![record(2, &second, Change::Begun(second.clone()))], Urgency::Now);
    assert_eq!(old.event().await, JournalEvent::Fenced);
    assert_eq!(new.stored(&second.gid).await, None);
    // What is unfinished is the new one's.
    assert_eq!(new.unfinished(10).await.len(), 1);
    new.write(vec![record(1, &second, Change::Begun(second.clone()))]).await;
    assert_eq!(old.told(), []);
}

/// Keeps P8.
async fn an_outcome_learned_too_late_does_not_revive_a_replaced_incarnation(rig: Rig) {
    let mut old = rig.open().await;
    let spec = trying("tx-1", 1, 0);
    old.faults.then(&[Fault::After]);
    old.faults.stall();
    old.journal.append(vec![record(1, &spec, Change::Begun(spec.clone()))], Urgency::Now);
    old.faults.until_stalled().await;
    let _new = rig.open().await;
    old.faults.release();
    assert_eq!(old.event().await, JournalEvent::Fenced);
}

async fn what_the_journal_does_can_be_measured(rig: Rig) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let mut running = {
        let _here = metrics::set_default_local_recorder(&recorder);
        rig.open().await
    };
    running.faults.stall();
    let script = Script::of(21, 3, 5);
    running.journal.append(script.records, Urgency::Now);
    running.faults.until_stalled().await;
    let shown = recorder.handle().render();
    assert!(shown.contains("tercet_journal_queue_records 5\n"), "{shown}");
    running.faults.then(&[Fault::Before, Fault::After]);
    running.faults.release();
    running.until_durable(Seq(5)).await;
    running.journal.close(Duration::from_secs(60)).await.unwrap();
    let shown = recorder.handle().render();
    for line in [
        "tercet_journal_queue_records 0",
        "tercet_journal_queue_bytes 0",
        "tercet_journal_failures_total 2",
        "tercet_journal_commit_duration_seconds_count 1",
        "tercet_journal_batch_records_sum 5",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
    }
}
