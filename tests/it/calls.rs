//! What a participant is sent with every call.

use std::collections::BTreeSet;

use serde_json::json;
use tercet_testing::{Gate, Participant, Reaction, Received, Tercet};
use tercet_wire::{Op, Wall};

use crate::bodies::{begin, begin_open, branch, with};
use crate::expected::transaction;

#[tokio::test]
async fn every_call_carries_the_headers_of_the_contract() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let headers = json!({ "headers": { "x-tenant": "eu", "Authorization": "Bearer t" } });
    let stock = with(branch(&participant, "stock"), headers);
    let client = tercet.client();
    let begun = client.begin("", &begin("order-1", std::slice::from_ref(&stock))).await;
    client.begin("", &begin_open("order-2", &[stock])).await;
    client.cancel("order-2", "", None).await;
    let calls = [
        participant.called("stock", Op::Try, 1).await,
        participant.called("stock", Op::Confirm, 1).await,
        participant.called("stock", Op::Cancel, 1).await,
    ];
    for call in &calls {
        let (gid, op) = (call.gid.as_str(), call.op);
        let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
        assert_eq!(gid, if op == Op::Cancel { "order-2" } else { "order-1" });
        assert_eq!(call.path, format!("/stock/{op}"));
        assert_eq!((header("tercet-branch"), header("tercet-op")), ("stock", op.as_str()));
        assert_eq!(header("tercet-legs"), "try,confirm,cancel");
        assert_eq!(header("tercet-attempt"), "1");
        assert_eq!(header("idempotency-key"), format!("\"{gid}/stock/{op}\""));
        assert_eq!(header("content-type"), "application/json");
        assert_eq!((header("x-tenant"), header("authorization")), ("eu", "Bearer t"));
        assert!(!header("traceparent").is_empty());
        assert_eq!(call.headers.contains_key("tercet-deadline"), op == Op::Try, "on Try only");
        for never in ["cookie", "referer", "accept-encoding"] {
            assert!(!call.headers.contains_key(never), "{never} in {:?}", call.headers);
        }
    }
    assert_eq!(calls[0].instance, begun.word("instance"));
    assert_eq!(calls[1].instance, begun.word("instance"));
    let deadline = calls[0].headers["tercet-deadline"].parse::<Wall>().expect("RFC 3339");
    let transactions = begun.word("deadline_at").parse::<Wall>().expect("RFC 3339");
    assert!(deadline <= transactions, "{deadline} is after {transactions}");
}

#[tokio::test]
async fn attempts_are_counted_and_everything_else_stays_the_same() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    for op in [Op::Try, Op::Confirm] {
        participant.next("stock", op, [Reaction::status(500), Reaction::status(503)]);
    }
    let begun =
        tercet.client().begin("", &begin("order-1", &[branch(&participant, "stock")])).await;
    transaction(&begun, 201, "confirmed");
    for op in [Op::Try, Op::Confirm] {
        let calls = participant.calls_of("stock", op);
        let attempts: Vec<u32> = calls.iter().map(|call| call.attempt).collect();
        assert_eq!(attempts, [1, 2, 3], "{op}");
        let same = |call: &Received| {
            let mut headers = call.headers.clone();
            // The attempt is counted, and each call is a span of its own.
            headers.retain(|name, _| !matches!(name.as_str(), "tercet-attempt" | "traceparent"));
            (headers, call.body.clone(), call.path.clone())
        };
        assert!(calls.iter().all(|call| same(call) == same(&calls[0])), "{calls:#?}");
    }
}

/// The trace a call belongs to.
fn trace(call: &Received) -> &str {
    let parts: Vec<&str> = call.headers["traceparent"].split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(lengths, [2, 32, 16, 2], "{}", call.headers["traceparent"]);
    parts[1]
}

#[tokio::test]
async fn the_trace_that_begin_came_with_goes_on_in_every_call_also_after_a_restart() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let held = Gate::closed();
    participant.next("stock", Op::Confirm, [Reaction::status(200).behind(&held)]);
    let (trace_id, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let request = tercet
        .client()
        .http()
        .post(format!("http://{}/v1/transactions?wait=decided", tercet.address()));
    let begun = request
        .header("content-type", "application/json")
        .header("traceparent", format!("00-{trace_id}-{span}-01"))
        .body(begin("order-1", &[branch(&participant, "stock")]))
        .send()
        .await;
    assert_eq!(begun.expect("an answer").status().as_u16(), 201);
    participant.called("stock", Op::Confirm, 1).await;
    tercet.kill().await;
    tercet.restart().await;
    tercet.client().finished("order-1").await;
    let calls = participant.calls();
    assert_eq!(calls.len(), 3, "a Try and two Confirms");
    for call in &calls {
        assert_eq!(trace(call), trace_id, "{}", call.op);
        assert!(call.headers["traceparent"].ends_with("-01"), "sampled, as it was");
        assert!(!call.headers["traceparent"].contains(span), "a span of its own");
        assert_eq!(call.instance, calls[0].instance);
    }
}

#[tokio::test]
async fn without_a_trace_the_calls_of_a_transaction_share_one_and_transactions_do_not() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let stock = [branch(&participant, "stock")];
    tercet.client().begin("", &begin("order-1", &stock)).await;
    participant.next("stock", Op::Confirm, [Reaction::status(200).behind(&Gate::closed())]);
    tercet.client().begin("?wait=decided", &begin("order-2", &stock)).await;
    participant.called("stock", Op::Confirm, 2).await;
    tercet.kill().await;
    tercet.restart().await;
    tercet.client().finished("order-2").await;
    let calls = participant.calls();
    let traces = |gid: &str| {
        let of = calls.iter().filter(|call| call.gid == gid);
        of.map(trace).collect::<BTreeSet<&str>>()
    };
    let (one, two) = (traces("order-1"), traces("order-2"));
    assert_eq!((one.len(), two.len()), (1, 1), "one trace each: {one:?} {two:?}");
    assert_ne!(one, two);
}

/// Keeps P6.
#[tokio::test]
async fn branches_are_called_at_once_and_a_slow_one_does_not_hold_up_the_others() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    for op in [Op::Try, Op::Confirm] {
        participant.next("slow", op, [Reaction::status(200).behind(&gate)]);
    }
    let ids = ["slow", "stock", "payment"];
    let body = begin("order-1", &ids.map(|id| branch(&participant, id)));
    client.begin("?wait=accepted", &body).await;
    for id in ids {
        participant.called(id, Op::Try, 1).await;
    }
    // Nobody else waits for the slow one either.
    let other = begin("order-2", &[branch(&participant, "stock")]);
    transaction(&client.begin("", &other).await, 201, "confirmed");
    transaction(&client.get("order-1").await, 200, "trying");
    gate.open();
    transaction(&client.finished("order-1").await, 200, "confirmed");
}

#[tokio::test]
async fn each_leg_is_called_where_its_own_url_says_with_its_query() {
    let tercet = Tercet::start().await;
    let legs = [Participant::start().await, Participant::start().await, Participant::start().await];
    let url = |n: usize| legs[n].url(&format!("/leg?tenant={n}&empty=&q=a%20b"));
    let stock = json!({ "id": "stock", "try": url(0), "confirm": url(1), "cancel": url(2) });
    let client = tercet.client();
    let begun = client.begin("", &begin("order-1", std::slice::from_ref(&stock))).await;
    transaction(&begun, 201, "confirmed");
    client.begin("", &begin_open("order-2", &[stock])).await;
    client.cancel("order-2", "", None).await;
    for (n, op) in Op::ALL.into_iter().enumerate() {
        let call = legs[n].called("stock", op, 1).await;
        assert_eq!(call.path, format!("/leg?tenant={n}&empty=&q=a%20b"));
        assert_eq!(call.headers["host"], legs[n].host_port());
        assert!(legs[n].calls().iter().all(|call| call.op == op), "{:#?}", legs[n].calls());
    }
}

#[tokio::test]
async fn a_branch_is_known_by_the_host_of_its_confirm() {
    let tercet = Tercet::start().await;
    let (one, two) = (Participant::start().await, Participant::start().await);
    let confirm_is_refused = Reaction::status(404);
    two.always("stock", Op::Confirm, confirm_is_refused);
    let stock = json!({ "id": "stock", "try": one.url("/t"), "confirm": two.url("/c") });
    let client = tercet.client();
    client.begin("?wait=decided", &begin("order-1", &[stock])).await;
    client.event("order-1", "parked").await;
    let shown = client.get("order-1").await;
    assert_eq!(shown.branch("stock")["participant"], two.host_port());
    for (participant, found) in [(&one, 0), (&two, 1)] {
        let path = format!("/v1/transactions?participant={}", participant.host_port());
        let list = client.send(http::Method::GET, &path, None).await;
        let count = list.json["items"].as_array().map(Vec::len);
        assert_eq!(count, Some(found), "{path}: {}", list.text);
    }
}
