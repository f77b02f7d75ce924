//! What can go wrong on a server and cannot elsewhere. Each is tested on all kinds of them.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod copies;
mod nodes;
mod plans;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use tercet_engine::{
    ActAlone, Acted, Batch, BranchRecord, Change, HistoryEvent, JobWrite, Leave, Load, Record,
};
use tercet_wire::{BranchStatus, EventKind, Gid, JobStage, PerOp, RowsUnder, Spec, Wall};

use crate::conformance::{
    Rig, act, act_that_pauses, act_that_puts, finished, patiently, puts, record, releases,
    revision, tick, ticked, tried, trying, with_options,
};
use crate::store::{CommitError, Store};
use crate::{JournalError, migrate_up, migration_status};

macro_rules! on_each_server {
    ($($(#[$doc:meta])* $what:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[tokio::test] async fn $what() {
                super::$what(crate::conformance::Rig::on_postgres()).await;
            })+
        }
        mod on_mysql {
            $(#[tokio::test] async fn $what() {
                super::$what(crate::conformance::Rig::on_mysql()).await;
            })+
        }
    };
}
use on_each_server;

on_each_server!(
    a_batch_that_fails_at_any_statement_and_then_at_another_is_written_once,
    a_batch_that_waits_too_long_for_somebody_elses_row_is_written_whole_or_not_at_all,
    a_session_that_the_server_ends_is_replaced,
    texts_of_any_length_and_character_are_kept,
    steps_that_died_anywhere_in_their_middle_are_gone_on_with,
    many_processes_may_begin_on_an_empty_database_at_once,
    a_lock_of_the_schema_whose_holder_is_gone_is_taken,
    a_schema_that_a_newer_program_has_only_added_to_is_used,
    rows_stand_under_instances_once_every_node_finds_them_there,
    no_error_shows_the_password,
);

/// Tables that a batch writes, each by a statement of its own.
const TABLES: [&str; 14] = [
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

async fn run(outsider: &impl ConnectionTrait, sql: &str) {
    outsider.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn number(outsider: &DatabaseConnection, ask: &str) -> i64 {
    let ask = Statement::from_string(outsider.get_database_backend(), ask);
    outsider.query_one_raw(ask).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn rows(outsider: &DatabaseConnection) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push(number(outsider, &format!("SELECT COUNT(*) FROM {table}")).await);
    }
    counts
}

/// What the node's row says was written last.
async fn last_batch(outsider: &DatabaseConnection) -> i64 {
    let table = match outsider.get_database_backend() {
        DbBackend::Postgres => "node_batches",
        _ => "nodes",
    };
    number(outsider, &format!("SELECT MAX(batch_no) FROM {table}")).await
}

async fn loaded(store: &Arc<dyn Store>, gid: &Gid) -> Load {
    store.load(std::slice::from_ref(gid)).await.unwrap().remove(0).1
}

/// Keeps exactly-once.
async fn a_batch_that_fails_at_any_statement_and_then_at_another_is_written_once(rig: Rig) {
    let store = rig.only_store().await;
    let outsider = rig.server().outsider().await;
    let (mut at, mut before) = (0, None);
    for (place, first) in TABLES.into_iter().enumerate() {
        // The same again, one before it and one after it.
        for beyond in [0, 4, TABLES.len() - 3] {
            let second = TABLES[(place + beyond) % TABLES.len()];
            at += 1;
            let spec = with_options(&trying(&format!("tx-{at}"), u64::try_from(at).unwrap(), 0));
            let batch = batch(at, &spec, before.as_ref());
            let expected = rows(&outsider).await;
            for table in [first, second] {
                run(&outsider, &format!("ALTER TABLE {table} RENAME TO away")).await;
                let failed = store.commit(&batch).await;
                assert!(matches!(failed, Err(CommitError::Again(_))), "{table}: {failed:?}");
                run(&outsider, &format!("ALTER TABLE away RENAME TO {table}")).await;
            }
            assert_eq!(rows(&outsider).await, expected, "half of it, after {first} and {second}");
            assert_eq!(store.commit(&batch).await.unwrap(), []);
            // Its outcome was not learned, say: once more, and then once more.
            assert_eq!(store.commit(&batch).await.unwrap(), []);
            let written = [1, 1, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 3]
                .iter()
                .zip(&expected)
                .map(|(more, rows)| more + rows);
            assert_eq!(rows(&outsider).await, written.collect::<Vec<_>>());
            before = Some(spec);
        }
    }
    store.close().await;
}

/// Keeps exactly-once. MariaDB and MySQL then roll back the statement alone, and would commit the
/// others.
async fn a_batch_that_waits_too_long_for_somebody_elses_row_is_written_whole_or_not_at_all(
    rig: Rig,
) {
    let store = rig.only_store().await;
    let outsider = rig.server().outsider().await;
    let looking = rig.server().outsider().await;
    let (first, second) = (trying("tx-1", 1, 0), trying("tx-2", 2, 0));
    store.commit(&batch(1, &first, None)).await.unwrap();
    let before = rows(&looking).await;
    let batch = batch(2, &second, Some(&first));
    for in_the_way in [
        // In the way of the change of a row, then of the last insert.
        "UPDATE global_transactions SET parked = TRUE WHERE gid = 'tx-1'",
        "INSERT INTO transaction_events (gid, number, at, kind) VALUES ('tx-2', 1, 1, 'x')",
    ] {
        let held = outsider.begin().await.unwrap();
        run(&held, in_the_way).await;
        let failed = store.commit(&batch).await;
        assert!(matches!(failed, Err(CommitError::Again(_))), "{in_the_way}: {failed:?}");
        held.rollback().await.unwrap();
        assert_eq!(rows(&looking).await, before, "{in_the_way}");
        assert_eq!(last_batch(&looking).await, 1);
    }
    assert_eq!(store.commit(&batch).await.unwrap(), []);
    assert_eq!(rows(&looking).await, before.iter().map(|rows| 2 * rows).collect::<Vec<_>>());
    store.close().await;
}

async fn a_session_that_the_server_ends_is_replaced(rig: Rig) {
    let store = rig.only_store().await;
    let outsider = rig.server().outsider().await;
    let first = trying("tx-1", 1, 0);
    store.commit(&batch(1, &first, None)).await.unwrap();
    assert!(matches!(loaded(&store, &first.gid).await, Load::Found(_)));
    match outsider.get_database_backend() {
        DbBackend::Postgres => {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            run(&outsider, end).await;
        }
        _ => {
            let ask = "SELECT id FROM information_schema.processlist \
                       WHERE db = DATABASE() AND id <> CONNECTION_ID()";
            let ask = Statement::from_string(DbBackend::MySql, ask);
            for row in outsider.query_all_raw(ask).await.unwrap() {
                let id: i64 = row.try_get_by_index(0).unwrap();
                run(&outsider, &format!("KILL CONNECTION {id}")).await;
            }
        }
    }
    let second = trying("tx-2", 2, 0);
    let batch = batch(2, &second, None);
    // Nobody need hear of it: it had ended before anything was said.
    assert_eq!(store.commit(&batch).await, Ok(Vec::new()));
    // Reads find a new one by themselves.
    assert!(matches!(loaded(&store, &second.gid).await, Load::Found(_)));
    store.close().await;
}

async fn texts_of_any_length_and_character_are_kept(rig: Rig) {
    let store = rig.only_store().await;
    let lengths = [1, 40, 3, 300, 70_000, 2, 1_000_000];
    for (number, length) in (1..).zip(lengths) {
        let mut specs = Vec::new();
        // Several of one kind and size of statement, some of whose values are nothing.
        for (place, ch) in ["\u{1F600}", "é\u{1}\u{7f}", "\\'\"%_\n"].into_iter().enumerate() {
            let life = number * 10 + u64::try_from(place).unwrap();
            let mut spec = Arc::unwrap_or_clone(trying(&format!("tx-{life}"), life, 0));
            spec.metadata = (place != 1).then(|| ch.repeat(length).into());
            specs.push(Arc::new(spec));
        }
        let records = specs.iter().map(|spec| record(1, spec, Change::Begun(spec.clone())));
        let number = i64::try_from(number).unwrap();
        let batch =
            Batch { number, written_at: Wall(1), records: records.collect(), acts: Vec::new() };
        assert_eq!(store.commit(&batch).await.unwrap(), []);
        for spec in specs {
            let Load::Found(stored) = loaded(&store, &spec.gid).await else { panic!("{number}") };
            let (found, given) = (&stored.spec.metadata, &spec.metadata);
            let lengths = [found, given].map(|text| text.as_ref().map(|text| text.len()));
            assert!(found == given, "of {length}: {lengths:?}");
        }
    }
    // Gids that differ in case alone are two.
    for (number, name) in (8..).zip(["Tx", "tx", "tX"]) {
        let spec = trying(name, 1_000 + u64::try_from(number).unwrap(), 0);
        let records = vec![record(1, &spec, Change::Begun(spec.clone()))];
        let batch = Batch { number, written_at: Wall(1), records, acts: Vec::new() };
        assert_eq!(store.commit(&batch).await.unwrap(), []);
    }
    store.close().await;
}

async fn many_processes_may_begin_on_an_empty_database_at_once(rig: Rig) {
    rig.server().make().await;
    let url = rig.settings.database_url.clone();
    assert!(migration_status(&url).await.unwrap().iter().all(|step| !step.applied));
    let begin = |_| {
        let url = url.clone();
        tokio::spawn(async move { migrate_up(&url).await })
    };
    for begun in (0..8).map(begin).collect::<Vec<_>>() {
        begun.await.unwrap().unwrap();
    }
    assert!(migration_status(&url).await.unwrap().iter().all(|step| step.applied));
}

/// The steps of a server that has no transaction around them.
async fn steps_that_died_anywhere_in_their_middle_are_gone_on_with(rig: Rig) {
    let url = rig.settings.database_url.clone();
    rig.server().make().await;
    migrate_up(&url).await.unwrap();
    let outsider = rig.server().outsider().await;
    let drop_index = |name: &str| match outsider.get_database_backend() {
        DbBackend::MySql => format!("DROP INDEX {name} ON global_transactions"),
        _ => format!("DROP INDEX {name}"),
    };
    // The last things made first, so that each time it has died a little earlier.
    let undo = [
        "DROP TABLE participant_pauses".to_owned(),
        "DROP TABLE transaction_options".to_owned(),
        "DROP TABLE branch_results".to_owned(),
        "DROP TABLE branch_options".to_owned(),
        "DELETE FROM schema_compat".to_owned(),
        "DROP TABLE schema_compat".to_owned(),
        "ALTER TABLE branch_outcomes DROP COLUMN contradicted".to_owned(),
        "ALTER TABLE branch_outcomes DROP COLUMN last_answer".to_owned(),
        "ALTER TABLE nodes DROP COLUMN written_at".to_owned(),
        drop_index("global_transactions_owner"),
        drop_index("global_transactions_created"),
        "DROP TABLE nodes".to_owned(),
        "DROP TABLE global_details".to_owned(),
    ];
    for undo in undo {
        run(&outsider, &undo).await;
        run(&outsider, "DELETE FROM schema_steps").await;
        let again = migrate_up(&url).await;
        assert!(again.is_ok(), "{undo}: {again:?}");
        assert!(migration_status(&url).await.unwrap().iter().all(|step| step.applied));
    }
    rig.only_store().await.close().await;
}

async fn a_lock_of_the_schema_whose_holder_is_gone_is_taken(rig: Rig) {
    let url = rig.settings.database_url.clone();
    rig.server().make().await;
    migrate_up(&url).await.unwrap();
    // Whoever holds it has died in the middle of its last step.
    let outsider = rig.server().outsider().await;
    run(&outsider, "UPDATE schema_lock SET holder = 7, beat = 3").await;
    run(&outsider, "DELETE FROM schema_steps WHERE version LIKE 'm0005%'").await;
    patiently(migrate_up(&url)).await.unwrap();
    assert_eq!(number(&outsider, "SELECT holder FROM schema_lock").await, 0);
    assert!(migration_status(&url).await.unwrap().iter().all(|step| step.applied));
}

async fn a_schema_that_a_newer_program_has_only_added_to_is_used(rig: Rig) {
    let url = rig.settings.database_url.clone();
    rig.server().make().await;
    migrate_up(&url).await.unwrap();
    let outsider = rig.server().outsider().await;
    run(&outsider, "INSERT INTO schema_steps VALUES ('m9999_later', 0)").await;
    migrate_up(&url).await.unwrap();
    rig.only_store().await.close().await;
    run(&outsider, "UPDATE schema_compat SET reads_from = 99").await;
    let refused = migrate_up(&url).await;
    assert!(matches!(refused, Err(JournalError::Migration(_))), "{refused:?}");
}

/// Keeps P1.
async fn rows_stand_under_instances_once_every_node_finds_them_there(rig: Rig) {
    let rig = rig.of_several_nodes();
    let older = rig.only_store().await;
    let outsider = rig.server().outsider().await;
    let keeps_out = "SELECT COUNT(*) FROM schema_compat WHERE reads_from >= 15";
    let of_older = number(&outsider, "SELECT incarnation FROM nodes").await;
    let of_older = format!("UPDATE nodes SET protocol = 3 WHERE incarnation = {of_older}");
    run(&outsider, &of_older).await;
    let newer = rig.only_store().await;
    let cluster = newer.cluster().unwrap();
    // Before anybody has looked nobody knows of the others.
    assert_eq!(newer.rows_under(), RowsUnder::Gid);
    cluster.lives().await.unwrap();
    assert_eq!(newer.rows_under(), RowsUnder::Gid);
    assert_eq!(number(&outsider, keeps_out).await, 0, "the older one may start again");
    run(&outsider, "UPDATE nodes SET protocol = 4").await;
    cluster.lives().await.unwrap();
    assert_eq!(newer.rows_under(), RowsUnder::Instance);
    assert_eq!(number(&outsider, keeps_out).await, 1);
    // One that has begun in the same moment is allowed for, and one that is over is not.
    run(&outsider, &of_older).await;
    cluster.lives().await.unwrap();
    assert_eq!(newer.rows_under(), RowsUnder::Gid);
    let leave = Leave { number: 1, written_at: Wall(1) };
    older.cluster().unwrap().leave(&leave).await.unwrap();
    cluster.lives().await.unwrap();
    assert_eq!(newer.rows_under(), RowsUnder::Instance);
    older.close().await;
    newer.close().await;
}

async fn no_error_shows_the_password(rig: Rig) {
    rig.server().make().await;
    let mut wrong: url::Url = rig.settings.database_url.parse().unwrap();
    wrong.set_password(Some("hunter2")).unwrap();
    let mut nowhere = wrong.clone();
    nowhere.set_port(Some(9)).unwrap();
    for url in [wrong, nowhere] {
        let refused = crate::database::at(url.as_str()).unwrap();
        let settings = crate::JournalSettings::new(url.as_str(), "n", rig.next_life().incarnation);
        let here = tokio::runtime::Handle::current();
        let opened = refused.open(&settings, Wall(0), &here);
        let Ok(opened) = tokio::time::timeout(Duration::from_secs(60), opened).await else {
            panic!("it takes too long")
        };
        let Err(error) = opened else { panic!("it lets anybody in") };
        let mut said = format!("{error:?} {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            said.push_str(&error.to_string());
            cause = error.source();
        }
        assert!(!said.contains("hunter2"), "{said}");
        assert!(matches!(error, JournalError::Unreachable { .. }), "{said}");
    }
}
