//! What begin was given arrives as it was given, and is shown as it is.

use serde_json::{Value, json};
use tercet_testing::{Participant, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, branch, with};
use crate::expected::transaction;

#[tokio::test]
async fn a_payload_arrives_byte_for_byte_in_every_call_and_an_absent_one_as_an_empty_object() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let payloads = [
        ("deep", deep.as_str()),
        ("spaced", r#"{ "b" : 1.50,   "a":"\u00e9", "b":2 }"#),
        ("large", r#"{"amount":12345678901234567890.12345678901234567890e-7}"#),
        ("text", r#""ünïcödé ✓""#),
        ("null", "null"),
        ("list", "[ ]"),
        ("number", "-0"),
    ];
    let mut branches: Vec<String> = payloads
        .iter()
        .map(|(id, payload)| {
            let url = participant.url("/any");
            format!(r#"{{"id":"{id}","endpoint":"{url}","payload":{payload}}}"#)
        })
        .collect();
    branches.push(branch(&participant, "absent").to_string());
    let body = format!(r#"{{"gid":"order-1","branches":[{}]}}"#, branches.join(","));
    transaction(&tercet.client().begin("", &body).await, 201, "confirmed");
    for (id, payload) in payloads.into_iter().chain([("absent", "{}")]) {
        for op in [Op::Try, Op::Confirm] {
            let calls = participant.calls_of(id, op);
            let bodies: Vec<&str> = calls.iter().map(|call| call.body.as_str()).collect();
            assert_eq!(bodies, [payload], "{op} of {id}");
        }
    }
}

#[tokio::test]
async fn a_leg_that_is_absent_is_done_at_once_and_never_called() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let leg = |id: &str, legs: &[Op]| {
        let urls = legs.iter().map(|op| (op.to_string(), json!(participant.url("/leg"))));
        let mut branch: serde_json::Map<String, Value> = urls.collect();
        branch.insert("id".to_owned(), json!(id));
        Value::Object(branch)
    };
    let branches = [
        leg("message", &[Op::Confirm]),
        leg("saga", &[Op::Try, Op::Cancel]),
        leg("check", &[Op::Try]),
        leg("undo", &[Op::Cancel]),
    ];
    let confirmed = client.begin("", &begin("order-1", &branches)).await;
    transaction(&confirmed, 201, "confirmed");
    let cancelled = json!({ "gid": "order-2", "open": true, "branches": branches }).to_string();
    client.begin("", &cancelled).await;
    transaction(&client.cancel("order-2", "", None).await, 200, "cancelled");
    let calls = |gid: &str, id: &str, op: Op| {
        let calls = participant.calls_of(id, op);
        calls.into_iter().filter(|call| call.gid == gid).count()
    };
    for (id, legs) in
        [("message", "confirm"), ("saga", "try,cancel"), ("check", "try"), ("undo", "cancel")]
    {
        for op in Op::ALL {
            let has = legs.split(',').any(|leg| leg == op.as_str());
            let on_confirm = usize::from(has && op != Op::Cancel);
            assert_eq!(calls("order-1", id, op), on_confirm, "{op} of {id}, confirmed");
            // Whether a Try was still sent before the cancel is a race.
            let on_cancel = usize::from(has && op == Op::Cancel);
            if op != Op::Try {
                assert_eq!(calls("order-2", id, op), on_cancel, "{op} of {id}, cancelled");
            }
        }
        let legs_told = participant.calls().into_iter().filter(|call| call.branch == id);
        assert!(legs_told.into_iter().all(|call| call.headers["tercet-legs"] == legs), "{id}");
    }
    let attempts = &confirmed.branch("undo")["attempts"];
    assert_eq!(attempts, &json!({"try": 0, "confirm": 0, "cancel": 0}));
}

#[tokio::test]
async fn the_transaction_shows_what_the_contract_says() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let body = json!({
        "gid": "order-1", "timeout_ms": 5_000, "metadata": {"channel": "web"},
        "branches": [with(branch(&participant, "stock"), json!({"headers": {"x-key": "s3cret"}}))],
    });
    let begun = client.begin("", &body.to_string()).await;
    let shown = client.get("order-1").await;
    assert_eq!(begun.json, shown.json);
    let times = ["created_at", "deadline_at", "decided_at", "finished_at"];
    for name in times {
        let (date, time) = shown.word(name).split_once('T').expect(name);
        assert_eq!((date.len(), time.len()), (10, 13), "milliseconds, UTC: {}", shown.word(name));
        assert!(time.ends_with('Z'));
    }
    let branch = json!({
        "id": "stock", "participant": participant.host_port(), "status": "confirmed",
        "parked": false, "attempts": {"try": 1, "confirm": 1, "cancel": 0},
        "next_attempt_at": null, "last_error": null, "answer": null, "last_answer": null,
        "resolved_as": null, "pending_resolution": null,
        "finished_at": shown.branch("stock")["finished_at"],
    });
    assert!(shown.branch("stock")["finished_at"].is_string());
    let mut expected = json!({
        "gid": "order-1", "instance": shown.word("instance"), "pattern": "tcc",
        "status": "confirmed", "open": false, "reason": null, "reason_detail": null,
        "parked": false, "metadata": {"channel": "web"}, "branches": [branch],
        "trace_id": shown.word("trace_id"),
    });
    assert_eq!(shown.word("trace_id").len(), 32);
    for name in times {
        expected[name] = json!(shown.word(name));
    }
    assert_eq!(shown.json, expected);
    assert!(!shown.text.contains("s3cret"), "header values are secrets");
    assert!(!tercet.log().contains("s3cret"), "header values are secrets");
}
