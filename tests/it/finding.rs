//! How an operator finds what is looked for among many: by gid, reason, metadata, from the oldest on.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet};
use tercet_wire::Op;

use crate::access::{as_variable, made};
use crate::bodies::{begin, begin_open, branch, with};
use crate::expected::{problem, transaction};

async fn list(client: &Client, query: &str) -> Response {
    let response = client.send(Method::GET, &format!("/v1/transactions{query}"), None).await;
    assert_eq!(response.status, 200, "{query}: {}", response.text);
    response
}

fn gids(page: &Response) -> Vec<&str> {
    let items = page.json["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["gid"].as_str()).collect()
}

fn said(body: &str, metadata: Value) -> String {
    let body: Value = serde_json::from_str(body).expect("JSON");
    with(body, json!({ "metadata": metadata })).to_string()
}

#[tokio::test]
async fn what_is_looked_for_is_found_among_the_rest() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let held = Gate::closed();
    participant.always("held", Op::Confirm, Reaction::status(200).behind(&held));
    participant.always("refused", Op::Try, Reaction::status(409));
    for (gid, id, metadata) in [
        ("is-fine", "fine", json!({ "channel": "web", "basket": 7, "gift": true })),
        ("is-refused", "refused", json!({ "channel": "shop" })),
    ] {
        client.begin("", &said(&begin(gid, &[branch(&participant, id)]), metadata)).await;
    }
    client.begin("", &said(&begin_open("is-open", &[]), json!({ "basket": "7" }))).await;
    client.begin("", &begin_open("IS-dropped", &[])).await;
    transaction(&client.cancel("IS-dropped", "", None).await, 200, "cancelled");
    let body = begin("is-held", &[branch(&participant, "held")]);
    let metadata = json!({ "channel": "web", "a.b": "dotted é" });
    client.begin("?wait=decided", &said(&body, metadata)).await;

    let table: [(&str, &[&str]); 19] = [
        ("?order=newest", &["is-held", "IS-dropped", "is-open", "is-refused", "is-fine"]),
        ("?order=oldest", &["is-fine", "is-refused", "is-open", "IS-dropped", "is-held"]),
        ("?order=oldest&status=confirmed,confirming", &["is-fine", "is-held"]),
        // As they were begun, also after their end.
        ("?open=true", &["IS-dropped", "is-open"]),
        ("?open=false&order=oldest", &["is-fine", "is-refused", "is-held"]),
        ("?reason=try-refused", &["is-refused"]),
        ("?reason=requested,try-refused", &["IS-dropped", "is-refused"]),
        ("?reason=deadline", &[]),
        ("?reason=requested&status=confirmed", &[]),
        ("?gid_prefix=is-", &["is-held", "is-open", "is-refused", "is-fine"]),
        ("?gid_prefix=IS-", &["IS-dropped"]),
        ("?gid_prefix=is-held.", &[]),
        ("?gid_prefix=is-&open=true", &["is-open"]),
        ("?metadata.channel=web&status=confirmed,confirming", &["is-held", "is-fine"]),
        (
            "?metadata.channel=web&metadata.basket=7&created_after=2020-01-01T00:00:00Z",
            &["is-fine"],
        ),
        ("?metadata.basket=7&created_before=2100-01-01T00:00:00Z", &["is-open", "is-fine"]),
        ("?metadata.gift=true&status=confirmed", &["is-fine"]),
        ("?metadata.a.b=dotted%20%C3%A9&status=confirming", &["is-held"]),
        ("?metadata.channel=web&parked=true", &[]),
    ];
    for (query, expected) in table {
        let page = list(&client, query).await;
        assert_eq!(gids(&page), expected, "{query}");
        assert!(page.json["next_cursor"].is_null(), "{query}: {}", page.text);
    }
}

#[tokio::test]
async fn a_cursor_holds_for_what_was_asked_for() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    for n in 0..7 {
        let body = said(&begin_open(&format!("order-{n}"), &[]), json!({ "n": n % 2 }));
        client.begin("", &body).await;
    }
    let asked = "order=oldest&gid_prefix=order-&status=trying&metadata.n=1";
    let page = list(&client, &format!("?{asked}&limit=2")).await;
    assert_eq!(gids(&page), ["order-1", "order-3"]);
    let cursor = page.word("next_cursor").to_owned();
    let rest = list(&client, &format!("?limit=1&{asked}&cursor={cursor}")).await;
    assert_eq!(gids(&rest), ["order-5"]);
    for other in [
        "",
        "&order=oldest",
        "&gid_prefix=order-&status=trying&metadata.n=1",
        "&order=newest&gid_prefix=order-&status=trying&metadata.n=1",
        "&order=oldest&gid_prefix=order&status=trying&metadata.n=1",
        "&order=oldest&gid_prefix=order-&status=trying&metadata.n=0",
        "&order=oldest&gid_prefix=order-&status=trying",
        "&order=oldest&gid_prefix=order-&status=trying,confirmed&metadata.n=1",
    ] {
        let path = format!("/v1/transactions?cursor={cursor}{other}");
        let refused = client.send(Method::GET, &path, None).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").contains("cursor"), "{other}: {}", refused.text);
    }
}

#[tokio::test]
async fn retrying_all_that_a_filter_finds_takes_the_same_filters() {
    let settings = [("RETRY__INITIAL_BACKOFF_MS", "60000"), ("RETRY__MAX_BACKOFF_MS", "60000")];
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    participant.next("a", Op::Confirm, [Reaction::status(500), Reaction::status(500)]);
    for gid in ["eu-1", "us-1"] {
        let body = said(&begin(gid, &[branch(&participant, "a")]), json!({ "region": &gid[..2] }));
        client.begin("?wait=decided", &body).await;
        client.event(gid, "call-failed").await;
    }
    let path = "/v1/retry?gid_prefix=eu-&metadata.region=eu&open=false";
    let retried = client.send(Method::POST, path, None).await;
    assert_eq!(retried.json, json!({ "retried": 1 }));
    transaction(&client.finished("eu-1").await, 200, "confirmed");
    assert_eq!(client.get("us-1").await.word("status"), "confirming");
    let audit = client.send(Method::GET, "/v1/audit?action=retry-all", None).await;
    let filter = &audit.json["items"][0]["detail"]["filter"];
    assert_eq!(filter["gid_prefix"], "eu-");
    assert_eq!((&filter["metadata.region"], &filter["open"]), (&json!("eu"), &json!(false)));
}

#[tokio::test]
async fn payloads_are_shown_to_operators_who_ask_for_them() {
    let roles = [
        made("eve", "viewer").await,
        made("orders", "client").await,
        made("ops", "operator").await,
    ];
    let tokens = as_variable(&[&roles[0], &roles[1], &roles[2]]);
    let tercet = Tercet::start_with(&[("AUTH__TOKENS", tokens.as_str())]).await;
    let participant = Participant::start().await;
    let [viewer, orders, operator] = roles.map(|made| tercet.client().with_token(&made.token));
    let pay = with(branch(&participant, "pay"), json!({ "payload": "HERE" }));
    let plain = branch(&participant, "plain");
    let body =
        begin("order-1", &[pay, plain]).replace("\"HERE\"", "{ \"card\" :\"4711\", \"sum\":1.50}");
    transaction(&orders.begin("", &body).await, 201, "confirmed");
    for query in ["?include=payload", "?wait=finished&include=payload"] {
        let shown = operator.get(&format!("order-1{query}")).await;
        transaction(&shown, 200, "confirmed");
        // To the byte, and what was not given as what is sent instead.
        assert!(
            shown.text.contains("\"payload\":{ \"card\" :\"4711\", \"sum\":1.50}"),
            "{}",
            shown.text
        );
        assert_eq!(shown.branch("plain")["payload"], json!({}));
        let confirm = shown.branch("plain")["urls"]["confirm"].clone();
        let confirm = confirm.as_str().unwrap_or_default();
        assert!(confirm.starts_with("http://") && confirm.ends_with("/confirm"), "{}", shown.text);
        for client in [&viewer, &orders] {
            let refused = client.get(&format!("order-1{query}")).await;
            problem(&refused, "forbidden", None);
            assert!(refused.word("detail").contains("operator"), "{}", refused.text);
        }
    }
    for client in [&viewer, &orders, &operator] {
        let shown = client.get("order-1").await;
        for of_operators in ["payload", "urls"] {
            assert!(shown.branch("pay").get(of_operators).is_none(), "{}", shown.text);
        }
        assert!(!shown.text.contains("4711"));
    }
    let misspelt = operator.get("order-1?include=payloads").await;
    problem(&misspelt, "invalid-request", None);
    assert!(misspelt.word("detail").contains("include"), "{}", misspelt.text);
}
