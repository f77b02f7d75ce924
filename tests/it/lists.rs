//! Lists of transactions and the history of one.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
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

#[tokio::test]
async fn a_list_is_filtered_by_what_the_transactions_are() {
    let settings = [("RETRY__MAX_BACKOFF_MS", "20")];
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    let (held, elsewhere) = (Gate::closed(), Participant::start().await);
    participant.always("held", Op::Confirm, Reaction::status(200).behind(&held));
    participant.always("refused", Op::Try, Reaction::status(409));
    participant.always("gone", Op::Confirm, Reaction::status(410));
    for id in ["fine", "refused"] {
        client.begin("", &begin(&format!("is-{id}"), &[branch(&participant, id)])).await;
    }
    for id in ["held", "gone"] {
        let body = begin(&format!("is-{id}"), &[branch(&participant, id)]);
        client.begin("?wait=decided", &body).await;
    }
    client.begin("", &begin_open("is-open", &[])).await;
    let away = begin("is-away", &[branch(&elsewhere, "held")]);
    elsewhere.always("held", Op::Confirm, Reaction::status(200).behind(&held));
    client.begin("?wait=decided", &away).await;
    client.event("is-gone", "parked").await;

    let all = ["is-away", "is-open", "is-gone", "is-held", "is-refused", "is-fine"];
    let here = format!("?participant={}", participant.host_port());
    let there = format!("?participant={}", elsewhere.host_port());
    let both = format!("?participant={}&status=confirming&parked=true", participant.host_port());
    let table: [(&str, &[&str]); 10] = [
        ("", &all),
        ("?status=trying", &["is-open"]),
        ("?status=confirmed", &["is-fine"]),
        ("?status=cancelled,confirmed", &["is-refused", "is-fine"]),
        ("?status=confirming", &["is-away", "is-gone", "is-held"]),
        ("?parked=true", &["is-gone"]),
        (&here, &["is-gone", "is-held"]),
        (&there, &["is-away"]),
        (&both, &["is-gone"]),
        ("?participant=127.0.0.1:1", &[]),
    ];
    for (query, expected) in table {
        let page = list(&client, query).await;
        assert_eq!(gids(&page), expected, "{query}, newest first");
        assert!(page.json["next_cursor"].is_null(), "{query}: {}", page.text);
    }
    let page = list(&client, "?status=confirmed").await;
    let mut item = page.json["items"][0].clone();
    assert_eq!(item["branch_count"], 1);
    // The same as the transaction itself, without its branches and its trace.
    let mut shown = client.get("is-fine").await.json;
    shown.as_object_mut().map(|shown| (shown.remove("branches"), shown.remove("trace_id")));
    item.as_object_mut().map(|item| item.remove("branch_count"));
    assert_eq!(item, shown);
}

#[tokio::test]
async fn pages_put_together_are_the_list_whatever_begins_meanwhile() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    for n in 0..25 {
        client.begin("", &begin_open(&format!("order-{n}"), &[])).await;
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=7".to_owned());
    loop {
        let page = list(&client, &query).await;
        assert!(gids(&page).len() <= 7);
        seen.extend(gids(&page).into_iter().map(str::to_owned));
        client.begin("", &begin_open(&format!("later-{}", seen.len()), &[])).await;
        match page.json["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=7&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("order-{n}")).collect();
    let set = |gids: &[String]| gids.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!((seen.len(), set(&seen)), (25, set(&expected)), "none twice, none left out");
    let whole = list(&client, "?limit=500").await;
    let old: Vec<&str> = gids(&whole).into_iter().filter(|g| g.starts_with("order-")).collect();
    assert_eq!(old, seen, "in the list's own order");
}

#[tokio::test]
async fn a_page_that_is_full_and_the_last_leads_nowhere() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    for n in 0..4 {
        client.begin("", &begin_open(&format!("order-{n}"), &[])).await;
    }
    for limit in [1, 2, 4] {
        let (mut query, mut pages) = (format!("?limit={limit}"), 0);
        loop {
            let page = list(&client, &query).await;
            assert_eq!(gids(&page).len(), limit, "{query}: an empty page, or half of one");
            pages += 1;
            match page.json["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit={limit}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(pages, 4 / limit);
    }
    // The same of histories, which count their lines.
    let mut query = "?limit=1".to_owned();
    let mut kinds = Vec::new();
    transaction(&client.cancel("order-0", "", None).await, 200, "cancelled");
    loop {
        let path = format!("/v1/transactions/order-0/events{query}");
        let page = client.send(Method::GET, &path, None).await;
        let items = page.json["items"].as_array().expect("items");
        assert_eq!(items.len(), 1, "{query}");
        kinds.push(items[0]["kind"].clone());
        match page.json["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(kinds, ["begun", "decided", "finished"]);
}

#[tokio::test]
async fn a_list_is_bounded_by_when_transactions_were_begun() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    let first = client.begin("", &begin_open("order-1", &[])).await;
    // Times are told in milliseconds: the next one must be of another.
    let mut second = client.begin("", &begin_open("order-2", &[])).await;
    let mut n = 2;
    while second.word("created_at") == first.word("created_at") {
        n += 1;
        second = client.begin("", &begin_open(&format!("order-{n}"), &[])).await;
    }
    let (then, last) = (second.word("created_at"), second.word("gid"));
    let after = list(&client, &format!("?created_after={then}")).await;
    assert_eq!(gids(&after), [last], "inclusive");
    let before = list(&client, &format!("?created_before={then}")).await;
    assert!(!gids(&before).contains(&last), "exclusive: {}", before.text);
    assert!(gids(&before).contains(&"order-1"), "{}", before.text);
    let at = format!("?created_after={}&created_before={then}", first.word("created_at"));
    assert_eq!(gids(&list(&client, &at).await), gids(&before));
}

#[tokio::test]
async fn a_list_asked_for_wrongly_is_refused_by_name() {
    let tercet = Tercet::start().await;
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("status=done", "status"),
        ("parked=maybe", "parked"),
        ("participant=nowhere", "participant"),
        ("created_after=yesterday", "created_after"),
        ("created_before=1763640000", "created_before"),
        ("cursor=zz", "cursor"),
        ("order=asc", "order"),
        ("open=perhaps", "open"),
        ("reason=bored", "reason"),
        ("gid_prefix=", "gid_prefix"),
        ("gid_prefix=a/b", "gid_prefix"),
        ("metadata.channel=web", "metadata.channel"),
        ("parked=true&metadata.=web", "metadata."),
        ("parked=true&metadata.a=1&metadata.a=1", "metadata.a"),
    ] {
        let path = format!("/v1/transactions?{query}");
        let response = tercet.client().send(Method::GET, &path, None).await;
        problem(&response, "invalid-request", None);
        assert!(response.word("detail").contains(name), "{query}: {}", response.text);
    }
}

#[tokio::test]
async fn the_history_tells_what_happened_oldest_first_failed_calls_among_it() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.next("stock", Op::Try, [Reaction::status(503).body("busy")]);
    participant.next("stock", Op::Confirm, [Reaction::status(500), Reaction::status(410)]);
    client.begin("", &begin("order-1", &[branch(&participant, "stock")])).await;
    let events = client.events("order-1").await;
    let items = events.json["items"].as_array().cloned().unwrap_or_default();
    let kinds: Vec<&Value> = items.iter().map(|item| &item["kind"]).collect();
    let expected =
        ["begun", "call-failed", "decided", "call-failed", "call-failed", "parked", "finished"];
    assert_eq!(kinds, expected, "{}", events.text);
    assert_eq!((&items[1]["op"], &items[1]["attempt"]), (&"try".into(), &1.into()));
    assert_eq!((&items[4]["op"], &items[4]["attempt"]), (&"confirm".into(), &2.into()));
    assert_eq!(items[1]["branch"], "stock");
    let told =
        |item: &Value, words: &str| item["detail"].as_str().is_some_and(|d| d.contains(words));
    assert!(told(&items[1], "503") && told(&items[4], "410"), "{}", events.text);
    assert!(told(&items[2], "confirm"), "{}", events.text);
    let times: Vec<&str> = items.iter().filter_map(|item| item["at"].as_str()).collect();
    assert!(times.is_sorted() && times.len() == items.len(), "{times:?}");
    let page = client.get("order-1/events?limit=2").await;
    assert_eq!(page.json["items"].as_array().map(Vec::as_slice), Some(&items[..2]));
    let cursor = page.word("next_cursor").to_owned();
    let rest = client.get(&format!("order-1/events?cursor={cursor}")).await;
    assert_eq!(rest.json["items"].as_array().map(Vec::as_slice), Some(&items[2..]));
    assert!(rest.json["next_cursor"].is_null());
}
