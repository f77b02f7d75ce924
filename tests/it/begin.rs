//! Begin is idempotent, and what it was given arrives as it was given.

use serde_json::{Value, json};
use tercet_protocol::Op;
use tercet_tests::{Participant, Tercet};

use crate::bodies::{begin, branch, with};
use crate::expected::{problem, transaction};

#[tokio::test]
async fn the_same_content_in_another_form_is_a_repeat() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let url = participant.url("/stock");
    let first = json!({
        "gid": "order-1",
        "branches": [{ "id": "stock", "endpoint": url, "payload": {"sku": "A1"} }],
        "metadata": { "channel": "web", "shop": { "a": 1, "b": [1, 2] } },
    });
    transaction(&client.begin("", &first.to_string()).await, 201, "confirmed");
    let same = [
        // Keys in another order, and space between them.
        format!(
            r#" {{ "metadata": {{"shop":{{"b":[1,2],"a":1}}, "channel":"web"}},
            "branches": [ {{ "payload":{{"sku":"A1"}}, "endpoint":"{url}", "id":"stock" }} ],
            "gid":"order-1" }} "#
        ),
        // Defaults spelled out.
        with(first.clone(), json!({ "open": false, "timeout_ms": 30_000 })).to_string(),
        with(
            first.clone(),
            json!({ "branches": [{
                "id": "stock", "endpoint": url, "payload": {"sku": "A1"},
                "timeout_ms": 3_000, "try_by": "coordinator", "headers": {},
            }] }),
        )
        .to_string(),
        // The three URLs that an endpoint is short for, and a slash that is dropped.
        with(
            first.clone(),
            json!({ "branches": [{
                "id": "stock", "payload": {"sku": "A1"}, "try": format!("{url}/try"),
                "confirm": format!("{url}/confirm"), "cancel": format!("{url}/cancel"),
            }] }),
        )
        .to_string(),
        with(
            first.clone(),
            json!({ "branches": [{
                "id": "stock", "endpoint": format!("{url}/"), "payload": {"sku": "A1"},
            }] }),
        )
        .to_string(),
    ];
    for body in same {
        let repeat = client.begin("", &body).await;
        assert_eq!(repeat.status, 200, "{body}: {}", repeat.text);
    }
    assert_eq!(participant.calls().len(), 2, "one Try and one Confirm in all");
}

#[tokio::test]
async fn other_content_under_a_taken_gid_is_refused_also_after_the_end() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let stock = with(branch(&participant, "stock"), json!({ "payload": {"sku": "A1"} }));
    let first = json!({ "gid": "order-1", "branches": [stock] });
    transaction(&client.begin("", &first.to_string()).await, 201, "confirmed");
    let of = |fields: Value| {
        let branch = with(stock.clone(), fields);
        with(first.clone(), json!({ "branches": [branch] })).to_string()
    };
    // The same payload, but not to the byte.
    let bytes = first.to_string().replace(r#"{"sku":"A1"}"#, r#"{"sku": "A1"}"#);
    assert_ne!(bytes, first.to_string());
    let others = [
        bytes,
        of(json!({ "payload": {"sku": "A2"} })),
        of(json!({ "timeout_ms": 3_001 })),
        of(json!({ "headers": {"x-tenant": "eu"} })),
        of(json!({ "id": "stocks" })),
        of(json!({ "endpoint": participant.url("/other") })),
        with(first.clone(), json!({ "metadata": {"channel": "web"} })).to_string(),
        with(first.clone(), json!({ "timeout_ms": 29_999 })).to_string(),
        with(first.clone(), json!({ "open": true })).to_string(),
        with(first.clone(), json!({ "branches": [stock, branch(&participant, "more")] }))
            .to_string(),
        begin("order-1", &[]),
    ];
    for body in others {
        let reused = client.begin("", &body).await;
        assert_eq!(reused.word("code"), "gid-reused", "{body}: {}", reused.text);
    }
    assert_eq!(participant.calls().len(), 2);
}

#[tokio::test]
async fn a_payload_arrives_byte_for_byte_in_every_call_and_an_absent_one_as_an_empty_object() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let payloads = [
        ("spaced", r#"{ "b" :1.50,   "a":"\u00e9", "b":2 }"#),
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
async fn without_a_gid_each_begin_is_another_transaction_with_a_uuid_of_version_7() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let body = json!({ "branches": [branch(&participant, "stock")] }).to_string();
    let (one, two) = (client.begin("", &body).await, client.begin("", &body).await);
    assert_ne!(one.word("gid"), two.word("gid"));
    for response in [&one, &two] {
        let gid = response.word("gid");
        transaction(response, 201, "confirmed");
        assert_eq!((gid.len(), gid.as_bytes()[14]), (36, b'7'), "{gid}");
        assert_eq!(response.header("location"), format!("/v1/transactions/{gid}"));
        assert_eq!(client.get(gid).await.word("instance"), response.word("instance"));
        assert_eq!(response.word("instance").as_bytes()[14], b'7');
    }
}

#[tokio::test]
async fn branches_without_an_id_are_named_by_their_position() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let anonymous = json!({ "endpoint": participant.url("/any") });
    let named = branch(&participant, "stock");
    let body = begin("order-1", &[anonymous.clone(), named, anonymous]);
    let begun = tercet.client().begin("", &body).await;
    let ids: Vec<&Value> =
        begun.json["branches"].as_array().into_iter().flatten().map(|b| &b["id"]).collect();
    assert_eq!(ids, ["b1", "stock", "b3"]);
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
        "next_attempt_at": null, "last_error": null, "answer": null, "resolved_as": null,
        "finished_at": shown.branch("stock")["finished_at"],
    });
    assert!(shown.branch("stock")["finished_at"].is_string());
    let mut expected = json!({
        "gid": "order-1", "instance": shown.word("instance"), "pattern": "tcc",
        "status": "confirmed", "open": false, "reason": null, "reason_detail": null,
        "parked": false, "metadata": {"channel": "web"}, "branches": [branch],
    });
    for name in times {
        expected[name] = json!(shown.word(name));
    }
    assert_eq!(shown.json, expected);
    assert!(!shown.text.contains("s3cret"), "header values are secrets");
    assert!(!tercet.log().contains("s3cret"), "header values are secrets");
}

#[tokio::test]
async fn a_gid_and_another_of_which_it_is_a_prefix_do_not_see_each_other() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    // Also in ways that a LIKE or a case-blind comparison would mix up.
    let gids = ["order-1", "order-10", "order-1.0", "order_1", "Order-1", "order-", "order"];
    for gid in gids {
        let id = format!("of-{gid}");
        let body = begin(gid, &[branch(&participant, &id)]);
        let begun = client.begin("", &body).await;
        transaction(&begun, 201, "confirmed");
    }
    for gid in gids {
        let shown = client.get(gid).await;
        assert_eq!(shown.json["branches"].as_array().map(Vec::len), Some(1), "{}", shown.text);
        assert_eq!(shown.branch(&format!("of-{gid}"))["status"], "confirmed");
        assert_eq!(participant.calls_of(&format!("of-{gid}"), Op::Confirm).len(), 1, "{gid}");
        let events = client.events(gid).await;
        assert_eq!(events.json["items"].as_array().map(Vec::len), Some(3), "{}", events.text);
    }
    problem(&client.get("order-100").await, "transaction-not-found", Some("order-100"));
}
