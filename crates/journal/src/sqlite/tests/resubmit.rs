//! A batch fails in its middle, at each of its statements, once and twice: it is written when
//! it can be, once. And a connection that has failed is not trusted again.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tercet_engine::{
    ActAlone, Acted, Batch, BranchRecord, Change, HistoryEvent, JobWrite, Load, Record,
};
use tercet_wire::{BranchStatus, EventKind, JobStage, PerOp, Spec, Wall};

use super::super::{SqliteStore, writer};
use super::{outsider, run};
use crate::conformance::{
    Rig, act, act_that_pauses, act_that_puts, finished, puts, record, releases, revision, tick,
    ticked, tried, trying, with_options,
};
use crate::store::{Commit, CommitError, Read, Store};

/// Each table is written by a statement of its own, in this order.
const TABLES: [&str; 15] = [
    "nodes",
    "global_transactions",
    "global_details",
    "transaction_options",
    "branch_transactions",
    "branch_options",
    "branch_outcomes",
    "branch_results",
    "transaction_events",
    "sagas",
    "participant_pauses",
    "jobs",
    "job_ticks",
    "holds",
    "audit",
];

async fn opened(rig: &Rig) -> SqliteStore {
    rig.sqlite_store(&rig.next_life()).await
}

/// Begins a transaction with a row in every table, and decides the one before it.
fn batch(number: i64, begun: &Arc<Spec>, decided: Option<&Arc<Spec>>) -> Batch {
    let happened = HistoryEvent {
        number: 1,
        at: Wall(1),
        kind: EventKind::CallFailed,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    };
    let outcome = BranchRecord {
        branch: begun.branches[0].id.clone(),
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
    };
    let of_job = u64::try_from(number).unwrap();
    let act = act(of_job, Wall(1), Some(&begun.gid));
    let mut records: Vec<Record> = vec![
        record(1, begun, Change::Begun(begun.clone())),
        record(2, begun, Change::History(happened)),
        record(3, begun, Change::BranchRecord(outcome)),
        record(4, begun, Change::Acted(Box::new(Acted { act, changes: Vec::new() }))),
        record(5, begun, tried("b1")),
        record(6, begun, ticked(&tick(of_job, &begun.gid, 1, None), Change::Parked(true))),
    ];
    records.extend(decided.map(|spec| record(7, spec, finished(spec, 1, 2)[1].clone())));
    let of_saga = 1_000 + u64::try_from(number).unwrap();
    let hold = Some(releases(u32::try_from(number).unwrap()));
    let job = JobWrite::Revision(revision(of_job, 1, JobStage::Queued));
    let acts = vec![
        act_that_puts(of_saga, puts(&format!("s{number}"), 1, 1)),
        act_that_pauses(of_saga + 10_000, &format!("pay-{number}:80")),
        ActAlone { job: Some(job), hold, ..ActAlone::default() },
    ];
    Batch { number, written_at: Wall(number), records, acts }
}

async fn fails_without(
    table: &str,
    outsider: &DatabaseConnection,
    store: &SqliteStore,
    batch: &Batch,
) {
    run(outsider, &format!("ALTER TABLE {table} RENAME TO away")).await;
    let failed = store.commit(batch).await;
    let Err(CommitError::Again(why)) = failed else { panic!("{table}: {failed:?}") };
    assert!(why.contains(&format!("no such table: {table}")), "{why}");
    run(outsider, &format!("ALTER TABLE away RENAME TO {table}")).await;
}

async fn rows(connection: &DatabaseConnection) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in TABLES {
        let count =
            Statement::from_string(DbBackend::Sqlite, format!("SELECT COUNT(*) FROM {table}"));
        let row = connection.query_one_raw(count).await.unwrap().unwrap();
        counts.push(row.try_get_by_index(0).unwrap());
    }
    counts
}

/// Keeps exactly-once.
#[tokio::test]
async fn a_batch_that_fails_at_any_statement_and_then_at_any_other_is_written_once() {
    let rig = Rig::on_sqlite();
    let store = opened(&rig).await;
    let outsider = outsider(&rig).await;
    let (mut number, mut before) = (0, None);
    for first in TABLES {
        for second in TABLES {
            number += 1;
            let life = u64::try_from(number).unwrap();
            let spec = with_options(&trying(&format!("tx-{number}"), life, 0));
            let batch = batch(number, &spec, before.as_ref());
            let expected = rows(&outsider).await;
            fails_without(first, &outsider, &store, &batch).await;
            fails_without(second, &outsider, &store, &batch).await;
            assert_eq!(rows(&outsider).await, expected, "half of it, after {first} and {second}");
            assert_eq!(store.commit(&batch).await.unwrap(), []);
            // Its outcome was not learned, say: once more, and then once more.
            assert_eq!(store.commit(&batch).await.unwrap(), []);
            let written = [0, 1, 1, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 3]
                .iter()
                .zip(&expected)
                .map(|(more, rows)| more + rows);
            assert_eq!(rows(&outsider).await, written.collect::<Vec<_>>());
            before = Some(spec);
        }
    }
    store.close().await;
}

/// Keeps exactly-once.
#[tokio::test]
async fn a_batch_whose_commit_fails_is_written_once() {
    let rig = Rig::on_sqlite();
    let store = opened(&rig).await;
    let outsider = outsider(&rig).await;
    // A reference that leads nowhere, and is looked at by COMMIT alone.
    run(&outsider, "CREATE TABLE a (id INTEGER PRIMARY KEY)").await;
    run(&outsider, "CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)")
        .await;
    let trigger = "CREATE TRIGGER late AFTER INSERT ON global_transactions \
                   BEGIN INSERT INTO b VALUES (7); END";
    run(&outsider, trigger).await;
    let strict = writer::open(&rig.sqlite_file()).unwrap();
    strict.pragma_update(None, "foreign_keys", true).unwrap();
    *store.writer.lock().unwrap() = Some(strict);
    let spec = with_options(&trying("tx-1", 1, 0));
    let batch = batch(1, &spec, None);
    let failed = store.commit(&batch).await;
    assert!(matches!(&failed, Err(CommitError::Again(_))), "{failed:?}");
    assert_eq!(rows(&outsider).await, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // The next connection does not look at references.
    for _ in 0..2 {
        assert_eq!(store.commit(&batch).await.unwrap(), []);
        assert_eq!(rows(&outsider).await, [1, 1, 1, 1, 2, 1, 2, 1, 1, 1, 2]);
    }
}

/// Keeps exactly-once.
#[tokio::test]
async fn a_connection_on_which_a_batch_failed_is_not_used_again() {
    let rig = Rig::on_sqlite();
    let store = opened(&rig).await;
    // To this one, and to no other, the disk is full.
    let full = writer::open(&rig.sqlite_file()).unwrap();
    // It answers with what it has now set.
    full.pragma_update_and_check(None, "max_page_count", 1, |_| Ok(())).unwrap();
    *store.writer.lock().unwrap() = Some(full);
    let mut spec = Arc::unwrap_or_clone(trying("tx-1", 1, 0));
    spec.metadata = Some("x".repeat(100_000).into());
    let spec = Arc::new(spec);
    let batch = batch(1, &spec, None);
    let failed = store.commit(&batch).await;
    let Err(CommitError::Again(why)) = failed else { panic!("{failed:?}") };
    assert!(why.contains("full"), "{why}");
    assert_eq!(store.commit(&batch).await.unwrap(), []);
    let loaded = store.load(std::slice::from_ref(&spec.gid)).await.unwrap();
    assert!(matches!(&loaded[..], [(_, Load::Found(_))]), "{loaded:?}");
}
