//! What has finished is kept as long as it should be and no longer; what has not is kept.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tercet_engine::{
    Batch, BranchRecord, Change, Decided, Decision, Record, StoredTransaction, Urgency,
};
use tercet_wire::{BranchSpec, Mono, Now, PerOp, Reason, Seq, Status, Wall};

use super::rig::Running;
use super::{Rig, finished, on_each_store, record, tried, trying};
use crate::meters::Meters;
use crate::retention::Sweeper;
use crate::settings::Retention;
use crate::store::PurgeLimits;
use crate::{JournalEvent, settings};

on_each_store!(
    branches_go_after_a_week_and_the_gid_is_free_after_a_month,
    what_is_unfinished_is_kept_whatever_its_age,
    nothing_is_deleted_for_its_age_while_the_clock_is_in_doubt,
    a_journal_whose_clock_jumps_deletes_nothing,
    what_ends_while_the_clock_is_set_back_is_not_older_for_it,
    no_more_are_kept_than_the_bound_and_the_newest_stay,
    a_round_takes_many_steps_of_few_rows,
    a_step_deletes_no_more_rows_than_it_may,
    what_a_walk_passed_by_is_found_by_the_next_days,
    a_writer_that_is_never_idle_deletes_all_the_same,
    how_overdue_deleting_is_can_be_seen,
    how_overdue_deleting_is_can_be_seen_before_the_round_ends,
    looking_up_what_is_due_holds_up_no_batch,
    a_round_goes_on_although_the_writer_is_never_idle,
    deleting_keeps_up_with_what_finishes_however_many_branches_it_has,
);

pub(super) const DAY: i64 = 24 * 60 * 60 * 1_000;

fn at(wall: i64) -> Now {
    Now { mono: Mono(u64::try_from(wall).unwrap()), wall: Wall(wall), entropy: 0 }
}

/// Steps until the round is over, at one moment. Returns how many it took.
async fn round(sweeper: &mut Sweeper, wall: i64) -> usize {
    rounds_end(sweeper, wall, &Meters::register()).await
}

async fn rounds_end(sweeper: &mut Sweeper, wall: i64, meters: &Meters) -> usize {
    let mut now = at(wall);
    for steps in 1..10_000 {
        sweeper.step(now, meters).await;
        if sweeper.is_looking() {
            sweeper.answered(|| now, meters).await;
        }
        let pause = sweeper.pause(now);
        if pause > Duration::ZERO && !sweeper.is_put_off() {
            return steps;
        }
        // A server that is busy has not done in time what a step had to do.
        now.mono = now.mono.after(pause);
    }
    panic!("the round does not end");
}

/// Lets deletions due at a moment happen, in the journal's stead.
pub(super) async fn sweep(rig: &Rig, retention: Retention, wall: i64) {
    let store = rig.only_store().await;
    let mut sweeper = Sweeper::new(Arc::clone(&store), retention, at(0));
    round(&mut sweeper, wall).await;
    store.close().await;
}

fn parts(running_seq: &mut u64, name: &str, life: u64, ended: i64) -> Vec<Record> {
    let spec = trying(name, life, ended - 10);
    let mut changes = finished(&spec, ended - 5, ended);
    changes.insert(
        1,
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
        }),
    );
    let mut records = Vec::new();
    for change in changes {
        *running_seq += 1;
        records.push(record(*running_seq, &spec, change));
    }
    records
}

/// Keeps P9.
async fn branches_go_after_a_week_and_the_gid_is_free_after_a_month(rig: Rig) {
    let retention = Retention::default();
    let ended = 100 * DAY;
    let mut running = rig.open().await;
    let mut records = parts(&mut 0, "tx-1", 1, ended);
    records.insert(1, record(2, &trying("tx-1", 1, ended - 10), tried("b1")));
    (1..).zip(&mut records).for_each(|(seq, record)| record.seq = Seq(seq));
    running.write(records).await;
    let gid = "tx-1".parse().unwrap();
    let whole = running.stored(&gid).await.unwrap();
    let parts_of = |stored: &StoredTransaction| {
        (stored.branches.len(), stored.branch_records.len(), stored.results.len())
    };
    assert_eq!(parts_of(&whole), (2, 2, 1));
    running.crash().await;

    sweep(&rig, retention, ended + 7 * DAY).await;
    let mut running = rig.open().await;
    assert_eq!(running.stored(&gid).await, Some(whole.clone()));
    running.crash().await;

    sweep(&rig, retention, ended + 7 * DAY + 1).await;
    sweep(&rig, retention, ended + 30 * DAY).await;
    let mut running = rig.open().await;
    let narrow = running.stored(&gid).await.unwrap();
    assert_eq!(parts_of(&narrow), (0, 0, 0));
    assert_eq!((narrow.status, narrow.finished_at), (Status::Confirmed, Some(Wall(ended))));
    let again = trying("tx-1", 2, ended);
    let told = running.write(vec![record(1, &again, Change::Begun(again.clone()))]).await;
    assert_eq!(told[0], JournalEvent::Exists(gid.clone()));
    running.crash().await;

    sweep(&rig, retention, ended + 30 * DAY + 1).await;
    let mut running = rig.open().await;
    assert_eq!(running.stored(&gid).await, None);
    let told = running.write(parts(&mut 0, "tx-1", 3, ended + 31 * DAY)).await;
    assert_eq!(told.len(), 1, "{told:?}");
}

async fn what_is_unfinished_is_kept_whatever_its_age(rig: Rig) {
    let retention = Retention { max_finished: 0, ..Retention::default() };
    let mut running = rig.open().await;
    let spec = trying("tx-1", 1, 0);
    let decided = finished(&spec, 5, 6)[..2].to_vec();
    let records: Vec<Record> =
        (1..).zip(decided).map(|(seq, change)| record(seq, &spec, change)).collect();
    running.write(records).await;
    let whole = running.stored(&spec.gid).await;
    running.crash().await;
    sweep(&rig, retention, 1_000 * DAY).await;
    assert_eq!(rig.open().await.stored(&spec.gid).await, whole);
}

/// Keeps P8.
async fn nothing_is_deleted_for_its_age_while_the_clock_is_in_doubt(rig: Rig) {
    let mut running = rig.open().await;
    many(&mut running, 10).await;
    running.crash().await;
    let store = rig.only_store().await;
    let retention = Retention { max_finished: 7, ..Retention::default() };
    let mut sweeper = Sweeper::new(Arc::clone(&store), retention, at(0));
    // One that was looked up while the clock was believed is not deleted after it was not.
    let meters = Meters::register();
    let late = at(31 * DAY);
    while sweeper.pause(late) > Duration::ZERO || sweeper.is_looking() {
        sweeper.step(late, &meters).await;
        sweeper.answered(|| late, &meters).await;
    }
    sweeper.doubt_clock(true);
    rounds_end(&mut sweeper, 31 * DAY, &meters).await;
    rounds_end(&mut sweeper, 62 * DAY, &meters).await;
    // The bound on their number holds all the same.
    assert_eq!(store.count_finished().await.unwrap(), 7);
    let loaded = store.load(&["tx-0010".parse().unwrap()]).await.unwrap();
    let tercet_engine::Load::Found(stored) = &loaded[0].1 else { panic!("{loaded:?}") };
    assert_eq!(stored.branches.len(), 2);
    sweeper.doubt_clock(false);
    rounds_end(&mut sweeper, 93 * DAY, &meters).await;
    assert_eq!(store.count_finished().await.unwrap(), 0);
}

/// Keeps P8.
async fn a_journal_whose_clock_jumps_deletes_nothing(mut rig: Rig) {
    rig.settings.retention = Retention { every: Duration::from_millis(1), ..Retention::default() };
    rig.settings.longest_silence = Duration::from_millis(50);
    rig.clock.set(Wall(400 * DAY));
    let mut running = rig.open().await;
    running.write(parts(&mut 0, "tx-1", 1, 400 * DAY)).await;
    rig.clock.set(Wall(431 * DAY));
    // It has looked at the clock many times, and had nothing to do but to delete.
    let submitted = running.faults.submitted().len();
    while running.faults.submitted().len() < submitted + 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let gid = "tx-1".parse().unwrap();
    assert_eq!(running.stored(&gid).await.unwrap().branches.len(), 2);
    running.crash().await;
    // Nor does the next life, which finds the clock as wrong, nor the one after that.
    for _ in 0..2 {
        let mut running = rig.open().await;
        while running.faults.submitted().len() < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(running.stored(&gid).await.unwrap().branches.len(), 2);
        let last = running.journal.last_written().unwrap();
        assert!(last < Wall(401 * DAY), "{last}");
        running.crash().await;
    }
}

async fn what_ends_while_the_clock_is_set_back_is_not_older_for_it(rig: Rig) {
    rig.clock.set(Wall(400 * DAY));
    let mut running = rig.open().await;
    let mut seq = 0;
    running.write(parts(&mut seq, "tx-0", 7, 400 * DAY)).await;
    rig.clock.set(Wall(369 * DAY));
    running.write(parts(&mut seq, "tx-1", 1, 369 * DAY)).await;
    rig.clock.set(Wall(400 * DAY));
    let stored = running.stored(&"tx-1".parse().unwrap()).await.unwrap();
    assert!(stored.finished_at >= Some(Wall(400 * DAY)), "{:?}", stored.finished_at);
}

async fn many(running: &mut Running, count: u64) {
    let mut seq = 0;
    for number in 1..=count {
        let ended = 1_000 + i64::try_from(number).unwrap();
        running
            .journal
            .append(parts(&mut seq, &format!("tx-{number:04}"), number, ended), Urgency::Now);
    }
    running.until_durable(tercet_wire::Seq(seq)).await;
}

/// Keeps P9.
async fn no_more_are_kept_than_the_bound_and_the_newest_stay(rig: Rig) {
    let retention = Retention { max_finished: 7, ..Retention::default() };
    let mut running = rig.open().await;
    many(&mut running, 1_104).await;
    // Three cancelled ones, begun before, between and after the confirmed ones.
    for (number, begun) in [(2_001, 100), (2_002, 1_600), (2_003, 9_000)] {
        let spec = trying(&format!("tx-{number}"), number, begun);
        let decision = Decision::Cancel { reason: Reason::Deadline, detail: None };
        let changes = [
            Change::Begun(spec.clone()),
            Change::Decided(Decided { at: Wall(begun + 1), decision }),
            Change::Finished { status: Status::Cancelled, at: Wall(begun + 2) },
        ];
        let records = (100_000 + number * 10..).zip(changes);
        running.write(records.map(|(seq, change)| record(seq, &spec, change)).collect()).await;
    }
    running.crash().await;
    sweep(&rig, retention, 100_000).await;
    let store = rig.only_store().await;
    assert_eq!(store.count_finished().await.unwrap(), 7);
    let mut running = rig.open().await;
    let mut is_kept = async |gid: &str| running.stored(&gid.parse().unwrap()).await.is_some();
    for gone in ["tx-0001", "tx-1098", "tx-2001", "tx-2002"] {
        assert!(!is_kept(gone).await, "{gone}");
    }
    for kept in ["tx-1099", "tx-1104", "tx-2003"] {
        assert!(is_kept(kept).await, "{kept}");
    }
}

async fn a_round_takes_many_steps_of_few_rows(rig: Rig) {
    let mut running = rig.open().await;
    many(&mut running, 1_100).await;
    running.crash().await;
    let store = rig.only_store().await;
    let mut sweeper = Sweeper::new(store, Retention::default(), at(0));
    // 2 200 branches, 1 100 with options, and 1 100 outcomes, at most 500 rows in a step.
    let steps = round(&mut sweeper, 8 * DAY).await;
    assert!((9..26).contains(&steps), "{steps} steps");
    let mut running = rig.open().await;
    for gid in ["tx-0001", "tx-0500", "tx-1100"] {
        let stored = running.stored(&gid.parse().unwrap()).await.unwrap();
        assert_eq!((stored.branches.len(), stored.branch_records.len()), (0, 0), "{gid}");
    }
    running.crash().await;
    // A round with nothing to do is short, and does not walk it all again.
    assert!(round(&mut sweeper, 8 * DAY + 100_000).await <= 4);
}

async fn a_step_deletes_no_more_rows_than_it_may(rig: Rig) {
    let mut running = rig.open().await;
    many(&mut running, 300).await;
    running.crash().await;
    let store = rig.only_store().await;
    let most = PurgeLimits { transactions: 200, rows: 100 };
    let (mut deleted, mut after) = (Vec::new(), None);
    loop {
        let due = store.due_for_pruning(after.as_ref(), Wall(9_000), most).await.unwrap();
        store.prune(&due).await.unwrap();
        // Two branches and an outcome of each.
        assert!(due.gids.len() <= 33, "{due:?}");
        deleted.extend(due.gids);
        after = due.reached;
        if !due.more {
            break;
        }
    }
    let all: Vec<String> = (1..=300).map(|number| format!("tx-{number:04}")).collect();
    assert_eq!(deleted, all);
    let few = PurgeLimits { transactions: 40, rows: 1_000 };
    let due = store.due_for_purging(Wall(9_000), few).await.unwrap();
    assert_eq!((due.gids.len(), due.more), (40, true));
    assert_eq!(store.purge(&due).await.unwrap(), 40);
    // One that has more rows than may be deleted at once is deleted all the same.
    let next = PurgeLimits { transactions: 40, rows: 1 };
    let due = store.due_for_purging(Wall(9_000), next).await.unwrap();
    assert_eq!((due.gids, due.more), (vec!["tx-0041".to_owned()], true));
}

async fn what_a_walk_passed_by_is_found_by_the_next_days(rig: Rig) {
    let store = {
        let mut running = rig.open().await;
        let mut seq = 0;
        running.write(parts(&mut seq, "long", 1, DAY)).await;
        let short = trying("short", 2, 20);
        let changes = finished(&short, 25, 30);
        let records = changes.into_iter().map(|change| {
            seq += 1;
            record(seq, &short, change)
        });
        running.write(records.collect()).await;
        // `long` was begun before `short` and finished long after.
        running.crash().await;
        rig.only_store().await
    };
    let mut sweeper = Sweeper::new(Arc::clone(&store), Retention::default(), at(0));
    let branches = async |gid: &str| {
        let loaded = store.load(&[gid.parse().unwrap()]).await.unwrap();
        match &loaded[0].1 {
            tercet_engine::Load::Found(stored) => stored.branches.len(),
            other => panic!("{other:?}"),
        }
    };
    round(&mut sweeper, 7 * DAY + DAY - 5).await;
    assert_eq!((branches("long").await, branches("short").await), (2, 0));
    round(&mut sweeper, 9 * DAY).await;
    assert_eq!(branches("long").await, 0);
}

async fn a_writer_that_is_never_idle_deletes_all_the_same(mut rig: Rig) {
    rig.settings.retention = settings::Retention {
        max_finished: 20,
        every: Duration::from_millis(1),
        ..Retention::default()
    };
    rig.settings.batch_records = 16;
    rig.clock.set(Wall(5_000));
    let mut running = rig.open().await;
    // A batch goes only after more than another has been appended, so hundreds of records always
    // wait and there is no idle moment.
    running.faults.stall();
    let mut seq = 0;
    let mut append = |number| {
        let ended = 1_000 + i64::try_from(number).unwrap();
        let records = parts(&mut seq, &format!("tx-{number:05}"), number, ended);
        running.journal.append(records, Urgency::Now);
    };
    (1..=200).for_each(&mut append);
    let mut submitted = running.faults.submitted().len();
    for number in (201..50_000).step_by(6) {
        (number..number + 6).for_each(&mut append);
        submitted += 1;
        running.faults.let_one_through();
        running.faults.until_submitted(submitted).await;
        if !running.faults.forgotten().is_empty() {
            break;
        }
    }
    assert!(!running.faults.forgotten().is_empty());
    running.faults.release();
    running.until_durable(tercet_wire::Seq(seq)).await;
    assert_eq!(running.stored(&"tx-00001".parse().unwrap()).await, None);
}

async fn how_overdue_deleting_is_can_be_seen(rig: Rig) {
    let mut running = rig.open().await;
    running.write(parts(&mut 0, "tx-1", 1, DAY)).await;
    running.crash().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let meters = metrics::with_local_recorder(&recorder, Meters::register);
    let store = rig.only_store().await;
    let mut sweeper = Sweeper::new(store, Retention::default(), at(0));
    for (wall, lag) in [(7 * DAY, 0), (9 * DAY, DAY / 1_000), (10 * DAY, 0)] {
        rounds_end(&mut sweeper, wall, &meters).await;
        let shown = recorder.handle().render();
        assert!(shown.contains(&format!("tercet_retention_lag_seconds {lag}\n")), "{shown}");
    }
}

async fn how_overdue_deleting_is_can_be_seen_before_the_round_ends(rig: Rig) {
    let mut running = rig.open().await;
    many(&mut running, 300).await;
    running.crash().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let meters = metrics::with_local_recorder(&recorder, Meters::register);
    let mut sweeper = Sweeper::new(rig.only_store().await, Retention::default(), at(0));
    let now = at(1_001 + 8 * DAY);
    while !recorder.handle().render().contains(&format!("lag_seconds {}\n", DAY / 1_000)) {
        sweeper.step(now, &meters).await;
        if sweeper.is_looking() {
            sweeper.answered(|| now, &meters).await;
        }
        assert!(sweeper.pause(now).is_zero(), "the round has ended");
    }
}

async fn looking_up_what_is_due_holds_up_no_batch(mut rig: Rig) {
    rig.settings.retention =
        Retention { max_finished: 0, every: Duration::from_millis(1), ..Retention::default() };
    let mut running = rig.open().await;
    running.faults.stall_look_ups();
    running.faults.until_look_ups_wait(1).await;
    running.write(parts(&mut 0, "tx-1", 1, 1_000)).await;
}

/// A batch in which transactions with so many branches begin and end.
fn batch_of(number: i64, transactions: u64, branches: u32, ended: i64) -> Batch {
    let mut records = Vec::new();
    for place in 1..=transactions {
        let life = u64::try_from(number).unwrap() * 1_000 + place;
        let mut spec = Arc::unwrap_or_clone(trying(&format!("tx-{life:06}"), life, ended - 10));
        let first = Arc::clone(&spec.branches[0]);
        spec.branches = (0..branches)
            .map(|position| {
                let id = format!("b{position}").parse().unwrap();
                Arc::new(BranchSpec { id, position, ..BranchSpec::clone(&first) })
            })
            .collect();
        let spec = Arc::new(spec);
        let changes = finished(&spec, ended - 5, ended);
        records.extend(changes.into_iter().map(|change| record(life, &spec, change)));
    }
    Batch { number, written_at: Wall(ended), records, acts: Vec::new() }
}

/// What the writer does between two batches when it is never idle.
async fn between_batches(sweeper: &mut Sweeper, now: Now) {
    let meters = Meters::register();
    if sweeper.is_urgent(now) {
        sweeper.step(now, &meters).await;
    }
    if sweeper.is_looking() {
        sweeper.answered(|| now, &meters).await;
    }
}

/// Keeps P9.
async fn a_round_goes_on_although_the_writer_is_never_idle(rig: Rig) {
    let store = rig.only_store().await;
    let retention = Retention { every: Duration::from_secs(60), ..Retention::default() };
    let mut sweeper = Sweeper::new(Arc::clone(&store), retention, at(0));
    for number in 1..=20 {
        store.commit(&batch_of(number, 50, 2, 100)).await.unwrap();
    }
    // A month later the first round is due, and overdue a minute after that.
    let overdue = 31 * DAY + 120_000;
    for number in 21..=60 {
        // Batches come every ten milliseconds, so all of this takes less than a second.
        let now = at(overdue + number * 10);
        let batch = batch_of(number, 50, 2, now.wall.0);
        store.commit(&batch).await.unwrap();
        sweeper.written(&batch.records);
        between_batches(&mut sweeper, now).await;
    }
    // 1 000 were due.
    assert_eq!(store.count_finished().await.unwrap(), 40 * 50);
}

/// Keeps P9.
async fn deleting_keeps_up_with_what_finishes_however_many_branches_it_has(rig: Rig) {
    let store = rig.only_store().await;
    let retention = Retention { max_finished: 100, ..Retention::default() };
    let mut sweeper = Sweeper::new(Arc::clone(&store), retention, at(0));
    for number in 1..=30 {
        let now = at(120_000 + number * 10);
        let batch = batch_of(number, 40, 30, now.wall.0);
        store.commit(&batch).await.unwrap();
        sweeper.written(&batch.records);
        between_batches(&mut sweeper, now).await;
    }
    // What two batches finished is looked up, and deleted after the next.
    let finished = store.count_finished().await.unwrap();
    assert!(finished <= 100 + 3 * 40, "{finished}");
}
