//! The guard on a real SQLite file: its table end to end, and its promises under concurrency.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use support::{Call, OTHER_LIFE, PANICS, Service};
use tercet_participant::Op::{self, Cancel, Confirm, Try};
use tokio::task::{JoinHandle, JoinSet};

async fn service() -> (tempfile::TempDir, Service) {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(&dir.path().join("service.db"), 4).await;
    (dir, service)
}

#[tokio::test]
async fn each_call_twice_has_its_effect_once() {
    let (_dir, service) = service().await;
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

#[tokio::test]
async fn an_empty_cancel_is_acknowledged_and_its_hanging_try_refused() {
    let (_dir, service) = service().await;
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled again");
    assert_eq!(service.usual("a", Try).await.words(), "409 branch-cancelled");
    assert_eq!(service.runs("a").await, (0, 0, 0));
}

#[tokio::test]
async fn a_decision_is_not_undone_by_its_opposite() {
    let (_dir, service) = service().await;
    service.usual("a", Try).await;
    service.usual("a", Confirm).await;
    assert_eq!(service.usual("a", Cancel).await.words(), "409 branch-confirmed");
    service.usual("b", Try).await;
    service.usual("b", Cancel).await;
    assert_eq!(service.usual("b", Confirm).await.words(), "410 branch-cancelled");
    assert_eq!(service.runs("a").await, (1, 1, 0));
    assert_eq!(service.runs("b").await, (1, 0, 1));
}

#[tokio::test]
async fn a_confirm_without_a_try_is_run_only_where_there_is_no_try_to_wait_for() {
    let (_dir, service) = service().await;
    assert_eq!(service.usual("a", Confirm).await.words(), "410 branch-not-tried");
    // The refused Confirm has left nothing behind that a later call could trip over.
    assert_eq!(service.usual("a", Try).await.words(), "200 tried");
    let message = Call { legs: "confirm", ..Call::usual("b", Confirm) };
    assert_eq!(service.call(message).await.words(), "200 confirmed");
    assert_eq!(service.call(message).await.words(), "200 confirmed again");
    assert_eq!(service.runs("b").await, (0, 1, 0));
}

#[tokio::test]
async fn another_life_of_a_gid_is_another_transaction() {
    let (_dir, service) = service().await;
    service.usual("a", Try).await;
    for (op, expected) in [(Try, 409), (Confirm, 410), (Cancel, 410)] {
        let call = Call { instance: OTHER_LIFE, ..Call::usual("a", op) };
        assert_eq!(service.call(call).await.words(), format!("{expected} another-instance"));
    }
    assert_eq!(service.runs("a").await, (1, 0, 0));
}

#[tokio::test]
async fn a_try_long_after_its_deadline_is_refused() {
    let (_dir, service) = service().await;
    let call = Call { deadline: Some("2020-01-01T00:00:00.000Z"), ..Call::usual("a", Try) };
    assert_eq!(service.call(call).await.words(), "409 deadline-passed");
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.runs("a").await, (0, 0, 0));
}

#[tokio::test]
async fn a_refused_try_leaves_nothing_behind() {
    let (_dir, service) = service().await;
    let call = Call { body: r#"{"amount":-1}"#, ..Call::usual("a", Try) };
    let refused = service.call(call).await;
    assert_eq!(refused.words(), "409 negative");
    assert_eq!(refused.body["detail"], "the amount is negative");
    assert_eq!(refused.retry_after, None, "a 409 with Retry-After would mean: in progress");
    let cancel = Call { op: Cancel, ..call };
    assert_eq!(service.call(cancel).await.words(), "200 cancelled");
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_refused_and_cancelled_all_the_same() {
    let (_dir, service) = service().await;
    let call = Call { body: r#"{"amont":1}"#, ..Call::usual("a", Try) };
    let refused = service.call(call).await;
    assert_eq!(refused.words(), "400 invalid-payload");
    assert!(refused.body["detail"].to_string().contains("`amount`"), "{refused:?}");
    assert_eq!(service.call(Call { op: Cancel, ..call }).await.words(), "200 cancelled");
}

#[tokio::test]
async fn what_fails_after_it_has_written_has_written_nothing() {
    let (_dir, service) = service().await;
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

#[tokio::test]
async fn a_panic_is_a_failure_of_that_call_alone() {
    let (_dir, service) = service().await;
    let body = format!(r#"{{"amount":{PANICS}}}"#);
    let call = Call { body: &body, ..Call::usual("a", Try) };
    assert_eq!(service.call(call).await.words(), "503 failed");
    assert_eq!(service.usual("b", Try).await.words(), "200 tried");
    assert_eq!(service.usual("a", Try).await.words(), "200 tried");
    assert_eq!(service.runs("a").await, (1, 0, 0));
}

/// Starts a Try and comes back when its business code is running.
async fn hold_try(service: &Arc<Service>, gid: &'static str) -> JoinHandle<String> {
    let held = tokio::spawn({
        let service = Arc::clone(service);
        async move { service.usual(gid, Try).await.words() }
    });
    service.at_gate.notified().await;
    held
}

#[tokio::test]
async fn a_cancel_that_meets_its_try_still_running_asks_to_come_again() {
    let (_dir, service) = service().await;
    let service = Arc::new(service);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let running = hold_try(&service, "a").await;

    let met = service.usual("a", Cancel).await;
    assert_eq!(met.words(), "202 in-progress");
    assert_eq!(met.retry_after.as_deref(), Some("1"));

    drop(gate);
    assert_eq!(running.await.expect("no panic"), "200 tried");
    assert_eq!(service.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.runs("a").await, (1, 0, 1));
}

#[tokio::test]
async fn a_cancel_that_meets_its_try_in_another_process_asks_to_come_again() {
    let (dir, service) = service().await;
    let other = Service::start(&dir.path().join("service.db"), 4).await;
    let service = Arc::new(service);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let running = hold_try(&service, "a").await;

    assert_eq!(other.usual("a", Cancel).await.words(), "202 in-progress");

    drop(gate);
    assert_eq!(running.await.expect("no panic"), "200 tried");
    assert_eq!(other.usual("a", Cancel).await.words(), "200 cancelled");
    assert_eq!(service.runs("a").await, (1, 0, 1));
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_hangs_up() {
    let (_dir, service) = service().await;
    let service = Arc::new(service);
    let gate = Arc::clone(&service.gate).write_owned().await;
    let running = hold_try(&service, "a").await;
    running.abort();
    assert!(running.await.expect_err("aborted").is_cancelled());
    drop(gate);
    assert_eq!(service.usual("a", Try).await.words(), "200 tried again");
    assert_eq!(service.runs("a").await, (1, 0, 0));
}

/// Calls until the answer is final, as the coordinator does.
async fn insist(service: &Service, gid: &str, op: Op) -> String {
    loop {
        let answer = service.usual(gid, op).await;
        if !matches!(answer.status.as_u16(), 202 | 503) {
            return answer.words();
        }
    }
}

/// Two processes on one file get Try twice and Cancel twice at once, many times over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_try_racing_its_cancel_never_leaves_a_reservation() {
    const RACES: usize = 150;
    let (dir, one) = service().await;
    let two = Service::start(&dir.path().join("service.db"), 4).await;
    let services = [Arc::new(one), Arc::new(two)];
    let (mut empty, mut released) = (0, 0);
    for race in 0..RACES {
        let gid = format!("race-{race}");
        let mut calls = JoinSet::new();
        // Either kind goes first in half of the races, on either process.
        let ops = if race % 2 == 0 { [Try, Cancel] } else { [Cancel, Try] };
        for (service, op) in [(0, ops[0]), (1, ops[1]), (1, ops[0]), (0, ops[1])] {
            let (service, gid) = (Arc::clone(&services[service]), gid.clone());
            calls.spawn(async move { (op, insist(&service, &gid, op).await) });
        }
        let answers = calls.join_all().await;
        let runs = services[0].runs(&gid).await;
        match runs {
            (0, 0, 0) => empty += 1,
            (1, 0, 1) => released += 1,
            unsound => panic!("{gid} ran {unsound:?}: {answers:?}"),
        }
        let told = |words: &str| answers.iter().filter(|(_, told)| told == words).count();
        assert_eq!(told("200 tried"), usize::from(runs.0 == 1), "{answers:?}");
        assert_eq!(told("200 cancelled"), 1, "{answers:?}");
        assert_eq!(told("200 cancelled again"), 1, "{answers:?}");
    }
    assert!(empty > 0 && released > 0, "both orders were seen: {empty} empty, {released} released");
}

/// Different branches of one service meet on its one file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transactions_that_meet_on_one_file_all_get_done() {
    let (dir, one) = service().await;
    let two = Service::start(&dir.path().join("service.db"), 4).await;
    let services = [Arc::new(one), Arc::new(two)];
    let mut transactions = JoinSet::new();
    for number in 0..60 {
        let service = Arc::clone(&services[number % 2]);
        transactions.spawn(async move {
            let gid = format!("order-{number}");
            assert_eq!(insist(&service, &gid, Try).await, "200 tried");
            assert_eq!(insist(&service, &gid, Confirm).await, "200 confirmed");
            assert_eq!(service.runs(&gid).await, (1, 1, 0), "{gid}");
        });
    }
    transactions.join_all().await;
}
