//! Branches that an operator has called elsewhere: durably, recorded, and compared with what was begun.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, branch, with};
use crate::expected::{problem, transaction};
use crate::ran::{directory, run};

async fn readdress(client: &Client, gid: &str, id: &str, body: &Value) -> Response {
    let path = format!("/v1/transactions/{gid}/branches/{id}");
    client.send(Method::PATCH, &path, Some(&body.to_string())).await
}

/// A branch `a` whose Confirms are answered 404 at `old`, until it is parked; with a header.
async fn parked(client: &Client, old: &Participant, gid: &str) -> String {
    old.always("a", Op::Confirm, Reaction::status(404));
    let headers = json!({ "headers": { "authorization": "Bearer ended" } });
    let body = begin(gid, &[with(branch(old, "a"), headers)]);
    client.begin("?wait=decided", &body).await;
    client.event(gid, "parked").await;
    body
}

/// Keeps P1, P4.
#[tokio::test]
async fn a_branch_is_called_where_its_participant_has_moved_to() {
    let mut tercet = Tercet::start_with(&[("RETRY__MAX_BACKOFF_MS", "600000")]).await;
    let (old, new) = (Participant::start().await, Participant::start().await);
    let client = tercet.client();
    let begun = parked(&client, &old, "order-1").await;
    let gate = Gate::closed();
    new.next("a", Op::Confirm, [Reaction::status(503).behind(&gate)]);
    let word = json!({
        "endpoint": new.url("/moved"),
        "headers": { "Authorization": "Bearer fresh", "X-Tenant": "eu" },
        "note": "moved to the other data centre",
    });
    let answer = readdress(&client, "order-1", "a", &word).await;
    transaction(&answer, 200, "confirming");
    let shown = answer.branch("a").clone();
    assert_eq!(shown["participant"], new.host_port());
    assert_eq!((&shown["last_answer"], &shown["last_error"]), (&Value::Null, &Value::Null));
    assert_eq!(answer.field("parked"), &json!(false));
    new.called("a", Op::Confirm, 1).await;
    let (from, to) = (old.calls_of("a", Op::Confirm).len(), old.host_port());
    // It is found where it is.
    for (host, found) in [(new.host_port(), 1), (to.clone(), 0)] {
        let list =
            client.send(Method::GET, &format!("/v1/transactions?participant={host}"), None).await;
        assert_eq!(
            list.json["items"].as_array().map(Vec::len),
            Some(found),
            "{host}: {}",
            list.text
        );
    }
    // It dies before that is answered: what was told holds.
    tercet.kill().await;
    gate.open();
    tercet.restart().await;
    let client = tercet.client();
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let call = new.calls_of("a", Op::Confirm).pop().expect("a call");
    assert_eq!(call.path, "/moved/confirm");
    assert_eq!(call.headers["authorization"], "Bearer fresh");
    assert_eq!(call.headers["x-tenant"], "eu");
    assert_eq!(old.calls_of("a", Op::Confirm).len(), from);

    // Who, why, before and after: no values of headers, and no paths.
    let line = client.event("order-1", "readdressed").await;
    let detail = line["detail"].as_str().expect("words");
    let expected = format!(
        "by 127.0.0.1: try from {to} to {new}, confirm from {to} to {new}, cancel from {to} to \
         {new}, headers from authorization to authorization x-tenant: moved to the other data centre",
        new = new.host_port()
    );
    assert_eq!((line["branch"].as_str(), detail), (Some("a"), expected.as_str()));
    let audit = client.send(Method::GET, "/v1/audit?action=readdress", None).await;
    let entry = &audit.json["items"][0];
    let at = |host: &str, headers: &[&str]| json!({ "try": host, "confirm": host, "cancel": host, "headers": headers });
    assert_eq!(entry["detail"]["before"], at(&to, &["authorization"]));
    assert_eq!(entry["detail"]["after"], at(&new.host_port(), &["authorization", "x-tenant"]));
    assert_eq!((&entry["branch"], &entry["note"]), (&json!("a"), &word["note"]));
    assert!(!audit.text.contains("Bearer") && !audit.text.contains("/moved"), "{}", audit.text);
    transaction(&client.begin("?wait=finished", &begun).await, 200, "confirmed");
    problem(&readdress(&client, "order-1", "a", &word).await, "already-finished", Some("order-1"));
}

#[tokio::test]
async fn a_try_is_called_elsewhere_while_its_transaction_is_trying() {
    let (tercet, old, new) =
        (Tercet::start().await, Participant::start().await, Participant::start().await);
    let client = tercet.client();
    old.always("a", Op::Try, Reaction::status(202).header("retry-after", "60"));
    client.begin("?wait=accepted", &begin("order-1", &[branch(&old, "a")])).await;
    old.called("a", Op::Try, 1).await;
    let word = json!({ "try": new.url("/try"), "confirm": new.url("/yes") });
    transaction(&readdress(&client, "order-1", "a", &word).await, 200, "trying");
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let paths: Vec<String> = new.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/try", "/yes"]);
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_by_name() {
    let (tercet, old) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    old.always("a", Op::Confirm, Reaction::status(503));
    let only_confirm = json!({ "id": "a", "confirm": old.url("/confirm") });
    client.begin("?wait=decided", &begin("order-1", &[only_confirm])).await;
    for (body, field) in [
        (json!({}), "body: "),
        (json!({ "note": "why" }), "body: "),
        (json!({ "endpoint": old.url("/a"), "confirm": old.url("/b") }), "endpoint: "),
        (json!({ "confirm": "nowhere" }), "confirm: "),
        (json!({ "confirm": "http://169.254.169.254/" }), "confirm: "),
        (json!({ "try": old.url("/a") }), "try: "),
        (json!({ "cancel": old.url("/a") }), "cancel: "),
        (json!({ "headers": { "Tercet-Op": "x" } }), "headers.Tercet-Op: "),
        (json!({ "headers": {}, "note": "x".repeat(1_025) }), "note: "),
    ] {
        let refused = readdress(&client, "order-1", "a", &body).await;
        let gid = matches!(field, "try: " | "cancel: ").then_some("order-1");
        problem(&refused, "invalid-request", gid);
        assert!(refused.word("detail").starts_with(field), "{body}: {}", refused.text);
    }
    let word = json!({ "endpoint": old.url("/a") });
    problem(&readdress(&client, "order-1", "x", &word).await, "branch-not-found", Some("order-1"));
    problem(&readdress(&client, "none", "a", &word).await, "transaction-not-found", Some("none"));
    let audit = client.send(Method::GET, "/v1/audit", None).await;
    assert_eq!(audit.json["items"], json!([]), "nothing was done");
}

#[tokio::test]
async fn the_command_line_has_a_branch_called_elsewhere() {
    let (tercet, old, new) =
        (Tercet::start().await, Participant::start().await, Participant::start().await);
    let client = tercet.client();
    parked(&client, &old, "order-1").await;
    let (directory, url) = (directory(), format!("http://{}", tercet.address()));
    let ran = async |arguments: &[&str]| {
        let arguments: Vec<&str> =
            ["tx", "readdress", "order-1", "a"].iter().chain(arguments).copied().collect();
        run(directory.path(), &arguments, &[("TERCET_URL", &url)]).await
    };
    let nothing = ran(&[]).await;
    assert_eq!(nothing.code, Some(2), "{}", nothing.stderr);
    assert!(nothing.stderr.contains("endpoint"), "{}", nothing.stderr);
    let (to, header) = (new.url("/a"), "Authorization=Bearer fresh");
    let done = ran(&["--endpoint", &to, "--header", header, "--note", "moved"]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains(&new.host_port()), "{}", done.stdout);
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let call = new.calls_of("a", Op::Confirm).pop().expect("a call");
    assert_eq!(call.headers["authorization"], "Bearer fresh");
    assert_eq!(ran(&["--endpoint", &to]).await.code, Some(4), "it has ended");
}
