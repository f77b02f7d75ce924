//! Begin is idempotent: a gid and its content are one transaction, and no other.

use serde_json::{Value, json};
use tercet_testing::{Participant, Tercet};
use tercet_wire::Op;

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
                "try_by": "coordinator", "headers": {},
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
    // The default of this one is a setting: whoever gives it asks for something else.
    let given = json!({ "branches": [{
        "id": "stock", "endpoint": url, "payload": {"sku": "A1"}, "timeout_ms": 3_000,
    }] });
    let other = client.begin("", &with(first, given).to_string()).await;
    assert_eq!((other.status, other.word("code")), (409, "gid-reused"), "{}", other.text);
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
        assert_eq!(response.header("location"), format!("transactions/{gid}"));
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
