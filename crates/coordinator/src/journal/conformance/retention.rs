//! What has finished is kept as long as it should be and no longer; what has not is kept.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tercet_protocol::{
    Change, Decided, Decision, Mono, Now, Outcome, PerOp, Reason, Record, Status, Wall,
};

use super::rig::Running;
use super::{Rig, finished, on_each_store, record, trying};
use crate::journal::meters::Meters;
use crate::journal::retention::Sweeper;
use crate::journal::settings::Retention;
use crate::journal::store::Store;
use crate::journal::{JournalEvent, settings};

on_each_store!(
    branches_go_after_a_week_and_the_gid_is_free_after_a_month,
    what_is_unfinished_is_kept_whatever_its_age,
    no_more_are_kept_than_the_bound_and_the_newest_stay,
    a_round_takes_many_steps_of_few_rows,
    a_step_deletes_no_more_rows_of_a_table_than_it_may,
    what_a_walk_passed_by_is_found_by_the_next_days,
    a_writer_that_is_never_idle_deletes_all_the_same,
    how_overdue_deleting_is_can_be_seen,
);

const DAY: i64 = 24 * 60 * 60 * 1_000;

fn at(wall: i64) -> Now {
    Now { mono: Mono(u64::try_from(wall).unwrap()), wall: Wall(wall), luck: 0 }
}

/// One round, at one moment. Returns the steps it took.
async fn round(sweeper: &mut Sweeper, store: &dyn Store, wall: i64) -> usize {
    let now = at(wall);
    for steps in 1..10_000 {
        sweeper.step(store, now, &Meters::register()).await;
        if sweeper.pause(now) > Duration::ZERO {
            return steps;
        }
    }
    panic!("the round does not end");
}

/// Lets deletions due at a moment happen, in the journal's stead.
async fn sweep(rig: &Rig, retention: Retention, wall: i64) {
    let store = rig.only_store().await;
    let mut sweeper = Sweeper::new(retention, at(0));
    round(&mut sweeper, &*store, wall).await;
    store.close().await;
}

fn parts(running_seq: &mut u64, name: &str, life: u64, ended: i64) -> Vec<Record> {
    let spec = trying(name, life, ended - 10);
    let mut changes = finished(&spec, ended - 5, ended);
    changes.insert(
        1,
        Change::Outcome(Outcome {
            branch: "b0".parse().unwrap(),
            status: tercet_protocol::BranchStatus::Tried,
            attempts: PerOp::default(),
            parked: false,
            last_error: None,
            answer: None,
            resolved_as: None,
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

async fn branches_go_after_a_week_and_the_gid_is_free_after_a_month(rig: Rig) {
    let retention = Retention::default();
    let ended = 100 * DAY;
    let mut running = rig.open().await;
    running.write(parts(&mut 0, "tx-1", 1, ended)).await;
    let gid = "tx-1".parse().unwrap();
    let whole = running.stored(&gid).await.unwrap();
    assert_eq!((whole.branches.len(), whole.outcomes.len()), (2, 1));
    running.crash().await;

    sweep(&rig, retention, ended + 7 * DAY).await;
    let mut running = rig.open().await;
    assert_eq!(running.stored(&gid).await, Some(whole.clone()));
    running.crash().await;

    sweep(&rig, retention, ended + 7 * DAY + 1).await;
    sweep(&rig, retention, ended + 30 * DAY).await;
    let mut running = rig.open().await;
    let narrow = running.stored(&gid).await.unwrap();
    assert_eq!((narrow.branches.len(), narrow.outcomes.len()), (0, 0));
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

async fn many(running: &mut Running, count: u64) {
    let mut seq = 0;
    for number in 1..=count {
        let ended = 1_000 + i64::try_from(number).unwrap();
        running.journal.append(parts(&mut seq, &format!("tx-{number:04}"), number, ended));
    }
    running.until_durable(tercet_protocol::Seq(seq)).await;
}

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
    sweep(&rig, retention, 10_000).await;
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
    let mut sweeper = Sweeper::new(Retention::default(), at(0));
    // 2 200 branches and 1 100 outcomes, at most 500 of each in a step.
    let steps = round(&mut sweeper, &*store, 8 * DAY).await;
    assert!((7..20).contains(&steps), "{steps} steps");
    let mut running = rig.open().await;
    for gid in ["tx-0001", "tx-0500", "tx-1100"] {
        let stored = running.stored(&gid.parse().unwrap()).await.unwrap();
        assert_eq!((stored.branches.len(), stored.outcomes.len()), (0, 0), "{gid}");
    }
    running.crash().await;
    // A round with nothing to do is short, and does not walk it all again.
    assert!(round(&mut sweeper, &*rig.only_store().await, 8 * DAY + 100_000).await <= 3);
}

async fn a_step_deletes_no_more_rows_of_a_table_than_it_may(rig: Rig) {
    let mut running = rig.open().await;
    many(&mut running, 300).await;
    running.crash().await;
    let store = rig.only_store().await;
    let (mut steps, mut deleted, mut after) = (0, 0, None);
    loop {
        let stripped = store.strip(after.as_ref(), Wall(9_000), 100).await.unwrap();
        // 100 transactions have 200 branches and 100 outcomes.
        assert!(stripped.rows <= 200, "{stripped:?}");
        (steps, deleted, after) = (steps + 1, deleted + stripped.rows, stripped.reached);
        if !stripped.more {
            break;
        }
        assert!(steps < 100, "it ends");
    }
    assert_eq!(deleted, 900);
    let forgotten = store.forget(Wall(9_000), 100).await.unwrap();
    assert_eq!((forgotten.transactions, forgotten.more), (100, true));
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
    let mut sweeper = Sweeper::new(Retention::default(), at(0));
    let branches = async |gid: &str| {
        let loaded = store.load(&[gid.parse().unwrap()]).await.unwrap();
        match &loaded[0].1 {
            tercet_protocol::Load::Found(stored) => stored.branches.len(),
            other => panic!("{other:?}"),
        }
    };
    round(&mut sweeper, &*store, 7 * DAY + DAY - 5).await;
    assert_eq!((branches("long").await, branches("short").await), (2, 0));
    round(&mut sweeper, &*store, 9 * DAY).await;
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
    // All of it waits from the beginning, so there is no idle moment before the last batch.
    running.faults.stall();
    let mut seq = 0;
    for number in 1..=200 {
        let ended = 1_000 + i64::try_from(number).unwrap();
        running.journal.append(parts(&mut seq, &format!("tx-{number:04}"), number, ended));
    }
    running.faults.release();
    running.until_durable(tercet_protocol::Seq(seq)).await;
    let batches = running.faults.submitted().len();
    let forgotten = running.faults.forgotten();
    assert!(forgotten.iter().any(|after| (1..batches).contains(after)), "{forgotten:?}");
    assert_eq!(running.stored(&"tx-0001".parse().unwrap()).await, None);
}

async fn how_overdue_deleting_is_can_be_seen(rig: Rig) {
    let mut running = rig.open().await;
    running.write(parts(&mut 0, "tx-1", 1, DAY)).await;
    running.crash().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let meters = metrics::with_local_recorder(&recorder, Meters::register);
    let store = rig.only_store().await;
    let mut sweeper = Sweeper::new(Retention::default(), at(0));
    for (wall, lag) in [(7 * DAY, 0), (9 * DAY, DAY / 1_000), (10 * DAY, 0)] {
        let now = at(wall);
        while sweeper.pause(now) == Duration::ZERO {
            sweeper.step(&*store, now, &meters).await;
        }
        let shown = recorder.handle().render();
        assert!(shown.contains(&format!("tercet_retention_lag_seconds {lag}\n")), "{shown}");
    }
}
