//! SIGTERM: no new work is taken, what is in flight is finished, and the rest goes on at the
//! next start.

use std::time::Duration;

use tercet_testing::{Gate, Participant, Reaction, Tercet, eventually, soon};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};
use crate::journal_hold::Hold;
use crate::raw::Raw;

/// A grace that no test outlasts: a daemon that waits for its end does not end in time.
const ENDLESS: [(&str, &str); 1] = [("SHUTDOWN__GRACE_MS", "600000")];

#[tokio::test]
async fn an_idle_daemon_ends_at_once_and_well() {
    let mut tercet = Tercet::start_with(&ENDLESS).await;
    let client = tercet.client();
    // A connection that is kept open keeps nobody.
    transaction(&client.begin("", &begin_open("order-1", &[])).await, 201, "trying");
    assert_eq!(tercet.terminate().await.code(), Some(0));
    tercet.restart().await;
    transaction(&tercet.client().confirm("order-1", "").await, 200, "confirmed");
}

#[tokio::test]
async fn what_is_in_flight_is_finished_and_its_initiator_answered() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let gate = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&gate)]);
    let initiator = tokio::spawn({
        let (client, body) = (tercet.client(), begin("order-1", &[branch(&participant, "stock")]));
        async move { client.begin("", &body).await }
    });
    participant.called("stock", Op::Try, 1).await;
    tercet.signal("TERM").await;
    tercet.logged("stopping").await;
    gate.open();
    let told = soon("the answer", initiator).await.expect("no panic");
    transaction(&told, 201, "confirmed");
    assert_eq!(tercet.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_call_under_way_is_waited_for_though_nobody_waits_for_its_answer() {
    let mut tercet = Tercet::start_with(&ENDLESS).await;
    let participant = Participant::start().await;
    let gate = Gate::closed();
    participant.next("stock", Op::Confirm, [Reaction::status(200).behind(&gate)]);
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let begun = tercet.client().begin("?wait=decided", &body).await;
    transaction(&begun, 201, "confirming");
    participant.called("stock", Op::Confirm, 1).await;
    tercet.signal("TERM").await;
    tercet.logged("stopping").await;
    // Time enough to end, for one that does not wait: it would not hear the answer.
    tokio::time::sleep(Duration::from_millis(500)).await;
    gate.open();
    assert_eq!(tercet.ended().await.code(), Some(0));
    tercet.restart().await;
    transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
    let confirms = participant.calls_of("stock", Op::Confirm);
    assert_eq!(confirms.len(), 1, "its answer was heard: {confirms:#?}");
}

#[tokio::test]
async fn new_work_is_refused_meanwhile() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let gate = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&gate)]);
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let initiator = tokio::spawn({
        let client = tercet.client();
        async move { client.begin("", &body).await }
    });
    participant.called("stock", Op::Try, 1).await;
    // Requests that have begun before the signal and are complete only after it.
    let late = begin_open("order-2", &[]);
    let length = late.len();
    let mut connections = Vec::new();
    for _ in 0..5 {
        let mut raw = Raw::connect(tercet.address()).await;
        raw.send("POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\n").await;
        connections.push(raw);
    }
    transaction(&tercet.client().get("order-1").await, 200, "trying");
    tercet.signal("TERM").await;
    // Until nothing is in flight the port stays open, and whoever comes is told.
    let client = tercet.client();
    let refused = async || {
        let told = client.begin("", &begin_open("order-3", &[])).await;
        (told.status == 503).then_some(told)
    };
    let told = eventually("it takes no new work", refused).await;
    problem(&told, "shutting-down", None);
    assert_eq!(told.header("connection"), "close");
    let rest = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{late}");
    for mut raw in connections {
        raw.send(&rest).await;
        let said = raw.until_closed().await;
        assert!(said.starts_with("HTTP/1.1 503"), "{said}");
        assert!(said.contains(r#""code":"shutting-down""#), "{said}");
    }
    gate.open();
    soon("the answer", initiator).await.expect("no panic");
    assert_eq!(tercet.ended().await.code(), Some(0));
    tercet.restart().await;
    assert_eq!(tercet.client().get("order-2").await.status, 404, "nothing happened");
}

/// Keeps P7.
#[tokio::test]
async fn while_it_drains_only_the_probe_says_so() {
    let settings = [("SHUTDOWN__DRAIN_MS", "600000"), ENDLESS[0]];
    let mut tercet = Tercet::start_with(&settings).await;
    let participant = Participant::start().await;
    let client = tercet.client();
    tercet.signal("TERM").await;
    tercet.logged("event=\"draining\"").await;
    let leaves = async || {
        let told = client.send(http::Method::GET, "/readyz", None).await;
        (told.status == 503).then_some(told)
    };
    problem(&eventually("the probe says so", leaves).await, "shutting-down", None);
    let begun = client.begin("", &begin("order-1", &[branch(&participant, "stock")])).await;
    transaction(&begun, 201, "confirmed");
    assert_eq!(begun.header("connection"), "", "the connection is kept");
    // A second signal does not wait for the rest of it, and is no third.
    tercet.signal("TERM").await;
    assert_eq!(tercet.ended().await.code(), Some(0));
    assert!(!tercet.log().contains("stopping_at_once"));
}

#[tokio::test]
async fn a_second_signal_ends_at_once_what_the_first_would_wait_for() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let (mut tercet, participant) =
            (Tercet::start_with(&ENDLESS).await, Participant::start().await);
        let never = Gate::closed();
        participant.next("stock", Op::Try, [Reaction::status(200).behind(&never)]);
        let body = begin("order-1", &[branch(&participant, "stock")]);
        tercet.client().begin("?wait=accepted", &body).await;
        participant.called("stock", Op::Try, 1).await;
        tercet.signal(first).await;
        tercet.logged("event=\"stopping\"").await;
        tercet.signal(second).await;
        assert_eq!(tercet.ended().await.code(), Some(1), "{first}, {second}");
        assert!(tercet.log().contains("event=\"stopping_at_once\""), "it is said before the end");
        tercet.restart().await;
        transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
    }
}

#[tokio::test]
async fn a_hang_up_ends_nothing_and_an_ordinary_stop_raises_no_alarm() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    for _ in 0..2 {
        tercet.signal("HUP").await;
        tercet.logged("event=\"hung_up\"").await;
    }
    let body = begin("order-1", &[branch(&participant, "stock")]);
    transaction(&tercet.client().begin("", &body).await, 201, "confirmed");
    assert_eq!(tercet.terminate().await.code(), Some(0));
    for alarm in ["ERROR", "WARN"] {
        assert!(!tercet.log().contains(alarm), "{}", tercet.log());
    }
}

#[tokio::test]
async fn what_did_not_finish_within_the_grace_goes_on_at_the_next_start() {
    let settings = [("SHUTDOWN__GRACE_MS", "200")];
    let (mut tercet, participant) =
        (Tercet::start_with(&settings).await, Participant::start().await);
    let never = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&never)]);
    participant.next("payment", Op::Confirm, [Reaction::status(200).behind(&never)]);
    let client = tercet.client();
    for (gid, id, wait) in [("order-1", "stock", "accepted"), ("order-2", "payment", "decided")] {
        let body = begin(gid, &[branch(&participant, id)]);
        client.begin(&format!("?wait={wait}"), &body).await;
    }
    let waiting = tokio::spawn(async move {
        client.try_send(http::Method::GET, "/v1/transactions/order-2?wait=finished", None).await
    });
    participant.called("stock", Op::Try, 1).await;
    participant.called("payment", Op::Confirm, 1).await;
    assert_eq!(tercet.terminate().await.code(), Some(0));
    let told = soon("the one who waited hears something", waiting).await.expect("no panic");
    if let Ok(told) = told {
        // Not finished is not failed: unknown, or as it stood.
        assert!(told.status == 503 || told.word("status") == "confirming", "{}", told.text);
    }
    tercet.restart().await;
    for gid in ["order-1", "order-2"] {
        transaction(&tercet.client().finished(gid).await, 200, "confirmed");
    }
    for (id, calls) in [("stock", [2, 1, 0]), ("payment", [1, 2, 0])] {
        assert_eq!(Op::ALL.map(|op| participant.calls_of(id, op).len()), calls, "{id}");
    }
}

#[tokio::test]
async fn a_transaction_that_nobody_waits_for_does_not_keep_the_daemon_from_ending() {
    let (mut tercet, participant) =
        (Tercet::start_with(&ENDLESS).await, Participant::start().await);
    participant.always("stock", Op::Confirm, Reaction::status(503).header("retry-after", "60"));
    let body = begin("order-1", &[branch(&participant, "stock")]);
    tercet.client().begin("?wait=decided", &body).await;
    tercet.client().event("order-1", "call-failed").await;
    // It does not wait for the retry.
    assert_eq!(tercet.terminate().await.code(), Some(0));
    participant.always("stock", Op::Confirm, Reaction::status(200));
    tercet.restart().await;
    transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
}

/// Keeps P9.
#[tokio::test]
async fn a_held_journal_does_not_keep_a_node_beyond_its_grace() {
    let settings = [("SHUTDOWN__GRACE_MS", "10000")];
    let mut tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    transaction(&client.begin("", &begin_open("order-1", &[])).await, 201, "trying");
    let hold = Hold::take(&tercet.database()).await;
    // It waits to be durable until the process ends.
    let waiting = tokio::spawn(async move {
        let body = begin_open("order-2", &[]);
        client.try_send(http::Method::POST, "/v1/transactions", Some(&body)).await
    });
    tercet.logged("the journal cannot write").await;
    // One grace, what stopping at once may take on a busy machine, and no second grace.
    let in_time = std::time::Duration::from_millis(10_000 + 9_000);
    let ended = tokio::time::timeout(in_time, tercet.terminate()).await.expect("in one grace");
    assert_ne!(ended.code(), Some(0), "it could not write all of it");
    hold.release().await;
    // Whatever this one heard, it was not that it was begun.
    let heard = soon("the one who waited hears something", waiting).await.expect("no panic");
    assert!(heard.is_err() || heard.is_ok_and(|told| told.status == 503));
    tercet.restart().await;
    transaction(&tercet.client().confirm("order-1", "").await, 200, "confirmed");
}
