//! Requests that are not as the contract says: each is 400 and names the field.

use serde_json::{Map, Value, json};
use tercet_testing::{Participant, Tercet};

use crate::bodies::{begin_open, branch, with};
use crate::expected::problem;

#[tokio::test]
async fn a_begin_that_is_not_as_it_must_be_names_the_field_and_begins_nothing() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let url = participant.url("/x");
    let own = format!("http://{}/x", tercet.address());
    let own_name = format!("http://localhost:{}/x", tercet.address().port());
    let one = |fields: Value| json!({ "branches": [with(json!({ "id": "a" }), fields)] });
    let leg = |fields: Value| one(with(json!({ "cancel": url }), fields));
    let headers = |count: usize| -> Value {
        let pairs = (0..count).map(|n| (format!("x-{n}"), json!("v")));
        pairs.collect::<Map<String, Value>>().into()
    };
    let many = |count: usize| vec![json!({ "cancel": url }); count];
    let table = [
        (json!({ "gird": "order-1" }), "gird"),
        (json!({ "gid": "" }), "gid"),
        (json!({ "gid": "-a" }), "gid"),
        (json!({ "gid": "a b" }), "gid"),
        (json!({ "gid": "é" }), "gid"),
        (json!({ "gid": "a".repeat(129) }), "gid"),
        (json!({ "gid": 7 }), "gid"),
        (json!({ "timeout_ms": 99 }), "timeout_ms"),
        (json!({ "timeout_ms": 86_400_001 }), "timeout_ms"),
        (json!({ "timeout_ms": -1 }), "timeout_ms"),
        (json!({ "timeout_ms": "5s" }), "timeout_ms"),
        (json!({ "open": "yes" }), "open"),
        (json!({ "metadata": "web" }), "metadata"),
        (json!({ "metadata": { "note": "x".repeat(4_096) } }), "metadata"),
        (json!({ "branches": {} }), "branches"),
        (json!({ "branches": many(65) }), "branches"),
        (json!({ "branches": ["http://a/"] }), "branches[0]"),
        (one(json!({})), "branches[0]"),
        (one(json!({ "url": url })), "url"),
        (leg(json!({ "id": "a/b" })), "branches[0].id"),
        (leg(json!({ "id": "a".repeat(65) })), "branches[0].id"),
        (
            json!({ "branches": [{"id": "a", "cancel": url}, {"id": "a", "cancel": url}] }),
            "branches[1].id",
        ),
        (json!({ "branches": [{"id": "b2", "cancel": url}, {"cancel": url}] }), "branches[1].id"),
        (one(json!({ "endpoint": format!("{url}?a=b") })), "branches[0].endpoint"),
        (one(json!({ "endpoint": url, "try": url })), "branches[0].endpoint"),
        (one(json!({ "try": "/relative" })), "branches[0].try"),
        (one(json!({ "try": "ftp://127.0.0.1/x" })), "branches[0].try"),
        (one(json!({ "confirm": "http://me:pw@127.0.0.1/x" })), "branches[0].confirm"),
        (one(json!({ "cancel": format!("{url}#part") })), "branches[0].cancel"),
        (one(json!({ "cancel": format!("{url}/{}", "a".repeat(2_048)) })), "branches[0].cancel"),
        (one(json!({ "cancel": own })), "branches[0].cancel"),
        (one(json!({ "endpoint": own_name })), "branches[0].endpoint"),
        (leg(json!({ "timeout_ms": 9 })), "branches[0].timeout_ms"),
        (leg(json!({ "timeout_ms": 600_001 })), "branches[0].timeout_ms"),
        (leg(json!({ "try_by": "nobody" })), "try_by"),
        (leg(json!({ "try_by": "initiator" })), "branches[0].try_by"),
        (leg(json!({ "headers": headers(17) })), "branches[0].headers"),
        (leg(json!({ "headers": { "x-long": "v".repeat(1_024) } })), "branches[0].headers"),
        (leg(json!({ "headers": { "x a": "v" } })), "branches[0].headers"),
        (leg(json!({ "headers": { "x-a": "v\nw" } })), "branches[0].headers"),
        (leg(json!({ "headers": { "x-a": 1 } })), "headers"),
    ];
    for (body, field) in table {
        let body = if body.get("gid").is_none() {
            with(json!({ "gid": "order-1" }), body).to_string()
        } else {
            body.to_string()
        };
        let response = client.begin("", &body).await;
        assert_eq!(response.word("code"), "invalid-request", "{body}: {}", response.text);
        problem(&response, "invalid-request", None);
        assert!(response.word("detail").contains(field), "{field}: {}", response.text);
    }
    problem(&client.get("order-1").await, "transaction-not-found", Some("order-1"));
    assert_eq!(participant.calls(), []);
}

#[tokio::test]
async fn a_header_that_is_tercets_own_is_refused_by_name_and_values_are_not_repeated() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    for name in [
        "tercet-gid",
        "Tercet-Anything",
        "idempotency-key",
        "Idempotency-Key",
        "webhook-id",
        "webhook-signature",
        "traceparent",
        "tracestate",
        "content-type",
        "content-length",
        "host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
    ] {
        let branch = with(branch(&participant, "a"), json!({ "headers": { name: "s3cret" } }));
        let body = json!({ "gid": "order-1", "branches": [branch] }).to_string();
        let response = tercet.client().begin("", &body).await;
        assert_eq!(response.word("code"), "invalid-request", "{name}: {}", response.text);
        let detail = response.word("detail").to_ascii_lowercase();
        assert!(detail.contains(&name.to_ascii_lowercase()), "{name}: {detail}");
        assert!(!response.text.contains("s3cret"), "{}", response.text);
    }
    assert!(!tercet.log().contains("s3cret"), "header values are secrets");
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    for body in ["", "{", "[]", "null", "1", r#""order""#, "{}{}", r#"{"gid":"a","gid":"b"}"#] {
        problem(&client.begin("", body).await, "invalid-request", None);
        let registered = client.register("order-1", "", body).await;
        assert_eq!(registered.word("code"), "invalid-request", "{body}: {}", registered.text);
    }
}

#[tokio::test]
async fn registering_and_cancelling_check_what_they_are_given() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    let stock = branch(&participant, "stock");
    for (body, field) in [
        (json!({ "cancel": participant.url("/x") }), "id"),
        (with(stock.clone(), json!({ "gid": "order-1" })), "gid"),
        (with(stock.clone(), json!({ "try_by": "initiator" })), "try_by"),
        (with(stock.clone(), json!({ "id": "" })), "id"),
        (json!({ "id": "stock" }), ""),
    ] {
        let response = client.register("order-1", "", &body.to_string()).await;
        assert_eq!(response.word("code"), "invalid-request", "{body}: {}", response.text);
        assert!(response.word("detail").contains(field), "{field}: {}", response.text);
    }
    for body in [r#"{"why":"x"}"#, r#"{"reason":7}"#, "[]"] {
        let response = client.cancel("order-1", "", Some(body)).await;
        assert_eq!(response.word("code"), "invalid-request", "{body}: {}", response.text);
    }
    let gid = "a".repeat(129);
    for wrong in ["-a", "a%20b", "%C3%A9", gid.as_str()] {
        let response = client.get(wrong).await;
        assert_eq!(response.word("code"), "invalid-request", "{wrong}: {}", response.text);
    }
    assert_eq!(client.get("order-1").await.word("status"), "trying");
    assert_eq!(participant.calls(), []);
}
