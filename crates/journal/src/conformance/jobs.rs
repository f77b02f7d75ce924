//! Jobs: each revision is written once, by whoever was first; that one has come to a transaction is
//! written with what it did there, once, and read with it.

use std::sync::Arc;

use tercet_engine::{Change, JobRevision, Record, StoredTransaction, Tick, Ticked};
use tercet_wire::{ActId, AuditQuery, Gid, Incarnation, JobStage, ProblemCode, Spec, Wall};

use super::retention::{DAY, sweep};
use super::{Fault, Rig, Running, act, finished, on_each_store, patiently, record, trying};
use crate::settings::Retention;
use crate::{JobCounts, JournalError, StoredJob};

on_each_store!(
    a_jobs_revision_is_written_once_with_its_act,
    a_tick_is_written_with_all_that_the_job_changed,
    a_fault_at_any_step_neither_loses_nor_doubles_a_tick,
    a_tick_beside_is_written_once_or_not_at_all,
    jobs_are_found_as_they_are,
    what_jobs_have_come_to_goes_soon_and_they_themselves_later,
);

/// The id of a job.
pub(crate) fn job(number: u64) -> ActId {
    format!("01980000-0000-7000-a000-{number:012x}").parse().unwrap()
}

/// A change of a job.
pub(crate) fn revision(of: u64, revision: u32, stage: JobStage) -> JobRevision {
    JobRevision {
        id: job(of),
        revision,
        stage,
        at: Wall(i64::from(revision) * 10),
        owner: Incarnation(7),
        matched: u64::from(revision),
        done: 0,
        failed: 0,
        document: Some(Arc::from(format!("{{\"of\":\"{of} {revision} \u{1F600}\"}}"))),
    }
}

/// That a job has come to a transaction.
pub(crate) fn tick(of: u64, gid: &Gid, number: u32, code: Option<ProblemCode>) -> Tick {
    Tick { job: job(of), gid: gid.clone(), number, code }
}

/// The same with a change of that transaction.
pub(crate) fn ticked(tick: &Tick, change: Change) -> Change {
    Change::Ticked(Box::new(Ticked { tick: tick.clone(), changes: vec![change] }))
}

async fn acts(running: &Running) -> usize {
    let all =
        AuditQuery { who: None, gid: None, action: None, since: None, limit: 500, after: None };
    running.journal.audit(&all).await.unwrap().items.len()
}

async fn stored(running: &Running, of: u64) -> Option<StoredJob> {
    running.journal.job(job(of)).await.unwrap()
}

/// The record of a begin.
fn begun(spec: &Arc<Spec>) -> Record {
    record(1, spec, Change::Begun(Arc::clone(spec)))
}

/// Keeps exactly-once.
async fn a_jobs_revision_is_written_once_with_its_act(rig: Rig) {
    let running = rig.open().await;
    let revise = async |number: Option<u64>, revision: JobRevision| {
        let act = number.map(|number| act(number, Wall(1), None));
        patiently(running.journal.revise_job(act, revision)).await
    };
    assert_eq!(stored(&running, 1).await, None);
    let first = revision(1, 1, JobStage::Queued);
    running.faults.then(&[Fault::After, Fault::After, Fault::Before]);
    revise(Some(1), first.clone()).await.unwrap();
    assert_eq!(acts(&running).await, 1);
    // By the job itself, without an act.
    let second = revision(1, 2, JobStage::Matching);
    revise(None, second.clone()).await.unwrap();
    let expected = StoredJob { first: first.clone(), newest: second };
    assert_eq!(stored(&running, 1).await, Some(expected.clone()));
    // What somebody has written is nobody else's, and its act is not there either.
    let other = JobRevision { owner: Incarnation(9), ..revision(1, 2, JobStage::Stopping) };
    let refused = revise(Some(2), other).await;
    assert!(matches!(refused, Err(JournalError::Overtaken)), "{refused:?}");
    assert_eq!((stored(&running, 1).await, acts(&running).await), (Some(expected.clone()), 1));
    running.crash().await;
    let running = rig.open().await;
    assert_eq!(stored(&running, 1).await, Some(expected));
}

/// Keeps exactly-once.
async fn a_tick_is_written_with_all_that_the_job_changed(rig: Rig) {
    let mut running = rig.open().await;
    let (spec, other) = (trying("tx-1", 1, 40), trying("tx-2", 2, 40));
    running.write(vec![begun(&spec), record(2, &other, Change::Begun(other.clone()))]).await;
    assert_eq!(running.stored(&spec.gid).await.unwrap().jobs, []);
    let done = tick(1, &spec.gid, 1, None);
    let failed = tick(1, &other.gid, 2, Some(ProblemCode::NotDecided));
    let later = tick(2, &spec.gid, 1, None);
    running
        .write(vec![
            record(3, &spec, ticked(&done, Change::Parked(true))),
            record(4, &other, ticked(&failed, Change::Parked(true))),
            record(5, &spec, ticked(&later, Change::Parked(false))),
        ])
        .await;
    let expected = async |running: &mut Running| {
        let found = running.stored(&spec.gid).await.unwrap();
        assert_eq!((found.jobs, found.parked), (vec![job(1), job(2)], false));
        let found = running.stored(&other.gid).await.unwrap();
        assert_eq!((found.jobs, found.parked), (vec![job(1)], true));
        let counts = running.journal.job_counts(job(1)).await.unwrap();
        assert_eq!(counts, JobCounts { come_to: 2, failed: 1 });
        let failures = running.journal.job_failures(job(1), 10).await.unwrap();
        assert_eq!(failures, [failed.clone()]);
        let mut came_to = running.journal.job_came_to(job(1), (1, 2)).await.unwrap();
        came_to.sort_unstable();
        assert_eq!(came_to, [1, 2]);
        assert_eq!(running.journal.job_came_to(job(1), (2, 9)).await.unwrap(), [2]);
    };
    expected(&mut running).await;
    running.crash().await;
    expected(&mut rig.open().await).await;
}

/// Keeps exactly-once.
async fn a_fault_at_any_step_neither_loses_nor_doubles_a_tick(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 40);
    running.write(vec![begun(&spec)]).await;
    let mut expected = StoredTransaction::begun(Arc::clone(&spec));
    for number in 1..=12_u32 {
        let faults = match number % 3 {
            0 => vec![Fault::Before],
            1 => vec![Fault::After],
            _ => vec![Fault::CutAfter(number / 3)],
        };
        running.faults.then(&faults);
        let change =
            ticked(&tick(u64::from(number), &spec.gid, 1, None), Change::Parked(number % 2 == 0));
        expected.apply(&change).unwrap();
        running.write(vec![record(u64::from(number) + 1, &spec, change)]).await;
        let found = running.stored(&spec.gid).await.unwrap();
        assert_eq!((found.jobs, found.parked), (expected.jobs.clone(), expected.parked));
    }
}

/// Keeps exactly-once.
async fn a_tick_beside_is_written_once_or_not_at_all(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 40);
    let mut records = vec![begun(&spec)];
    let of_end = finished(&spec, 50, 60).into_iter().skip(1);
    records.extend((2..).zip(of_end).map(|(seq, change)| record(seq, &spec, change)));
    running.write(records).await;
    let gone: Gid = "gone-1".parse().unwrap();
    let ticks = [
        tick(1, &spec.gid, 1, None),
        tick(1, &gone, 2, Some(ProblemCode::TransactionNotFound)),
        tick(1, &"gone-2".parse().unwrap(), 3, None),
    ];
    running.faults.then(&[Fault::After, Fault::Before]);
    patiently(running.journal.tick(ticks[..2].to_vec())).await.unwrap();
    let refused = patiently(running.journal.tick(ticks[1..].to_vec())).await;
    assert!(matches!(refused, Err(JournalError::Overtaken)), "{refused:?}");
    let counts = running.journal.job_counts(job(1)).await.unwrap();
    assert_eq!(counts, JobCounts { come_to: 2, failed: 1 });
    patiently(running.journal.tick(ticks[2..].to_vec())).await.unwrap();
    let counts = running.journal.job_counts(job(1)).await.unwrap();
    assert_eq!(counts, JobCounts { come_to: 3, failed: 1 });
    assert_eq!(running.stored(&spec.gid).await.unwrap().jobs, [job(1)]);
}

async fn jobs_are_found_as_they_are(rig: Rig) {
    let running = rig.open().await;
    let revisions = [
        revision(1, 1, JobStage::Queued),
        revision(1, 2, JobStage::Matching),
        revision(2, 1, JobStage::Queued),
        revision(1, 3, JobStage::Matching),
        JobRevision { document: None, ..revision(1, 4, JobStage::Matching) },
        revision(1, 5, JobStage::Running),
        revision(3, 1, JobStage::Queued),
        revision(3, 2, JobStage::Stopped),
    ];
    for revision in &revisions {
        patiently(running.journal.revise_job(None, revision.clone())).await.unwrap();
    }
    let [first, found, second, found_more, _, running_, third, stopped] = &revisions;
    let page = |first: &JobRevision, newest: &JobRevision| StoredJob {
        first: first.clone(),
        newest: newest.clone(),
    };
    let all = [page(third, stopped), page(second, second), page(first, running_)];
    assert_eq!(running.journal.jobs(None, 9).await.unwrap(), all);
    assert_eq!(running.journal.jobs(None, 2).await.unwrap(), all[..2]);
    assert_eq!(running.journal.jobs(Some(job(2)), 9).await.unwrap(), all[2..]);
    let unfinished = running.journal.unfinished_jobs().await.unwrap();
    assert_eq!(unfinished, [running_.clone(), second.clone()]);
    let found_after =
        async |revision| running.journal.job_found_after(job(1), revision).await.unwrap();
    assert_eq!(found_after(0).await.as_ref(), Some(found));
    assert_eq!(found_after(2).await.as_ref(), Some(found_more));
    assert_eq!(found_after(3).await, None);
}

async fn what_jobs_have_come_to_goes_soon_and_they_themselves_later(rig: Rig) {
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 40);
    running.write(vec![begun(&spec)]).await;
    let ended = JobRevision { at: Wall(1_000), ..revision(1, 3, JobStage::Done) };
    let revisions = [
        revision(1, 1, JobStage::Queued),
        revision(1, 2, JobStage::Matching),
        ended.clone(),
        revision(2, 1, JobStage::Queued),
        revision(2, 2, JobStage::Matching),
    ];
    for revision in &revisions {
        patiently(running.journal.revise_job(None, revision.clone())).await.unwrap();
    }
    let come_to = tick(1, &spec.gid, 1, None);
    let still = tick(2, &spec.gid, 1, None);
    running
        .write(vec![
            record(2, &spec, ticked(&come_to, Change::Parked(true))),
            record(3, &spec, ticked(&still, Change::Parked(true))),
        ])
        .await;
    let beside =
        (2..=700).map(|number| tick(1, &format!("gone-{number}").parse().unwrap(), number, None));
    patiently(running.journal.tick(beside.collect())).await.unwrap();
    running.crash().await;
    let left = async |wall: i64| {
        sweep(&rig, Retention::default(), wall).await;
        let mut running = rig.open().await;
        let jobs = running.stored(&spec.gid).await.unwrap().jobs;
        let counts = running.journal.job_counts(job(1)).await.unwrap();
        let found = running.journal.job_found_after(job(1), 0).await.unwrap();
        let newest = stored(&running, 1).await.map(|stored| stored.newest);
        let of_other = running.journal.job_found_after(job(2), 0).await.unwrap();
        assert_eq!(of_other, Some(revision(2, 2, JobStage::Matching)), "it has not ended");
        running.crash().await;
        (jobs, counts.come_to, found.is_some(), newest)
    };
    let minutes = |minutes: i64| 1_001 + minutes * 60_000;
    let all = (vec![job(1), job(2)], 700, true, Some(ended.clone()));
    assert_eq!(left(minutes(9)).await, all);
    assert_eq!(left(minutes(10)).await, (vec![job(2)], 0, false, Some(ended.clone())));
    assert_eq!(left(30 * DAY).await, (vec![job(2)], 0, false, Some(ended)));
    assert_eq!(left(30 * DAY + 1_001).await, (vec![job(2)], 0, false, None));
}
