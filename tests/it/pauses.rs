//! Participants that an operator pauses: nobody calls them, across restarts, and nothing fails for it.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, branch, with};
use crate::expected::{problem, transaction};
use crate::ran::{directory, run};

async fn word(client: &Client, participant: &str, word: &str, body: &Value) -> Response {
    let path = format!("/v1/participants/{participant}/{word}");
    client.send(Method::POST, &path, Some(&body.to_string())).await
}

async fn shown(client: &Client, at: &Participant) -> Value {
    let all = client.send(Method::GET, "/v1/participants", None).await;
    let items = all.json["items"].as_array().cloned().unwrap_or_default();
    let found = items.into_iter().find(|item| item["participant"] == at.host_port());
    found.unwrap_or_else(|| panic!("{} in {}", at.host_port(), all.text))
}

/// Keeps P4, P5.
#[tokio::test]
async fn a_paused_participant_is_not_called_until_it_is_resumed() {
    let settings = [("RETRY__PARK_AFTER_MS", "200"), ("RETRY__MAX_BACKOFF_MS", "20")];
    let mut tercet = Tercet::start_with(&settings).await;
    let (paused, other) = (Participant::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    paused.next("under-way", Op::Confirm, [Reaction::status(503).behind(&gate)]);
    client.begin("?wait=decided", &begin("order-1", &[branch(&paused, "under-way")])).await;
    paused.called("under-way", Op::Confirm, 1).await;
    let answer = word(&client, &paused.host_port(), "pause", &json!({ "note": "restoring" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let said = answer.field("paused");
    assert_eq!((&said["by"], &said["note"]), (&json!("127.0.0.1"), &json!("restoring")));
    assert!(said["at"].is_string());
    // What was under way ends, and is not made again.
    gate.open();
    client.event("order-1", "call-failed").await;
    let waits = client.get("order-1").await;
    assert_eq!(waits.branch("under-way")["next_attempt_at"], Value::Null, "{}", waits.text);
    assert_eq!(waits.branch("under-way")["paused"], true, "{}", waits.text);
    let body = begin("order-2", &[branch(&paused, "tried"), branch(&other, "elsewhere")]);
    client.begin("?wait=accepted", &body).await;
    other.called("elsewhere", Op::Try, 1).await;
    assert_eq!(client.get("order-2").await.branch("elsewhere")["paused"], Value::Null);
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    let short = with(
        serde_json::from_str(&begin("order-3", &[branch(&paused, "late")])).expect("JSON"),
        json!({ "timeout_ms": 300 }),
    );
    // A Try waits up to its deadline: its transaction is cancelled then, and its Cancel waits.
    client.begin("?wait=decided", &short.to_string()).await;
    transaction(&client.get("order-3").await, 200, "cancelling");
    assert_eq!(client.get("order-3").await.word("reason"), "deadline");
    let retried = client.send(Method::POST, "/v1/retry", None).await;
    assert_eq!(retried.status, 200, "{}", retried.text);
    let now = shown(&client, &paused).await;
    assert_eq!((&now["paused"]["by"], &now["waiting"]), (&json!("127.0.0.1"), &json!(3)), "{now}");
    assert_eq!((&now["parked"], &now["in_flight"]), (&json!(0), &json!(0)), "{now}");
    assert_eq!(client.get("order-1").await.field("parked"), &json!(false));
    assert_eq!(client.get("order-2").await.branch("tried")["attempts"]["try"], 0);
    assert_eq!(paused.calls().len(), 2, "the Try and the Confirm before: {:?}", paused.calls());
    let audit = client.send(Method::GET, "/v1/audit?action=pause", None).await;
    let entry = &audit.json["items"][0];
    assert_eq!((&entry["who"], &entry["note"]), (&json!("127.0.0.1"), &json!("restoring")));
    assert_eq!(entry["detail"], json!({ "participant": paused.host_port() }));

    let answer = word(&client, &paused.host_port(), "resume", &json!({})).await;
    assert_eq!((answer.status, answer.field("paused")), (200, &Value::Null), "{}", answer.text);
    transaction(&client.finished("order-1").await, 200, "confirmed");
    transaction(&client.finished("order-2").await, 200, "confirmed");
    transaction(&client.finished("order-3").await, 200, "cancelled");
    assert_eq!(paused.calls_of("late", Op::Try).len(), 0);
    assert_eq!(
        client.send(Method::GET, "/v1/audit?action=resume", None).await.json["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn a_pause_that_is_repeated_changes_nothing() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let (client, at) = (tercet.client(), participant.host_port());
    let first = word(&client, &at, "pause", &json!({ "note": "restoring" })).await;
    assert_eq!((first.status, first.field("known")), (200, &json!(false)), "{}", first.text);
    let again = word(&client, &at, "pause", &json!({ "note": "another" })).await;
    assert_eq!((again.status, again.field("paused")), (200, first.field("paused")));
    assert_eq!((first.field("changed"), again.field("changed")), (&json!(true), &json!(false)));
    for _ in 0..2 {
        let resumed = word(&client, &at, "resume", &json!({})).await;
        assert_eq!((resumed.status, resumed.field("paused")), (200, &Value::Null));
    }
    let never = word(&client, "pay.example:80", "resume", &json!({})).await;
    assert_eq!((never.status, never.field("known")), (200, &json!(false)), "{}", never.text);
    client.begin("", &begin("order-1", &[branch(&participant, "a")])).await;
    let anew = word(&client, &at, "pause", &json!({ "note": "another" })).await;
    assert_eq!(
        (&anew.field("paused")["note"], anew.field("known")),
        (&json!("another"), &json!(true))
    );
    let audit = client.send(Method::GET, "/v1/audit", None).await;
    let rows = audit.json["items"].as_array().expect("rows");
    let told: Vec<_> =
        rows.iter().map(|row| (row["action"].as_str(), row["note"].as_str())).collect();
    let pause = |note| (Some("pause"), Some(note));
    assert_eq!(told, [pause("another"), (Some("resume"), None), pause("restoring")]);
}

#[tokio::test]
async fn a_pause_asked_for_wrongly_is_refused_by_name() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    for name in ["pay", "pay:", "pay:70000", "a%2Fb:80", "%20:80"] {
        for way in ["pause", "resume"] {
            let refused = word(&client, name, way, &json!({})).await;
            problem(&refused, "invalid-request", None);
            assert!(refused.word("detail").contains("participant"), "{name}: {}", refused.text);
        }
    }
    for (body, named) in
        [(json!({ "note": "x".repeat(1_025) }), "note"), (json!({ "why": 1 }), "why")]
    {
        let refused = word(&client, "pay:80", "pause", &body).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").contains(named), "{}", refused.text);
    }
    // One that was never called may be paused; its name is that of its URLs.
    let paused = word(&client, "Pay.Example:80", "pause", &json!({})).await;
    assert_eq!((paused.status, paused.word("participant")), (200, "pay.example:80"));
    assert_eq!(paused.field("paused")["note"], Value::Null);
}

#[tokio::test]
async fn the_command_line_pauses_where_it_is_meant_and_shows_who_has() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let (client, directory, at) = (tercet.client(), directory(), participant.host_port());
    let url = format!("http://{}", tercet.address());
    let ran = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["participants"].iter().chain(arguments).copied().collect();
        run(directory.path(), &arguments, &[("TERCET_URL", &url)]).await
    };
    // Off a terminal nobody can be asked.
    let unmeant = ran(&["pause", &at]).await;
    assert_eq!(unmeant.code, Some(2), "{}", unmeant.stdout);
    assert!(unmeant.stderr.contains("--yes") && unmeant.stderr.contains(&at), "{}", unmeant.stderr);
    assert_eq!(ran(&[]).await.stdout, "no participant was called lately, and none is paused\n");
    let paused = ran(&["pause", &at, "--note", "restoring \u{1b}[2J", "--yes"]).await;
    assert_eq!(paused.code, Some(0), "{}", paused.stderr);
    let again = ran(&["pause", &at, "--note", "another", "--yes"]).await;
    let said = "already paused by 127.0.0.1 at ";
    assert!(again.stdout.contains(said), "{}", again.stdout);
    assert!(again.stdout.contains("Z: restoring \\u{1b}[2J\n"), "{}", again.stdout);
    client.begin("?wait=accepted", &begin("order-1", &[branch(&participant, "a")])).await;
    let environment = [("TERCET_URL", &*url)];
    let retried = run(directory.path(), &["tx", "retry", "order-1"], &environment).await;
    assert!(
        retried.stdout.contains("NOT called: a, whose participant is paused"),
        "{}",
        retried.stdout
    );
    let list = ran(&[]).await.stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("PARTICIPANT") && lines[1].starts_with(&at), "{list}");
    assert!(lines[1].contains("PAUSED"), "{list}");
    assert!(
        lines[3].ends_with("Z: restoring \\u{1b}[2J") && lines[3].contains("127.0.0.1"),
        "{list}"
    );
    assert!(lines.iter().take(3).all(|line| line.chars().count() <= 80), "{list}");
    let json: Value = serde_json::from_str(&ran(&["-o", "json"]).await.stdout).expect("JSON");
    assert_eq!(json["items"][0]["paused"]["note"], "restoring \u{1b}[2J");
    let gauge = format!("tercet_participant_paused{{participant=\"{at}\"}}");
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    assert!(metrics.contains(&format!("{gauge} 1\n")), "{metrics}");
    // To call it again nobody is asked.
    let resumed = ran(&["resume", &at]).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(!resumed.stdout.contains("nothing was changed"), "{}", resumed.stdout);
    let again = ran(&["resume", &at]).await.stdout;
    assert!(again.contains("was not paused"), "{again}");
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    assert!(metrics.contains(&format!("{gauge} 0\n")), "{metrics}");
    assert_eq!(ran(&["pause", "nowhere", "--yes"]).await.code, Some(2));
}
