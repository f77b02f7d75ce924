//! What operators did: who, when, to what and why, in the same commit as its effect.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Reaction, Response, Tercet, eventually};
use tercet_wire::Op;

use crate::access::{Made, as_variable, made};
use crate::bodies::{begin, branch};
use crate::expected::{problem, transaction};
use crate::operator::{in_a_minute, resolve, waits};
use crate::ran::{directory, run};

/// A daemon that knows these.
async fn with_tokens(all: &[&Made]) -> Tercet {
    Tercet::start_with(&[("AUTH__TOKENS", &as_variable(all))]).await
}

async fn audit(client: &Client, query: &str) -> Response {
    client.send(Method::GET, &format!("/v1/audit{query}"), None).await
}

/// The entries of a page.
async fn entries(client: &Client, query: &str) -> Vec<Value> {
    let page = audit(client, query).await;
    assert_eq!(page.status, 200, "{query}: {}", page.text);
    page.json["items"].as_array().expect("items").clone()
}

/// What an entry says, but for when it was and its id.
fn said(entry: &Value) -> Value {
    let mut entry = entry.clone();
    let fields = entry.as_object_mut().expect("an object");
    for told in ["id", "at"] {
        assert!(fields.remove(told).is_some_and(|value| value.is_string()), "{entry}");
    }
    entry
}

/// Begins a transaction whose branch `slow` waits a minute for its next Confirm.
async fn slow(client: &Client, participant: &Participant, gid: &str) {
    client.begin("?wait=decided", &begin(gid, &[branch(participant, "slow")])).await;
    waits(client, gid).await;
}

async fn retry(client: &Client, path: &str) -> Response {
    client.send(Method::POST, path, None).await
}

/// Keeps P3.
#[tokio::test]
async fn each_act_has_one_entry_that_outlives_a_crash() {
    let (alice, bob) = (made("alice", "operator").await, made("bob", "operator").await);
    let mut tercet = with_tokens(&[&alice, &bob]).await;
    let participant = Participant::start().await;
    participant.always("slow", Op::Confirm, in_a_minute());
    let by = |made: &Made, tercet: &Tercet| tercet.client().with_token(&made.token);
    let client = by(&alice, &tercet);
    for gid in ["order-1", "order-2", "order-3"] {
        slow(&client, &participant, gid).await;
    }
    assert_eq!(entries(&client, "").await, Vec::<Value>::new(), "begin is no act of an operator");
    let mut expected = Vec::new();
    // Each is killed right after its answer: what was told is there.
    let answer = retry(&client, "/v1/transactions/order-1/retry").await;
    tercet.kill().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    expected.push(json!({
        "who": "alice", "role": "operator", "action": "retry", "gid": "order-1", "branch": null,
        "note": null, "detail": { "calls": 1 },
    }));
    tercet.restart().await;
    let client = by(&bob, &tercet);
    waits(&client, "order-2").await;
    let word = json!({ "as": "cancelled", "note": "ticket 4711" });
    let answer = resolve(&client, "order-2", "slow", &word).await;
    tercet.kill().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    expected.push(json!({
        "who": "bob", "role": "operator", "action": "resolve", "gid": "order-2", "branch": "slow",
        "note": "ticket 4711", "detail": { "as": "cancelled" },
    }));
    tercet.restart().await;
    let client = by(&alice, &tercet);
    waits(&client, "order-3").await;
    let at = participant.host_port();
    let answer = retry(&client, &format!("/v1/retry?participant={at}")).await;
    tercet.kill().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let filter = json!({ "status": "trying,confirming,cancelling", "participant": at });
    expected.push(json!({
        "who": "alice", "role": "operator", "action": "retry-all", "gid": null, "branch": null,
        "note": null, "detail": { "filter": filter },
    }));
    tercet.restart().await;
    let client = by(&alice, &tercet);
    let found = entries(&client, "").await;
    expected.reverse();
    assert_eq!(found.iter().map(said).collect::<Vec<_>>(), expected);
    // The effects are there too, and those of a larger act name it.
    transaction(&client.finished("order-2").await, 200, "confirmed");
    assert_eq!(client.get("order-2").await.branch("slow")["resolved_as"], "cancelled");
    let retried = client.event("order-3", "retried").await;
    let act = found[0]["id"].as_str().expect("an id");
    assert_eq!(retried["detail"], format!("by alice (act {act})"));
}

#[tokio::test]
async fn what_was_refused_or_is_nobodys_act_has_no_entry() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let (word, stock) = (json!({ "as": "confirmed" }), branch(&participant, "stock"));
    transaction(&client.begin("", &begin("order-1", &[stock])).await, 201, "confirmed");
    participant.always("slow", Op::Confirm, in_a_minute());
    slow(&client, &participant, "order-2").await;
    problem(
        &resolve(&client, "order-1", "stock", &word).await,
        "already-finished",
        Some("order-1"),
    );
    problem(&resolve(&client, "order-2", "b9", &word).await, "branch-not-found", Some("order-2"));
    let wrong = json!({ "as": "done" });
    problem(&resolve(&client, "order-2", "slow", &wrong).await, "invalid-request", None);
    problem(
        &retry(&client, "/v1/transactions/none-1/retry").await,
        "transaction-not-found",
        Some("none-1"),
    );
    problem(&retry(&client, "/v1/retry?status=confirmed").await, "invalid-request", None);
    // Nobody but a node names the act that something is a part of.
    let act = "0198a5c2-6c1e-7d10-8a3b-5d0c2f7e9b41";
    let posed = retry(&client, &format!("/v1/transactions/order-2/retry?act={act}")).await;
    problem(&posed, "invalid-request", None);
    // Of what has ended there is nothing to be called.
    transaction(&retry(&client, "/v1/transactions/order-1/retry").await, 200, "confirmed");
    assert_eq!(entries(&client, "").await, Vec::<Value>::new());
    // Where nobody is asked for a token, who does it is known by their address.
    let answer = resolve(&client, "order-2", "slow", &word).await;
    transaction(&answer, 200, "confirmed");
    let found = entries(&client, "").await;
    assert_eq!(
        (found.len(), &found[0]["who"], &found[0]["role"]),
        (1, &json!("127.0.0.1"), &json!("operator"))
    );
}

#[tokio::test]
async fn a_word_that_waits_for_a_call_has_its_entry_when_it_is_given() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let held = tercet_testing::Gate::closed();
    participant.next("slow", Op::Confirm, [Reaction::status(200).behind(&held)]);
    client.begin("?wait=decided", &begin("order-1", &[branch(&participant, "slow")])).await;
    participant.called("slow", Op::Confirm, 1).await;
    let path = "/v1/transactions/order-1/branches/slow/resolve?wait_ms=0";
    let body = json!({ "as": "confirmed", "note": "why" }).to_string();
    let answer = client.send(Method::POST, path, Some(&body)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let found = entries(&client, "?action=resolve").await;
    assert_eq!((found.len(), &found[0]["note"]), (1, &json!("why")));
    held.open();
}

#[tokio::test]
async fn filters_and_pages_find_each_entry_once() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("slow", Op::Confirm, in_a_minute());
    for gid in ["order-1", "order-2"] {
        slow(&client, &participant, gid).await;
        for _ in 0..3 {
            let path = format!("/v1/transactions/{gid}/retry");
            assert_eq!(retry(&client, &path).await.status, 200);
        }
    }
    assert_eq!(retry(&client, "/v1/retry?parked=true").await.json, json!({ "retried": 0 }));
    let everything = entries(&client, "").await;
    assert_eq!(everything.len(), 7);
    let since = everything[2]["at"].as_str().expect("a time").to_owned();
    let is_since = |entry: &&Value| entry["at"].as_str() >= Some(&since);
    let newer = everything.iter().filter(is_since).count();
    for (query, count) in [
        ("?gid=order-1".to_owned(), 3),
        ("?gid=order-1&action=retry".to_owned(), 3),
        ("?gid=order-1&action=resolve".to_owned(), 0),
        ("?action=retry-all".to_owned(), 1),
        ("?who=127.0.0.1".to_owned(), 7),
        ("?who=alice".to_owned(), 0),
        (format!("?since={since}"), newer),
    ] {
        assert_eq!(entries(&client, &query).await.len(), count, "{query}");
    }
    let (mut seen, mut query) = (Vec::new(), "?gid=order-2&limit=2".to_owned());
    let first = audit(&client, &query).await.json["next_cursor"].clone();
    let first = first.as_str().expect("there are more").to_owned();
    loop {
        let page = audit(&client, &query).await.json;
        seen.extend(page["items"].as_array().expect("items").clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?gid=order-2&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, entries(&client, "?gid=order-2").await);
    for (wrong, named) in [
        (format!("?gid=order-1&cursor={first}"), "cursor"),
        (format!("?cursor={first}"), "cursor"),
        ("?cursor=x".to_owned(), "cursor"),
        ("?action=begin".to_owned(), "action"),
        ("?since=yesterday".to_owned(), "since"),
        ("?until=x".to_owned(), "until"),
        ("?limit=0".to_owned(), "limit"),
    ] {
        let refused = audit(&client, &wrong).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").starts_with(named), "{wrong}: {}", refused.text);
    }
}

#[tokio::test]
async fn only_an_operator_reads_the_audit() {
    let roles = [made("v", "viewer").await, made("c", "client").await, made("o", "operator").await];
    let tercet = with_tokens(&roles.iter().collect::<Vec<_>>()).await;
    problem(&audit(&tercet.client(), "").await, "unauthorized", None);
    for made in &roles[..2] {
        let client = tercet.client().with_token(&made.token);
        problem(&audit(&client, "").await, "forbidden", None);
    }
    let operator = tercet.client().with_token(&roles[2].token);
    assert_eq!(audit(&operator, "").await.json, json!({ "items": [], "next_cursor": null }));
}

#[tokio::test]
async fn entries_go_after_their_time() {
    let settings = [("RETENTION__AUDIT_DAYS", "0"), ("RETENTION__INTERVAL_MS", "10")];
    let tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    assert_eq!(retry(&client, "/v1/retry").await.status, 200);
    let gone = async || entries(&client, "").await.is_empty().then_some(());
    eventually("what is too old is gone", gone).await;
}

#[tokio::test]
async fn the_command_line_lists_the_audit_and_exports_all_of_it() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("slow", Op::Confirm, in_a_minute());
    slow(&client, &participant, "order-1").await;
    for _ in 0..2 {
        retry(&client, "/v1/transactions/order-1/retry").await;
    }
    let word = json!({ "as": "confirmed", "note": "ticket \u{1b}[2J" });
    resolve(&client, "order-1", "slow", &word).await;
    let directory = directory();
    let url = format!("http://{}", tercet.address());
    let ran = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["audit"].iter().chain(arguments).copied().collect();
        run(directory.path(), &arguments, &[("TERCET_URL", &url)]).await
    };
    let shown = ran(&[]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert!(lines[0].starts_with("AT ") && lines[1].ends_with("order-1"), "{lines:?}");
    assert_eq!(lines[2], "    branch slow, as confirmed: ticket \\u{1b}[2J");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
    let json: Value = serde_json::from_str(&ran(&["-o", "json"]).await.stdout).expect("JSON");
    assert_eq!(json, audit(&client, "").await.json);
    let exported = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let all = ran(&["-o", "jsonl"]).await;
    assert_eq!(exported(&all.stdout), entries(&client, "").await);
    let retried = ran(&["-o", "jsonl", "--action", "retry", "--who", "127.0.0.1"]).await;
    assert_eq!(exported(&retried.stdout), entries(&client, "?action=retry").await);
    // What was done to many is found by the history, which is said where it is looked for.
    let of_one = ran(&["--gid", "order-1"]).await;
    assert!(of_one.stderr.contains("tercet tx show order-1"), "{}", of_one.stderr);
    assert_eq!(shown.stderr, "");
    // So many and no more; what is left out is said, and where it goes on.
    let some = ran(&["-o", "jsonl", "--limit", "1"]).await;
    assert_eq!(exported(&some.stdout), entries(&client, "?limit=1").await);
    let (_, cursor) = some.stderr.trim().split_once("--cursor ").expect("there are more");
    let rest = ran(&["-o", "jsonl", "--cursor", cursor]).await;
    assert_eq!(exported(&rest.stdout), entries(&client, "").await[1..]);
    for (wrong, code) in [(&["--action", "x"][..], 2), (&["--limit", "0"], 2), (&["-o", "xml"], 2)]
    {
        assert_eq!(ran(wrong).await.code, Some(code), "{wrong:?}");
    }
}
