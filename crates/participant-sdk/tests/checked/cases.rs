//! What is told, one after the other.

use sea_orm::ConnectionTrait;
use tercet_participant::{CHECKED_PURGE_AFTER, NotRecorded};

use crate::database::Database;
use crate::initiator::Initiator;

/// Keeps P2, P7.
pub(crate) async fn what_committed_is_told_so_and_what_did_not_never_commits(database: &Database) {
    let initiator = Initiator::start(database).await;
    initiator.works("done", None).await.expect("nobody asked").commit().await.expect("a commit");
    assert_eq!(initiator.asked("done").await, 200);

    assert_eq!(initiator.asked("late").await, 410);
    let late = initiator.works("late", None).await;
    assert!(matches!(late, Err(NotRecorded::TooLate(_))), "{late:?}");
    assert_eq!((initiator.asked("late").await, initiator.deeds("late").await), (410, 0));
    assert_eq!((initiator.asked("done").await, initiator.deeds("done").await), (200, 1));
}

pub(crate) async fn what_was_rolled_back_never_happened(database: &Database) {
    let initiator = Initiator::start(database).await;
    let work = initiator.works("order-1", None).await.expect("nobody asked");
    work.rollback().await.expect("a rollback");
    assert_eq!(initiator.asked("order-1").await, 410);
    assert!(initiator.works("order-1", None).await.is_err());
}

pub(crate) async fn a_deed_is_not_done_twice(database: &Database) {
    let initiator = Initiator::start(database).await;
    for _ in 0..2 {
        match initiator.works("order-1", None).await {
            Ok(work) => work.commit().await.expect("a commit"),
            Err(error) => assert!(matches!(error, NotRecorded::Before(_)), "{error}"),
        }
    }
    assert_eq!(initiator.deeds("order-1").await, 1);
}

pub(crate) async fn a_question_that_is_none_is_refused(database: &Database) {
    let initiator = Initiator::start(database).await;
    for headers in [
        &[("tercet-op", "check")][..],
        &[("tercet-gid", "order-1")],
        &[("tercet-gid", "order-1"), ("tercet-op", "confirm")],
        &[("tercet-gid", "order 1"), ("tercet-op", "check")],
    ] {
        assert_eq!(initiator.asked_with(headers).await, 400, "{headers:?}");
    }
    let work = initiator.works("order-1", None).await.expect("nothing was written of it");
    work.commit().await.expect("a commit");
}

/// Keeps P9.
pub(crate) async fn a_purge_leaves_what_may_be_asked_for(database: &Database) {
    let initiator = Initiator::start(database).await;
    for gid in ["asked", "silent"] {
        let work = initiator.works(gid, None).await.expect("nobody asked");
        work.commit().await.expect("a commit");
    }
    let age = async |days: u64| {
        let sql = format!("UPDATE tercet_checked SET asked_at = asked_at - {}", days * 86_400_000);
        initiator.db.execute_unprepared(&sql).await.expect("time passes");
    };
    age(89).await;
    assert_eq!(initiator.checked.purge(CHECKED_PURGE_AFTER).await.expect("a purge"), 0);
    assert_eq!(initiator.asked("asked").await, 200, "which dates it anew");
    age(2).await;
    assert_eq!(initiator.checked.purge(CHECKED_PURGE_AFTER).await.expect("a purge"), 1);
    assert_eq!(initiator.asked("asked").await, 200);
    age(91).await;
    assert_eq!(initiator.checked.purge(CHECKED_PURGE_AFTER).await.expect("a purge"), 1);
    initiator.works("asked", None).await.expect("nothing is known of it");
}
