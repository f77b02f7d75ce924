//! What the guard keeps, and for how long.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tercet_participant::Op::{Cancel, Confirm, Try};
use tercet_participant::{PURGE_AFTER, Purged, Store};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::service::{Call, Service};

pub(crate) async fn several_processes_may_make_the_table_at_once(database: &Database) {
    let mut starts = JoinSet::new();
    let ready = Arc::new(Barrier::new(8));
    for _ in 0..8 {
        let (db, ready) = (database.connect(1).await, Arc::clone(&ready));
        starts.spawn(async move {
            ready.wait().await;
            Store::new(db).migrate().await
        });
    }
    for started in starts.join_all().await {
        started.expect("nobody is in another's way");
    }
}

/// Lets this much time pass for every row, in days.
async fn days_pass(db: &DatabaseConnection, days: i64) {
    let by_ms = days * 24 * 60 * 60 * 1000;
    let sql = format!("UPDATE tercet_guard SET updated_at = updated_at - {by_ms}");
    db.execute_unprepared(&sql).await.expect("rows that grow old");
}

/// `gid state`, by gid.
async fn rows(db: &DatabaseConnection) -> Vec<String> {
    let sql = "SELECT gid, state FROM tercet_guard ORDER BY gid";
    let found = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let read =
        |row: &sea_orm::QueryResult, column| row.try_get::<String>("", column).expect("text");
    found
        .expect("rows")
        .iter()
        .map(|row| format!("{} {}", read(row, "gid"), read(row, "state")))
        .collect()
}

/// How many results are kept.
async fn results(db: &DatabaseConnection) -> i64 {
    let sql = "SELECT COUNT(*) FROM tercet_guard_results";
    let found = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    found.expect("an answer").expect("a row").try_get_by_index(0).expect("a count")
}

/// Keeps P9.
pub(crate) async fn a_row_is_kept_for_a_month_after_the_last_call(database: &Database) {
    let service = Service::start(database, 4).await;
    for (gid, decision) in [("called", Confirm), ("refused", Confirm), ("silent", Confirm)] {
        service.usual(gid, Try).await;
        service.usual(gid, decision).await;
    }
    service.usual("empty", Cancel).await;
    let body = r#"{"amount":1,"answer":7}"#;
    let step = Call { legs: "try,cancel", body, ..Call::usual("step", Try) };
    assert_eq!(service.call(step).await.words(), "200 7");
    days_pass(&service.db, 29).await;
    let nothing = Purged { deleted: 0, undecided: 0 };
    assert_eq!(service.store.purge(PURGE_AFTER).await.expect("a purge"), nothing);

    // Its answer was lost, say, for a month. Here a repeat is answered, there a mistake refused.
    assert_eq!(service.usual("called", Confirm).await.words(), "200 confirmed again");
    assert_eq!(service.usual("refused", Cancel).await.words(), "409 branch-confirmed");
    days_pass(&service.db, 29).await;
    let purged = service.store.purge(PURGE_AFTER).await.expect("a purge");
    assert_eq!(purged, Purged { deleted: 3, undecided: 0 });
    assert_eq!(results(&service.db).await, 0, "a result goes with its row");
    assert_eq!(rows(&service.db).await, ["called confirmed", "refused confirmed"]);
}

/// Keeps P9.
pub(crate) async fn a_reservation_that_waits_for_its_decision_is_never_purged(database: &Database) {
    let service = Service::start(database, 4).await;
    service.usual("waits", Try).await;
    // A step of a saga: if all goes well nobody ever calls it again.
    let step = Call { legs: "try,cancel", ..Call::usual("step", Try) };
    assert_eq!(service.call(step).await.words(), "200 tried");
    days_pass(&service.db, 400).await;
    let purged = service.store.purge(PURGE_AFTER).await.expect("a purge");
    assert_eq!(purged, Purged { deleted: 1, undecided: 1 });
    assert_eq!(service.usual("waits", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.runs("waits").await, (1, 0, 1), "the late Cancel still releases");
}

pub(crate) async fn a_purge_takes_everything_in_batches(database: &Database) {
    let service = Service::start(database, 4).await;
    service.usual("a", Cancel).await;
    service.usual("young", Cancel).await;
    let more: Vec<String> = (0..1200)
        .map(|number| format!("('old-{number}', 'b1', 'i', 'try,confirm,cancel', 'cancelled', 1)"))
        .collect();
    let sql = format!(
        "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) VALUES {}",
        more.join(", ")
    );
    service.db.execute_unprepared(&sql).await.expect("old rows");
    let purged = service.store.purge(PURGE_AFTER).await.expect("a purge");
    assert_eq!(purged, Purged { deleted: 1200, undecided: 0 });
    assert_eq!(rows(&service.db).await, ["a cancelled", "young cancelled"]);
}

/// The guard shares its connections with the rest of the service.
pub(crate) async fn a_session_keeps_its_own_patience_for_locks(database: &Database) {
    if database.has_one_writer() {
        return; // There is nothing to set.
    }
    let service = Service::start(database, 1).await;
    let (set, ask) = match service.db.get_database_backend() {
        sea_orm::DbBackend::Postgres => ("SET lock_timeout = '7s'", "SHOW lock_timeout"),
        _ => (
            "SET SESSION innodb_lock_wait_timeout = 7",
            "SELECT CONCAT(@@SESSION.innodb_lock_wait_timeout, 's') AS lock_timeout",
        ),
    };
    service.db.execute_unprepared(set).await.expect("set");
    let bad = r#"{"amount":-1}"#;
    service.usual("a", Try).await;
    service.usual("a", Try).await;
    service.call(Call { body: bad, ..Call::usual("b", Try) }).await;
    service.usual("a", Confirm).await;
    let asked = Statement::from_string(service.db.get_database_backend(), ask);
    let row = service.db.query_one_raw(asked).await.expect("a query").expect("a row");
    assert_eq!(row.try_get::<String>("", "lock_timeout").expect("text"), "7s");
}
