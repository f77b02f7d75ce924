//! `tercet tx`: what it prints, and the exit codes that scripts go by.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, RawParticipant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;
use crate::operator::{in_a_minute, waits};
use crate::ran::{Ran, directory, run};

/// Runs `tercet tx` against this daemon.
async fn tx(tercet: &Tercet, arguments: &[&str]) -> Ran {
    let directory = directory();
    let url = format!("http://{}", tercet.address());
    let arguments: Vec<&str> = ["tx"].iter().chain(arguments).copied().collect();
    run(directory.path(), &arguments, &[("TERCET_URL", &url)]).await
}

/// What it printed, when all went well.
async fn well(tercet: &Tercet, arguments: &[&str]) -> String {
    let ran = tx(tercet, arguments).await;
    assert_eq!(ran.code, Some(0), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
    ran.stdout
}

#[tokio::test]
async fn an_operator_finds_what_is_parked_and_ends_it_from_the_command_line() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("stuck", Op::Confirm, Reaction::status(404));
    let body = begin("order-1", &[branch(&participant, "stuck")]);
    tercet.client().begin("?wait=decided", &body).await;
    tercet.client().event("order-1", "parked").await;
    let listed = well(&tercet, &["list", "--parked"]).await;
    assert!(listed.contains("order-1") && listed.contains("parked"), "{listed}");
    let shown = well(&tercet, &["show", "order-1"]).await;
    for said in
        ["order-1  confirming, parked", "PARKED", "answered 404", "call-failed", "tx resolve"]
    {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    let resolve = [
        "resolve",
        "order-1",
        "stuck",
        "--as",
        "confirmed",
        "--note",
        "seen in their books",
        "--yes",
    ];
    let resolved = well(&tercet, &resolve).await;
    assert!(resolved.contains("by hand"), "{resolved}");
    transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
    let shown = well(&tercet, &["show", "order-1"]).await;
    assert!(shown.contains("as confirmed by 127.0.0.1: seen in their books"), "{shown}");
    assert!(well(&tercet, &["list", "--parked"]).await.contains("no transactions"));
}

#[tokio::test]
async fn what_waits_is_retried_one_by_one_or_all_at_a_participant() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("slow", Op::Confirm, in_a_minute());
    for gid in ["order-1", "order-2", "order-3"] {
        client.begin("?wait=decided", &begin(gid, &[branch(&participant, "slow")])).await;
        waits(&client, gid).await;
    }
    participant.always("slow", Op::Confirm, Reaction::status(200));
    well(&tercet, &["retry", "order-1"]).await;
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let at = participant.host_port();
    let all = well(&tercet, &["-o", "json", "retry", "--all", "--participant", &at, "--yes"]).await;
    let all: Value = serde_json::from_str(&all).expect("json");
    assert_eq!(all, json!({ "retried": 2 }));
    for gid in ["order-2", "order-3"] {
        transaction(&client.finished(gid).await, 200, "confirmed");
    }
}

#[tokio::test]
async fn open_transactions_are_confirmed_and_cancelled_and_json_is_the_coordinators_own() {
    let tercet = Tercet::start().await;
    for gid in ["open-1", "open-2"] {
        tercet.client().begin("", &begin_open(gid, &[])).await;
    }
    let confirmed = well(&tercet, &["confirm", "open-1"]).await;
    assert!(confirmed.starts_with("open-1  confirmed"), "{confirmed}");
    let cancel = ["cancel", "open-2", "--reason", "no stock", "-o", "json"];
    let cancelled: Value = serde_json::from_str(&well(&tercet, &cancel).await).expect("json");
    assert_eq!(cancelled, tercet.client().get("open-2").await.json);
    assert_eq!(cancelled["reason_detail"], "no stock");
}

#[tokio::test]
async fn the_exit_code_says_why_nothing_was_done() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let code = async |arguments: &[&str]| {
        let ran = tx(&tercet, arguments).await;
        assert!(!ran.stderr.is_empty(), "{arguments:?}: {}", ran.stdout);
        ran.code
    };
    let held = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&held)]);
    let body = begin("order-1", &[branch(&participant, "stock")]);
    tercet.client().begin("?wait=accepted", &body).await;
    assert_eq!(code(&["show", "none-1"]).await, Some(3));
    assert_eq!(code(&["resolve", "order-1", "b9", "--as", "confirmed", "--yes"]).await, Some(3));
    assert_eq!(code(&["resolve", "order-1", "stock", "--as", "confirmed", "--yes"]).await, Some(4));
    assert_eq!(code(&["confirm", "order-1"]).await, Some(4));
    for wrong in [
        &["retry"][..],
        &["retry", "order-1", "--all"],
        &["resolve", "order-1", "stock", "--as", "confirmed"],
        &["resolve", "order-1", "stock"],
        &["resolve", "order-1", "stock", "--as", "done"],
        &["show", "a/b"],
        &["list", "--status", "done"],
        &["list", "--url", "ftp://h"],
        &["lsit"],
    ] {
        assert_eq!(code(wrong).await, Some(2), "{wrong:?}");
    }
    // Nobody listens on the port of a participant that is gone.
    let gone = format!("http://{}", participant.host_port());
    drop(participant);
    assert_eq!(code(&["list", "--url", &gone]).await, Some(6));
    held.open();
}

#[tokio::test]
async fn a_refusal_is_told_with_what_to_do_and_as_json_to_who_wants_json() {
    let tercet = Tercet::start().await;
    let ran = tx(&tercet, &["show", "none-1"]).await;
    assert!(ran.stderr.contains("There is no such transaction"), "{}", ran.stderr);
    assert!(ran.stderr.contains("begin"), "what to do: {}", ran.stderr);
    let ran = tx(&tercet, &["show", "none-1", "-o", "json"]).await;
    let problem: Value = serde_json::from_str(&ran.stdout).expect("json");
    assert_eq!(problem["code"], "transaction-not-found");
}

#[tokio::test]
async fn retrying_all_takes_the_word_that_all_are_meant() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("slow", Op::Confirm, in_a_minute());
    for gid in ["order-1", "order-2"] {
        client.begin("?wait=decided", &begin(gid, &[branch(&participant, "slow")])).await;
        waits(&client, gid).await;
    }
    for bare in
        [&["retry", "--all"][..], &["retry", "--all", "-o", "json", "--gid-prefix", "order-"]]
    {
        let ran = tx(&tercet, bare).await;
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        for said in ["2 transactions", "--yes"] {
            assert!(ran.stderr.contains(said), "{said} in {}", ran.stderr);
        }
    }
    let confirms = participant.calls_of("slow", Op::Confirm).len();
    assert_eq!(confirms, 2, "nobody is called on the word of that");
    participant.always("slow", Op::Confirm, Reaction::status(200));
    let all = well(&tercet, &["retry", "--all", "--yes"]).await;
    assert!(all.starts_with("2 transactions"), "{all}");
    for gid in ["order-1", "order-2"] {
        transaction(&client.finished(gid).await, 200, "confirmed");
    }
}

#[tokio::test]
async fn a_list_goes_on_behind_the_cursor_of_the_page_before() {
    let tercet = Tercet::start().await;
    for gid in ["order-1", "order-2", "order-3"] {
        tercet.client().begin("", &begin_open(gid, &[])).await;
    }
    let page = async |more: &[&str]| -> Value {
        let arguments = [&["list", "-o", "json", "--limit", "2"][..], more].concat();
        serde_json::from_str(&well(&tercet, &arguments).await).expect("json")
    };
    let first = page(&[]).await;
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let rest = page(&["--cursor", cursor]).await;
    let gids = [&first["items"][0], &first["items"][1], &rest["items"][0]].map(|item| &item["gid"]);
    assert_eq!(gids, ["order-3", "order-2", "order-1"]);
    assert_eq!(
        (rest["items"].as_array().map(Vec::len), &rest["next_cursor"]),
        (Some(1), &Value::Null)
    );
}

#[tokio::test]
async fn a_resolution_against_the_decision_is_warned_of_first() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("stuck", Op::Confirm, Reaction::status(404));
    let body = begin("order-1", &[branch(&participant, "stuck")]);
    tercet.client().begin("?wait=decided", &body).await;
    tercet.client().event("order-1", "parked").await;
    for (as_, is_warned) in [("cancelled", true), ("confirmed", false)] {
        let ran = tx(&tercet, &["resolve", "order-1", "stuck", "--as", as_]).await;
        assert!(ran.code == Some(2) && ran.stderr.contains("--yes"), "{}", ran.stderr);
        for words in ["WARNING", "the decision of order-1 is confirm", "mixed"] {
            assert_eq!(ran.stderr.contains(words), is_warned, "{words}: {}", ran.stderr);
        }
    }
    transaction(&tercet.client().get("order-1").await, 200, "confirming");
}

#[tokio::test]
async fn whose_word_is_taken_is_said_before_another_is_asked_for() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let gate = Gate::closed();
    participant.next("slow", Op::Confirm, [Reaction::status(200).behind(&gate)]);
    let client = tercet.client();
    client.begin("?wait=decided", &begin("order-1", &[branch(&participant, "slow")])).await;
    participant.called("slow", Op::Confirm, 1).await;
    let path = "/v1/transactions/order-1/branches/slow/resolve?wait_ms=0";
    let word = json!({ "as": "confirmed", "note": "ticket 1" }).to_string();
    assert_eq!(client.send(Method::POST, path, Some(&word)).await.status, 202);
    let again = ["resolve", "order-1", "slow", "--as", "confirmed", "--note", "ticket 2"];
    let ran = tx(&tercet, &again).await;
    let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "slow is already resolved as confirmed by 127.0.0.1: ticket 1";
    assert!(ran.code == Some(2) && said.contains(expected), "{said}");
    gate.open();
}

#[tokio::test]
async fn a_transaction_is_shown_whole_and_in_eighty_columns() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let words = "the account is frozen by order of the compliance desk ".repeat(19);
    participant.always("stuck", Op::Confirm, Reaction::status(404).body(&words));
    let mut body: Value =
        serde_json::from_str(&begin("order-1", &[branch(&participant, "stuck")])).expect("json");
    body["metadata"] = json!({ "channel": "web", "customer": "c".repeat(90) });
    tercet.client().begin("?wait=decided", &body.to_string()).await;
    tercet.client().event("order-1", "parked").await;
    let shown = well(&tercet, &["show", "order-1"]).await;
    let long = shown.lines().filter(|line| line.chars().count() > 80);
    assert_eq!(long.collect::<Vec<_>>(), Vec::<&str>::new(), "{shown}");
    let said: String = shown.split_whitespace().collect();
    let whole: String = words.trim_end()[..1_024 - 40].split_whitespace().collect();
    assert!(said.contains(&whole), "{shown}");
    assert!(
        said.contains(&format!("metadata{{\"channel\":\"web\",\"customer\":\"{}", "c".repeat(90)))
    );
    let trace = tercet.client().get("order-1").await.json["trace_id"].clone();
    assert!(shown.contains(trace.as_str().expect("a trace")), "{shown}");
}

#[tokio::test]
async fn a_resolution_is_asked_for_with_who_why_and_a_token_and_done_only_when_it_is() {
    let mut coordinator = RawParticipant::start().await;
    let url = format!("http://{}/below", coordinator.host_port());
    let resolve =
        ["tx", "resolve", "order/1", "b 1", "--as", "cancelled", "--note", "gone", "--yes"];
    for (answer, code) in [
        ("200 OK", 0),
        // A call is under way: a script must not take it for done.
        ("202 Accepted", 1),
        // A proxy, whose coordinator is not there.
        ("502 Bad Gateway", 6),
        ("503 Service Unavailable", 6),
        ("504 Gateway Timeout", 6),
        ("401 Unauthorized", 5),
        ("403 Forbidden", 5),
        ("500 Internal Server Error", 1),
    ] {
        let directory = directory();
        let environment = [("TERCET_URL", url.as_str()), ("TERCET_TOKEN", "a-secret")];
        let asked = async {
            let arrival = coordinator.arrival().await;
            let seen = (arrival.request_line.clone(), arrival.body.clone());
            let token = arrival.header("authorization").map(str::to_owned);
            arrival.answer(answer, if code <= 1 { b"{}" } else { b"<html>no" }).await;
            (seen, token)
        };
        let (ran, ((line, body), token)) =
            tokio::join!(run(directory.path(), &resolve, &environment), asked);
        assert_eq!(ran.code, Some(code), "{answer}: {}", ran.stderr);
        assert!(
            line.starts_with("POST /below/v1/transactions/order%2F1/branches/b%201/resolve?"),
            "{line}"
        );
        let body: Value = serde_json::from_slice(&body).expect("json");
        assert_eq!(body, json!({ "as": "cancelled", "note": "gone" }));
        assert_eq!(token.as_deref(), Some("Bearer a-secret"));
        assert!(!ran.stderr.contains("a-secret") && !ran.stdout.contains("a-secret"));
    }
}

#[tokio::test]
async fn what_others_wrote_reaches_no_terminal_raw() {
    // It turns text around, breaks it, hides it, or has a terminal do something.
    const WILD: &str = "\u{202e}\u{2066}\u{2028}\u{2029}\u{200e}\u{200b}\u{85}\u{9b}\u{1b}\u{7}";
    let said = format!("be{WILD}ware");
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let answer = json!({ "code": "no-stock", "detail": said }).to_string();
    participant.next("stock", Op::Try, [Reaction::status(409).body(&answer)]);
    client.begin("", &begin("refused", &[branch(&participant, "stock")])).await;
    client.begin("", &begin_open("asked", &[])).await;
    let reason = json!({ "reason": said }).to_string();
    client.send(http::Method::POST, "/v1/transactions/asked/cancel", Some(&reason)).await;
    for arguments in [
        &["show", "asked"][..],
        &["show", "refused"],
        &["list"],
        &["show", "asked", "-o", "json"],
        &["list", "-o", "json"],
    ] {
        let shown = well(&tercet, arguments).await;
        let raw: Vec<char> = shown.chars().filter(|c| WILD.contains(*c)).collect();
        assert!(raw.is_empty(), "{arguments:?}: {raw:?}");
        if arguments != ["show", "refused"] {
            assert!(shown.contains("be\\u"), "{arguments:?}: {shown}");
        }
    }
    let json = well(&tercet, &["show", "asked", "-o", "json"]).await;
    let json: Value = serde_json::from_str(&json).expect("json");
    assert_eq!(json["reason_detail"], said, "it means what it meant");
    // Nor by way of an error.
    let ran = told_by_a_stranger("a", "404 Not Found", &not_found(&said)).await;
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let raw: Vec<char> = ran.stderr.chars().filter(|c| WILD.contains(*c)).collect();
    assert!(raw.is_empty() && ran.stderr.contains("be\\u"), "{raw:?} {}", ran.stderr);
}

/// Whatever answers at an address may word its problems as it likes.
fn not_found(said: &str) -> Value {
    json!({ "type": "x", "title": said, "status": 404, "detail": said,
        "code": "transaction-not-found" })
}

/// `tercet tx show` where something answers that is no coordinator of ours.
async fn told_by_a_stranger(gid: &str, status: &str, body: &Value) -> Ran {
    let mut stranger = RawParticipant::start().await;
    let url = format!("http://{}", stranger.host_port());
    let (directory, body) = (directory(), body.to_string());
    let arguments = ["tx", "show", gid, "--url", &url];
    let answer = async { stranger.arrival().await.answer(status, body.as_bytes()).await };
    tokio::join!(run(directory.path(), &arguments, &[]), answer).0
}

/// A line that somebody else has put into a text of ours would be read as ours.
#[tokio::test]
async fn what_others_wrote_makes_no_line_of_its_own() {
    const SAID: &str = "no\norder-9  confirmed\r\u{1b}[2Korder-8\u{2028}\n\nresolved";
    let is_forged = |text: &str| {
        let mut lines = text.split(['\n', '\r', '\u{2028}']);
        lines.any(|line| line.starts_with("order-") || line.starts_with("resolved"))
            || text.contains(['\r', '\u{1b}', '\u{2028}'])
    };
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.next("stock", Op::Try, [Reaction::status(409).body(SAID)]);
    client.begin("", &begin("a-refused", &[branch(&participant, "stock")])).await;
    let gate = Gate::closed();
    let closed = Reaction::status(409).body(SAID);
    participant.next("ledger", Op::Confirm, [closed, Reaction::status(200).behind(&gate)]);
    client.begin("?wait=decided", &begin("a-waits", &[branch(&participant, "ledger")])).await;
    participant.called("ledger", Op::Confirm, 2).await;
    let word = json!({ "as": "cancelled", "note": SAID }).to_string();
    let path = "/v1/transactions/a-waits/branches/ledger/resolve?wait_ms=0";
    client.send(http::Method::POST, path, Some(&word)).await;
    client.begin("", &begin_open("a-given-up", &[])).await;
    let reason = json!({ "reason": SAID }).to_string();
    client.send(http::Method::POST, "/v1/transactions/a-given-up/cancel", Some(&reason)).await;
    for (arguments, words) in [
        (&["show", "a-refused"][..], "stock: try answered 409: no\\n"),
        (&["show", "a-waits"], "ledger: confirm answered 409 at "),
        (&["show", "a-given-up"], "requested: no\\n"),
        (&["list"], "requested: no\\n"),
    ] {
        let shown = well(&tercet, arguments).await;
        assert!(shown.contains(words) && !is_forged(&shown), "{arguments:?}: {shown}");
    }
    gate.open();
    let ran = told_by_a_stranger("a", "404 Not Found", &not_found(SAID)).await;
    assert!(ran.stderr.contains("no\\norder-9") && !is_forged(&ran.stderr), "{}", ran.stderr);
}
