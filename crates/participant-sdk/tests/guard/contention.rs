//! Calls that meet others, of their own branch or of another.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use tercet_participant::Op::{Cancel, Confirm, Try};

use crate::database::Database;
use crate::races::insist;
use crate::service::{Call, Service};

pub(crate) async fn a_cancel_that_meets_its_try_still_running_asks_to_come_again(
    database: &Database,
) {
    let service = Service::start(database, 4).await;
    let service = Arc::new(service);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let running = service.hold_try("a").await;

    let met = service.usual("a", Cancel).await;
    assert_eq!(met.words(), "202 in-progress");
    assert_eq!(met.retry_after.as_deref(), Some("1"));

    drop(gate);
    assert_eq!(running.await.expect("no panic"), "200 tried");
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.runs("a").await, (1, 0, 1));
}

pub(crate) async fn a_cancel_that_meets_its_try_in_another_process_asks_to_come_again(
    database: &Database,
) {
    let service = Service::start(database, 4).await;
    let other = Service::start(database, 4).await;
    let service = Arc::new(service);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let running = service.hold_try("a").await;

    assert_eq!(other.usual("a", Cancel).await.words(), "202 in-progress");

    drop(gate);
    assert_eq!(running.await.expect("no panic"), "200 tried");
    let again = if database.has_one_writer() {
        // It keeps its place before the file, and is done without being called again.
        let done = async {
            while service.runs("a").await != (1, 0, 1) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), done).await.expect("it is cancelled");
        " again"
    } else {
        ""
    };
    assert_eq!(insist(&other, "a", Cancel).await, format!("200 cancelled{again}"));
    assert_eq!(service.runs("a").await, (1, 0, 1));
}

/// Four Trys are held open by one process; their Cancels come to another, which has two connections.
pub(crate) async fn those_who_wait_leave_half_of_the_pool_to_others(database: &Database) {
    if database.has_one_writer() {
        return; // While a Try is open nobody writes at all.
    }
    let service = Arc::new(Service::start(database, 4).await);
    let other = Arc::new(Service::start(database, 2).await);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let gids = ["a", "b", "c", "d"];
    let mut held = Vec::new();
    for gid in gids {
        held.push(service.hold_try(gid).await);
    }
    let cancels = gids.map(|gid| {
        let other = Arc::clone(&other);
        tokio::spawn(async move { other.usual(gid, Cancel).await.words() })
    });
    let mut served_meanwhile = 0;
    while cancels.iter().any(|cancel| !cancel.is_finished()) {
        let gid = format!("free-{served_meanwhile}");
        assert_eq!(other.usual(&gid, Try).await.words(), "200 tried");
        served_meanwhile += 1;
    }
    // Were every connection taken, one would have been served before and one after.
    assert!(served_meanwhile > 2, "only {served_meanwhile} calls were served");
    for cancel in cancels {
        assert_eq!(cancel.await.expect("no panic"), "202 in-progress");
    }
    drop(gate);
    for held in held {
        assert_eq!(held.await.expect("no panic"), "200 tried");
    }
}

/// Two branches lock the same two rows in opposite orders, each after the other has its first.
pub(crate) async fn a_deadlock_in_business_code_never_reaches_the_caller(database: &Database) {
    if database.has_one_writer() {
        return; // Nobody gets as far as the other's second row.
    }
    let service = Service::start(database, 4).await;
    let [first, second] = [r#"{"amount":1,"rows":["x","y"]}"#, r#"{"amount":1,"rows":["y","x"]}"#];
    let (first, second) = tokio::join!(
        service.call(Call { body: first, ..Call::usual("a", Try) }),
        service.call(Call { body: second, ..Call::usual("b", Try) }),
    );
    assert_eq!((first.words(), second.words()), ("200 tried".into(), "200 tried".into()));
    assert_eq!((service.runs("a").await, service.runs("b").await), ((1, 0, 0), (1, 0, 0)));
    assert_eq!((service.runs("x").await, service.runs("y").await), ((2, 0, 0), (2, 0, 0)));
}

/// A Try is held open while others come, one after the other.
pub(crate) async fn those_who_wait_for_the_one_writer_keep_their_places(database: &Database) {
    if !database.has_one_writer() {
        return; // Nobody waits.
    }
    let service = Arc::new(Service::start(database, 2).await);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let running = service.hold_try("a").await;
    let gids = ["d", "b", "c"];
    for gid in gids {
        let met = service.usual(gid, Try).await;
        assert_eq!(met.words(), "202 in-progress", "{gid}");
        assert_eq!(met.retry_after.as_deref(), Some("1"));
    }
    // They wait without a connection, so that one is left to read.
    assert_eq!(service.runs("a").await, (0, 0, 0));

    drop(gate);
    assert_eq!(running.await.expect("no panic"), "200 tried");
    // Behind all of them. Nobody has called them again, and they are done.
    assert!(insist(&service, "a", Confirm).await.starts_with("200 confirmed"));
    let sql = "SELECT gid FROM runs ORDER BY rowid";
    let statement = Statement::from_string(service.db.get_database_backend(), sql);
    let rows = service.db.query_all_raw(statement).await.expect("rows");
    let done = rows.iter().map(|row| row.try_get("", "gid").expect("text"));
    assert_eq!(done.collect::<Vec<String>>(), ["a", "d", "b", "c"], "in the order they came");
    for gid in gids {
        assert_eq!(service.usual(gid, Try).await.words(), "200 tried again");
    }
}
