//! What outlives a process.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tercet_participant::{Idempotency, KeyStore};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::cases::insist;
use crate::database::Database;
use crate::shop::{Shop, keys_in};

/// Lets this much time pass for every key.
async fn pass(db: &DatabaseConnection, time: Duration) {
    let by_ms = time.as_millis();
    let sql = format!("UPDATE tercet_idempotency SET live_until = live_until - {by_ms}");
    db.execute_unprepared(&sql).await.expect("keys that grow old");
}

async fn live_until(db: &DatabaseConnection) -> i64 {
    let sql = "SELECT live_until FROM tercet_idempotency";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    row.expect("a query").expect("a row").try_get("", "live_until").expect("a time")
}

pub(crate) async fn a_lease_lives_while_the_handler_does(database: &Database) {
    let (keys, db) = keys_in(database).await;
    let shop = Shop::open_with(Idempotency::new(keys).lease(Duration::from_secs(1)));
    let gate = shop.door().gate.clone().write_owned().await;
    let first = tokio::spawn({
        let shop = shop.clone();
        async move { shop.order("k", "one").await.words() }
    });
    shop.door().at_gate.notified().await;
    let before = live_until(&db).await;
    let renewed = async {
        while live_until(&db).await == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), renewed).await.expect("it is renewed");
    drop(gate);
    assert_eq!(first.await.expect("no panic"), "201");
}

pub(crate) async fn a_request_whose_process_died_is_run_again_once_its_lease_ran_out(
    database: &Database,
) {
    let (keys, db) = keys_in(database).await;
    let shop = Shop::open_with(Idempotency::new(keys));

    // A runtime of its own is as much of a process as can be killed here.
    let dying = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let url = database.url().to_owned();
    let (reached, at_gate) = tokio::sync::oneshot::channel();
    dying.spawn(async move {
        let db = sea_orm::Database::connect(url).await.expect("a database");
        let shop = Shop::open_with(Idempotency::new(KeyStore::in_database(db)));
        let _gate = shop.door().gate.clone().write_owned().await;
        let order = tokio::spawn({
            let shop = shop.clone();
            async move { shop.order("k", "one").await }
        });
        shop.door().at_gate.notified().await;
        reached.send(()).expect("the test waits");
        let _ = order.await;
    });
    at_gate.await.expect("the handler runs");
    dying.shutdown_background();

    assert_eq!(shop.order("k", "one").await.words(), "409 come again");
    pass(&db, Duration::from_secs(31)).await;
    assert_eq!(shop.order("k", "one").await.words(), "201");
    assert_eq!(shop.order("k", "one").await.words(), "201 again");
    assert_eq!(shop.placed(), 1);
}

pub(crate) async fn an_answer_is_kept_for_its_time(database: &Database) {
    const HOUR: Duration = Duration::from_secs(3600);
    let (keys, db) = keys_in(database).await;
    let shop = Shop::open_with(Idempotency::new(keys));
    assert_eq!(shop.order("k", "one").await.words(), "201");
    pass(&db, 23 * HOUR).await;
    assert_eq!(shop.order("k", "one").await.words(), "201 again");
    pass(&db, 2 * HOUR).await;
    assert_eq!(shop.order("k", "another").await.words(), "201");
    assert_eq!(shop.placed(), 2);
}

pub(crate) async fn of_many_that_find_an_expired_answer_one_is_run(database: &Database) {
    let (keys, db) = keys_in(database).await;
    let shop = Shop::open_with(Idempotency::new(keys));
    for key in 0..10 {
        assert_eq!(shop.order(&key.to_string(), "one").await.words(), "201");
    }
    pass(&db, Duration::from_secs(25 * 3600)).await;
    for key in 0..10 {
        let mut orders = JoinSet::new();
        for _ in 0..8 {
            let shop = shop.clone();
            orders.spawn(async move { insist(&shop, &key.to_string(), "one").await });
        }
        let answers = orders.join_all().await;
        let run = answers.iter().filter(|answer| *answer == "201").count();
        assert_eq!(run, 1, "{answers:?}");
    }
    assert_eq!(shop.placed(), 20);
}

/// Keeps P9.
pub(crate) async fn a_purge_deletes_what_expired_and_the_oldest_beyond_the_bound(
    database: &Database,
) {
    let (keys, db) = keys_in(database).await;
    let shop = Shop::open_with(Idempotency::new(keys.clone()));
    assert_eq!(shop.order("expired", "one").await.words(), "201");
    pass(&db, Duration::from_secs(25 * 3600)).await;
    for key in ["oldest", "older", "young"] {
        assert_eq!(shop.order(key, "one").await.words(), "201");
        pass(&db, Duration::from_secs(60)).await;
    }
    assert_eq!(keys.purge(3).await.expect("a purge"), 1);
    assert_eq!(keys.purge(2).await.expect("a purge"), 1);
    assert_eq!(keys.purge(2).await.expect("a purge"), 0);
    assert_eq!(shop.order("older", "one").await.words(), "201 again");
    assert_eq!(shop.order("young", "one").await.words(), "201 again");
    assert_eq!(shop.order("oldest", "one").await.words(), "201");
}

pub(crate) async fn several_processes_may_make_the_table_at_once(database: &Database) {
    let mut starts = JoinSet::new();
    let ready = Arc::new(Barrier::new(8));
    for _ in 0..8 {
        let (db, ready) = (database.connect(1).await, Arc::clone(&ready));
        starts.spawn(async move {
            ready.wait().await;
            KeyStore::in_database(db).migrate().await
        });
    }
    for started in starts.join_all().await {
        started.expect("nobody is in another's way");
    }
}
