//! What is shown of the whole: participants and counts.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::problem;

async fn get(client: &Client, path: &str) -> Value {
    let response = client.send(Method::GET, path, None).await;
    assert_eq!(response.status, 200, "{}", response.text);
    response.json
}

#[tokio::test]
async fn stats_count_what_was_told_before() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let empty = get(&client, "/v1/stats").await;
    let none =
        json!({ "trying": 0, "confirming": 0, "cancelling": 0, "confirmed": 0, "cancelled": 0 });
    assert_eq!(empty["by_status"], none);
    assert_eq!(empty["oldest_unfinished_seconds"], Value::Null);
    participant.always("stuck", Op::Confirm, Reaction::status(404));
    participant.next("refuses", Op::Try, [Reaction::status(409)]);
    client.begin("", &begin("a", &[branch(&participant, "stock")])).await;
    client.begin("", &begin("b", &[branch(&participant, "refuses")])).await;
    client.begin("", &begin_open("c", &[])).await;
    client.begin("?wait=decided", &begin("d", &[branch(&participant, "stuck")])).await;
    client.event("d", "parked").await;
    // A finished transaction may be told of before its end is written; a list waits for it.
    client.finished("a").await;
    let stats = get(&client, "/v1/stats").await;
    let counts =
        json!({ "trying": 1, "confirming": 1, "cancelling": 0, "confirmed": 1, "cancelled": 1 });
    assert_eq!(stats["by_status"], counts);
    assert_eq!((&stats["parked"], &stats["quarantined"]), (&json!(1), &json!(0)));
    assert!(
        stats["oldest_unfinished_seconds"].as_f64().is_some_and(|age| (0.0..60.0).contains(&age))
    );
    let node = &stats["nodes"][0];
    assert_eq!(node["state"], "live", "{stats}");
    assert_eq!(node["url"], format!("http://{}", tercet.address()));
    assert!(node["id"].is_string() && node["since"].is_string(), "{stats}");
    assert_eq!(node["protocol"], tercet_wire::NODE_PROTOCOL, "{stats}");
    let refused = client.send(Method::GET, "/v1/stats?since=1", None).await;
    problem(&refused, "invalid-request", None);
}

#[tokio::test]
async fn participants_show_what_is_under_way_and_how_much_failed() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let (dead, client) = (Participant::start().await, tercet.client());
    assert_eq!(get(&client, "/v1/participants").await, json!({ "items": [] }));
    let gate = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&gate)]);
    client.begin("?wait=accepted", &begin("order-1", &[branch(&participant, "stock")])).await;
    participant.called("stock", Op::Try, 1).await;
    dead.next("away", Op::Try, [Reaction::status(503)]);
    client.begin("", &begin("order-2", &[branch(&dead, "away")])).await;
    client.finished("order-2").await;
    let participants = get(&client, "/v1/participants").await;
    let of = |at: &Participant| {
        let items = participants["items"].as_array().expect("items");
        let found = items.iter().find(|item| item["participant"] == at.host_port());
        found.cloned().unwrap_or_else(|| panic!("{} in {participants}", at.host_port()))
    };
    let busy = of(&participant);
    assert_eq!((&busy["in_flight"], &busy["waiting"]), (&json!(1), &json!(0)), "{busy}");
    assert_eq!((&busy["breaker"], &busy["calls"]), (&json!("closed"), &json!(0)), "{busy}");
    let troubled = of(&dead);
    assert_eq!((&troubled["calls"], &troubled["failures"]), (&json!(3), &json!(1)), "{troubled}");
    assert_eq!(troubled["failure_rate"], 0.333, "{troubled}");
    assert_eq!(troubled["answers"], answers(&[("done", 2), ("transient_error", 1)]));
    gate.open();
    client.finished("order-1").await;
}

/// All results of calls, with these numbers.
fn answers(numbers: &[(&str, u64)]) -> Value {
    let mut answers = json!({ "done": 0, "refused": 0, "in_progress": 0, "transient_error": 0,
        "permanent_error": 0, "reservation_lost": 0, "unanswered": 0 });
    for (result, number) in numbers {
        answers[*result] = json!(number);
    }
    answers
}

#[tokio::test]
async fn participants_show_who_waits_for_them_is_parked_and_what_they_said() {
    let tercet = Tercet::start_with(&[("RETRY__MAX_BACKOFF_MS", "60000")]).await;
    let (participant, client) = (Participant::start().await, tercet.client());
    let shown = async || {
        let participants = get(&client, "/v1/participants").await;
        participants["items"][0].clone()
    };
    participant.next("sold-out", Op::Try, [Reaction::status(409)]);
    client.begin("", &begin("a", &[branch(&participant, "sold-out")])).await;
    // Gone for good: parked at once, and then it waits to be called again.
    participant.always("gone", Op::Confirm, Reaction::status(410));
    client.begin("?wait=decided", &begin("b", &[branch(&participant, "gone")])).await;
    client.event("b", "parked").await;
    participant.always("slow", Op::Confirm, Reaction::status(202).header("retry-after", "60"));
    client.begin("?wait=decided", &begin("c", &[branch(&participant, "slow")])).await;
    let two_wait = async || {
        let now = shown().await;
        (now["waiting"] == 2 && now["in_flight"] == 0).then_some(now)
    };
    let now = eventually("two wait for their next call", two_wait).await;
    assert_eq!(now["parked"], 1, "{now}");
    let said = |result: &str| now["answers"][result].as_u64().expect("a number");
    assert_eq!((said("refused"), said("in_progress"), said("unanswered")), (1, 1, 0), "{now}");
    assert!(said("reservation_lost") >= 1 && said("done") >= 2, "{now}");
    let results = now["answers"].as_object().expect("results").values();
    let sum: u64 = results.filter_map(Value::as_u64).sum();
    assert_eq!(now["calls"], sum, "{now}");
    assert_eq!(now["failures"], said("reservation_lost"), "{now}");
}

#[tokio::test]
async fn participants_show_a_breaker_as_it_is_and_what_waits_behind_it() {
    const MANY: usize = 8;
    // One probe is under way at a time, and is held by the test.
    let settings = [("DISPATCHER__PROBE_TIMEOUT_MS", "60000"), ("RETRY__MAX_BACKOFF_MS", "100")];
    let (tercet, mut mortal) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    let shown = async || {
        let participants = get(&client, "/v1/participants").await;
        let items = participants["items"].as_array().expect("items");
        assert_eq!(items.len(), 1, "{participants}");
        items[0].clone()
    };
    let held = Gate::closed();
    mortal.always("stock", Op::Confirm, Reaction::status(200).behind(&held));
    for n in 0..MANY {
        let body = begin(&format!("order-{n}"), &[branch(&mortal, "stock")]);
        client.begin("?wait=decided", &body).await;
    }
    mortal.called("stock", Op::Confirm, MANY).await;
    let busy = shown().await;
    assert_eq!((&busy["breaker"], &busy["in_flight"]), (&json!("closed"), &json!(MANY)), "{busy}");
    mortal.stop().await;
    tercet.logged("a participant does not answer").await;
    // All but a probe wait, once each has come to its next call.
    let open = async || {
        let now = shown().await;
        let all = now["waiting"].as_u64()? + now["in_flight"].as_u64()?;
        (now["breaker"] == "open" && all == MANY as u64 && now["waiting"] != 0).then_some(now)
    };
    let open = eventually("all wait behind an open breaker", open).await;
    assert!(open["failures"].as_u64().is_some_and(|failures| failures >= 5), "{open}");
    mortal.restart().await;
    held.open();
    for n in 0..MANY {
        client.finished(&format!("order-{n}")).await;
    }
    let closed = async || (shown().await["breaker"] == "closed").then_some(());
    eventually("it is called freely again", closed).await;
}
