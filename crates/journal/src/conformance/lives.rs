//! What one life of a node leaves to the next, and what can be counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Change, Decided, Decision, Load, Urgency};
use tercet_wire::{
    BranchOptions, BranchSpec, Incarnation, NODE_PROTOCOL, Reason, Seq, Spec, Status, Wall,
};

use super::rig::patiently;
use super::{Fault, Rig, finished, on_each_store, open_transaction, record, trying};
use crate::JournalEvent;

on_each_store!(
    the_next_life_knows_when_the_last_batch_was_written,
    a_batch_submitted_again_keeps_the_moment_it_was_first_submitted,
    a_journal_nobody_writes_into_gives_a_sign_of_life,
    a_summary_counts_what_there_is,
    what_is_put_off_is_of_no_age_until_it_is_parked,
    a_load_says_who_drives_a_transaction,
);

async fn the_next_life_knows_when_the_last_batch_was_written(rig: Rig) {
    let mut first = rig.open().await;
    assert_eq!(first.journal.last_written(), None);
    let spec = trying("tx-1", 1, 0);
    for (seq, change) in (1..).zip(finished(&spec, 1, 2)) {
        rig.clock.set(Wall(i64::try_from(seq).unwrap() * 1_000));
        first.write(vec![record(seq, &spec, change)]).await;
    }
    assert_eq!(first.journal.last_written(), None, "by earlier lives");
    first.crash().await;
    // A life that writes nothing passes on what it knows.
    for _ in 0..2 {
        let idle = rig.open().await;
        assert_eq!(idle.journal.last_written(), Some(Wall(3_000)));
        idle.crash().await;
    }
    // The clock was set right meanwhile: what was written last counts, not what is greatest.
    let mut mended = rig.open().await;
    rig.clock.set(Wall(50));
    let other = trying("tx-2", 2, 0);
    mended.write(vec![record(1, &other, Change::Begun(other.clone()))]).await;
    mended.crash().await;
    assert_eq!(rig.open().await.journal.last_written(), Some(Wall(50)));
}

async fn a_batch_submitted_again_keeps_the_moment_it_was_first_submitted(rig: Rig) {
    let mut running = rig.open().await;
    rig.clock.set(Wall(7));
    running.faults.then(&[Fault::After]);
    running.faults.stall();
    let spec = trying("tx-1", 1, 0);
    running.journal.append(vec![record(1, &spec, Change::Begun(spec.clone()))], Urgency::Now);
    running.faults.until_stalled().await;
    rig.clock.set(Wall(9));
    running.faults.release();
    running.until_durable(Seq(1)).await;
    let submitted = running.faults.submitted();
    assert_eq!(submitted.len(), 2);
    assert!(submitted.iter().all(|batch| batch.written_at == Wall(7)), "{submitted:?}");
}

async fn a_journal_nobody_writes_into_gives_a_sign_of_life(mut rig: Rig) {
    rig.settings.longest_silence = Duration::from_millis(1);
    rig.clock.set(Wall(5));
    let mut running = rig.open().await;
    running.faults.stall();
    patiently(running.faults.until_stalled()).await;
    // It numbers its batches on, so that those with records follow.
    let spec = trying("tx-1", 1, 0);
    running.journal.append(vec![record(1, &spec, Change::Begun(spec.clone()))], Urgency::Now);
    running.faults.release();
    assert_eq!(running.until_durable(Seq(1)).await, [JournalEvent::Durable(Seq(1))]);
    assert_eq!(running.faults.submitted()[0].records, []);
    running.crash().await;
    assert_eq!(rig.open().await.journal.last_written(), Some(Wall(5)));
}

async fn a_summary_counts_what_there_is(rig: Rig) {
    let mut running = rig.open().await;
    assert_eq!(running.journal.summary(Wall(0)).await.unwrap().by_status, BTreeMap::new());
    let mut changes = Vec::new();
    for number in 0..12_u64 {
        let spec = trying(&format!("tx-{number}"), number, 100 - i64::try_from(number).unwrap());
        let cancel = Decision::Cancel { reason: Reason::Requested, detail: None };
        let [begun, confirm, finish] = finished(&spec, 1, 2).try_into().unwrap();
        let cancel = Change::Decided(Decided { at: Wall(1), decision: cancel });
        changes.push((spec.clone(), begun));
        match number {
            0..=2 => {}
            3..=4 => changes.push((spec, confirm)),
            5..=5 => changes.extend([(spec.clone(), cancel), (spec, Change::Parked(true))]),
            // One that was shown to people and has finished is shown to nobody.
            6..=6 => changes.extend([
                (spec.clone(), confirm),
                (spec.clone(), Change::Parked(true)),
                (spec, finish),
            ]),
            _ => changes.extend([(spec.clone(), confirm), (spec, finish)]),
        }
    }
    let records =
        (1..).zip(&changes).map(|(seq, (spec, change))| record(seq, spec, change.clone()));
    running.write(records.collect()).await;
    let summary = running.journal.summary(Wall(0)).await.unwrap();
    let expected = [
        (Status::Trying, 3),
        (Status::Confirming, 2),
        (Status::Cancelling, 1),
        (Status::Confirmed, 6),
    ];
    assert_eq!(summary.by_status, BTreeMap::from(expected));
    assert_eq!((summary.parked, summary.of_no_status), (1, 0));
    assert_eq!(summary.oldest_unfinished, Some(Wall(95)));
    let [node] = &summary.nodes[..] else { panic!("{summary:?}") };
    assert_eq!((node.batches, node.state.as_str(), node.owned), (1, "live", 6));
    assert_eq!(node.protocol, NODE_PROTOCOL);
}

/// The oldest of all is put off, and was begun for nobody to wait; until people are shown it.
async fn what_is_put_off_is_of_no_age_until_it_is_parked(rig: Rig) {
    let mut running = rig.open().await;
    let put_off = |name: &str, life, created_at| {
        let mut spec = Arc::unwrap_or_clone(open_transaction(name, life, created_at));
        let options =
            BranchOptions { confirm_after_ms: Some(3_600_000), ..BranchOptions::default() };
        let branch = BranchSpec {
            options: options.unless_empty(),
            ..BranchSpec::clone(&trying("other", 99, 0).branches[0])
        };
        spec.branches = vec![Arc::new(branch)];
        Arc::new(spec)
    };
    let mut other = Arc::unwrap_or_clone(trying("other", 2, 7));
    for branch in &mut other.branches {
        *branch = Arc::new(BranchSpec { options: None, ..BranchSpec::clone(branch) });
    }
    let (message, other) = (put_off("message", 1, 5), Arc::new(other));
    let of = |seq, spec: &Arc<Spec>, change| record(seq, spec, change);
    let confirm = || Change::Decided(Decided { at: Wall(9), decision: Decision::Confirm });
    running
        .write(vec![
            of(1, &message, Change::Begun(Arc::clone(&message))),
            of(2, &message, confirm()),
            of(3, &other, Change::Begun(Arc::clone(&other))),
            of(4, &other, confirm()),
        ])
        .await;
    let summary = running.journal.summary(Wall(0)).await.unwrap();
    assert_eq!(summary.by_status, BTreeMap::from([(Status::Confirming, 2)]));
    assert_eq!(summary.oldest_unfinished, Some(Wall(7)));
    running.write(vec![of(5, &message, Change::Parked(true))]).await;
    assert_eq!(running.journal.summary(Wall(0)).await.unwrap().oldest_unfinished, Some(Wall(5)));
}

async fn a_load_says_who_drives_a_transaction(rig: Rig) {
    let mut old = rig.open().await;
    let (unfinished, over) = (trying("tx-1", 1, 0), trying("tx-2", 2, 0));
    let mut records = vec![record(1, &unfinished, Change::Begun(unfinished.clone()))];
    let finished = (2..).zip(finished(&over, 1, 2));
    records.extend(finished.map(|(seq, change)| record(seq, &over, change)));
    old.write(records).await;
    let (first, second) = (Incarnation(1), Incarnation(2));
    let owner = |load: &Load| match load {
        Load::Found(stored) => stored.owner,
        other => panic!("{other:?}"),
    };
    assert_eq!(owner(&old.load(&unfinished.gid).await), Some(first));
    assert_eq!(owner(&old.load(&over.gid).await), None);
    // The next life takes it over; what has finished is everybody's.
    let mut new = rig.open().await;
    assert_eq!(owner(&new.load(&unfinished.gid).await), Some(second));
    assert_eq!(owner(&new.load(&over.gid).await), None);
    let Load::Elsewhere(found) = old.load(&unfinished.gid).await else {
        panic!("the old life would drive it");
    };
    let stored = old.journal.look_at(&unfinished.gid).await.unwrap().unwrap();
    assert_eq!((found, stored.owner), (second, Some(second)));
    assert_eq!(stored.spec, unfinished);
    assert_eq!(owner(&old.load(&over.gid).await), None);
    // Nor does it find it among those it is to recover or to page in.
    assert!(old.unfinished(10).await.is_empty());
    let page = new.journal.unfinished(None, 10).await.unwrap();
    assert!(matches!(&page[..], [Ok(stored)] if stored.owner == Some(second)), "{page:?}");
}
