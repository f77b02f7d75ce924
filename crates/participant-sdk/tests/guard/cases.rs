//! The guard's table, and what a single call may do to it, end to end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tercet_participant::Op::{Cancel, Confirm, Try};

use crate::database::Database;
use crate::service::{Call, OTHER_LIFE, Outside, PANICS, Service};

pub(crate) async fn each_call_twice_has_its_effect_once(database: &Database) {
    let service = Service::start(database, 4).await;
    for (gid, decision) in [("a", Confirm), ("b", Cancel)] {
        assert_eq!(service.usual(gid, Try).await.words(), "200 tried");
        assert_eq!(service.usual(gid, Try).await.words(), "200 tried again");
        let done = if decision == Confirm { "confirmed" } else { "cancelled" };
        assert_eq!(service.usual(gid, decision).await.words(), format!("200 {done}"));
        assert_eq!(service.usual(gid, decision).await.words(), format!("200 {done} again"));
    }
    assert_eq!(service.usual("a", Try).await.words(), "200 confirmed again");
    assert_eq!(service.runs("a").await, (1, 1, 0));
    assert_eq!(service.runs("b").await, (1, 0, 1));
}

pub(crate) async fn an_empty_cancel_is_acknowledged_and_its_hanging_try_refused(
    database: &Database,
) {
    let service = Service::start(database, 4).await;
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled again");
    assert_eq!(service.usual("a", Try).await.words(), "409 branch-cancelled");
    assert_eq!(service.runs("a").await, (0, 0, 0));
}

pub(crate) async fn a_decision_is_not_undone_by_its_opposite(database: &Database) {
    let service = Service::start(database, 4).await;
    service.usual("a", Try).await;
    service.usual("a", Confirm).await;
    assert_eq!(service.usual("a", Cancel).await.words(), "409 branch-confirmed");
    service.usual("b", Try).await;
    service.usual("b", Cancel).await;
    assert_eq!(service.usual("b", Confirm).await.words(), "410 branch-cancelled");
    assert_eq!(service.runs("a").await, (1, 1, 0));
    assert_eq!(service.runs("b").await, (1, 0, 1));
}

pub(crate) async fn a_confirm_without_a_try_is_run_only_where_there_is_no_try_to_wait_for(
    database: &Database,
) {
    let service = Service::start(database, 4).await;
    assert_eq!(service.usual("a", Confirm).await.words(), "410 branch-not-tried");
    // The refused Confirm has left nothing behind that a later call could trip over.
    assert_eq!(service.usual("a", Try).await.words(), "200 tried");
    let message = Call { legs: "confirm", ..Call::usual("b", Confirm) };
    assert_eq!(service.call(message).await.words(), "200 confirmed");
    assert_eq!(service.call(message).await.words(), "200 confirmed again");
    assert_eq!(service.runs("b").await, (0, 1, 0));
}

pub(crate) async fn another_life_of_a_gid_is_another_transaction(database: &Database) {
    let service = Service::start(database, 4).await;
    service.usual("a", Try).await;
    for (op, expected) in [(Try, 409), (Confirm, 410), (Cancel, 410)] {
        let call = Call { instance: OTHER_LIFE, ..Call::usual("a", op) };
        assert_eq!(service.call(call).await.words(), format!("{expected} another-instance"));
    }
    assert_eq!(service.runs("a").await, (1, 0, 0));
}

pub(crate) async fn a_try_long_after_its_deadline_is_refused(database: &Database) {
    let service = Service::start(database, 4).await;
    let call = Call { deadline: Some("2020-01-01T00:00:00.000Z"), ..Call::usual("a", Try) };
    assert_eq!(service.call(call).await.words(), "409 deadline-passed");
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.runs("a").await, (0, 0, 0));
}

pub(crate) async fn a_refused_try_leaves_nothing_behind(database: &Database) {
    let service = Service::start(database, 4).await;
    let call = Call { body: r#"{"amount":-1}"#, ..Call::usual("a", Try) };
    let refused = service.call(call).await;
    assert_eq!(refused.words(), "409 negative");
    assert_eq!(refused.body["detail"], "the amount is negative");
    assert_eq!(refused.retry_after, None, "a 409 with Retry-After would mean: in progress");
    let cancel = Call { op: Cancel, ..call };
    assert_eq!(service.call(cancel).await.words(), "200 cancelled");
}

pub(crate) async fn a_payload_that_cannot_be_read_is_refused_and_cancelled_all_the_same(
    database: &Database,
) {
    let service = Service::start(database, 4).await;
    let call = Call { body: r#"{"amont":1}"#, ..Call::usual("a", Try) };
    let refused = service.call(call).await;
    assert_eq!(refused.words(), "400 invalid-payload");
    assert!(refused.body["detail"].to_string().contains("`amount`"), "{refused:?}");
    assert_eq!(service.call(Call { op: Cancel, ..call }).await.words(), "200 cancelled");
}

pub(crate) async fn what_fails_after_it_has_written_has_written_nothing(database: &Database) {
    let service = Service::start(database, 4).await;
    service.fail_next.store(true, Ordering::SeqCst);
    let failed = service.usual("a", Try).await;
    assert_eq!(failed.words(), "503 failed");
    assert!(!failed.body.to_string().contains("written"), "causes are not told: {failed:?}");
    assert_eq!(service.runs("a").await, (0, 0, 0));
    assert_eq!(service.usual("a", Try).await.words(), "200 tried");
    service.fail_next.store(true, Ordering::SeqCst);
    assert_eq!(service.usual("a", Confirm).await.words(), "503 failed");
    assert_eq!(service.usual("a", Confirm).await.words(), "200 confirmed");
    assert_eq!(service.runs("a").await, (1, 1, 0));
}

/// Keeps P7. PostgreSQL has rolled back by then, and answers the COMMIT all the same; MariaDB and MySQL have
/// after a deadlock, and go on outside the transaction.
pub(crate) async fn what_was_rolled_back_is_never_called_done(database: &Database) {
    let service = Service::start(database, 4).await;
    let bodies = [r#"{"amount":1,"swallows":true}"#, r#"{"amount":1,"loses":true}"#];
    let legs = "try,confirm,cancel";
    for (number, body) in bodies.into_iter().enumerate() {
        let tried = format!("c{number}");
        assert_eq!(service.usual(&tried, Try).await.words(), "200 tried");
        let alone = format!("b{number}");
        for (gid, op, legs) in [
            (&*format!("a{number}"), Try, legs),
            (&*alone, Confirm, "confirm"),
            (&*tried, Confirm, legs),
        ] {
            let before = service.runs(gid).await;
            let answer = service.call(Call { body, legs, ..Call::usual(gid, op) }).await;
            let is_there = service.runs(gid).await != before;
            let expected = if is_there { 200 } else { 503 };
            assert_eq!(answer.status.as_u16(), expected, "{body} {gid}: {}", answer.words());
        }
    }
}

pub(crate) async fn a_panic_is_a_failure_of_that_call_alone(database: &Database) {
    let service = Service::start(database, 4).await;
    let body = format!(r#"{{"amount":{PANICS}}}"#);
    let call = Call { body: &body, ..Call::usual("a", Try) };
    assert_eq!(service.call(call).await.words(), "503 failed");
    assert_eq!(service.usual("b", Try).await.words(), "200 tried");
    assert_eq!(service.usual("a", Try).await.words(), "200 tried");
    assert_eq!(service.runs("a").await, (1, 0, 0));
}

pub(crate) async fn a_call_goes_on_when_its_caller_hangs_up(database: &Database) {
    let service = Service::start(database, 4).await;
    let service = Arc::new(service);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let running = service.hold_try("a").await;
    running.abort();
    assert!(running.await.expect_err("aborted").is_cancelled());
    drop(gate);
    assert_eq!(service.usual("a", Try).await.words(), "200 tried again");
    assert_eq!(service.runs("a").await, (1, 0, 0));
}

pub(crate) async fn ids_that_differ_in_case_alone_are_two_transactions(database: &Database) {
    let service = Service::start(database, 4).await;
    assert_eq!(service.usual("order-a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.usual("order-A", Try).await.words(), "200 tried");
    assert_eq!(service.runs("order-A").await, (1, 0, 0));
}

pub(crate) async fn the_cancel_of_effects_outside_is_run_though_no_try_was_recorded(
    database: &Database,
) {
    let service = Service::start_as(database, 4, None, Outside).await;
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled again");
    assert_eq!(service.usual("a", Try).await.words(), "409 branch-cancelled");
    assert_eq!(service.usual("b", Try).await.words(), "200 tried");
    assert_eq!(service.usual("b", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.runs("a").await, (0, 0, 1), "an empty one, counted as a cancel");
    assert_eq!(service.runs("b").await, (1, 1, 0), "one that releases, counted as a confirm");
    // What no Try could read, no Cancel needs to undo.
    let call = Call { body: "not JSON", ..Call::usual("c", Cancel) };
    assert_eq!(service.call(call).await.words(), "200 cancelled");
}

/// Keeps P1.
pub(crate) async fn a_repeated_try_is_answered_with_the_same_result(database: &Database) {
    let service = Service::start(database, 4).await;
    let body = r#"{"amount":1,"answer":{"seat":"12A – é","fare":1.50}}"#;
    let call = Call { body, ..Call::usual("a", Try) };
    let result = r#"200 {"fare":1.5,"seat":"12A – é"}"#;
    // What was written is rolled back, and what was to be answered with it.
    service.fail_next.store(true, Ordering::SeqCst);
    assert_eq!(service.call(call).await.words(), "503 failed");
    assert_eq!(service.call(call).await.words(), result);
    assert_eq!(service.call(call).await.words(), result);
    // Another process knows it as well, and what the repeat says does not matter.
    let other = Service::start(database, 4).await;
    assert_eq!(other.usual("a", Try).await.words(), result);
    assert_eq!(other.usual("a", Confirm).await.words(), "200 confirmed");
    assert_eq!(other.call(call).await.words(), result);
    assert_eq!(other.runs("a").await, (1, 1, 0));
    // Whoever says nothing is answered as ever.
    assert_eq!(other.usual("b", Try).await.words(), "200 tried");
    assert_eq!(other.usual("b", Try).await.words(), "200 tried again");
}

pub(crate) async fn business_code_is_given_payload_and_results_apart(database: &Database) {
    let service = Service::start(database, 4).await;
    let of =
        |payload: &str, results: &str| format!(r#"{{"payload":{payload},"results":{results}}}"#);
    let call = |body| Call { body, results: true, ..Call::usual("a", Try) };
    let payload = r#"{"amount":1,"passed_on":"flight"}"#;
    let missing = of(payload, r#"{"hotel":null}"#);
    assert_eq!(service.call(call(&missing)).await.words(), "409 result-missing");
    let body = of(payload, r#"{"flight":[1,{"a":"b"}],"hotel":null}"#);
    assert_eq!(service.call(call(&body)).await.words(), r#"200 [1,{"a":"b"}]"#);
    let torn = call(r#"{"payload":{"amount":1}}"#);
    assert_eq!(service.call(torn).await.words(), "400 invalid-call");
    let large = format!(r#"{{"amount":1,"answer":"{}"}}"#, "x".repeat(16 * 1024));
    let large = Call { body: &large, ..Call::usual("large", Try) };
    assert_eq!(service.call(large).await.words(), "409 result-too-large");
    assert_eq!(service.runs("large").await, (0, 0, 0));
}
