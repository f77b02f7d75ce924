//! `tercet tx`: what it prints, and the exit codes that scripts go by.

use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, Reaction, Tercet};
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
    let resolve =
        ["resolve", "order-1", "stuck", "--as", "confirmed", "--note", "seen in their books"];
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
    let all = well(&tercet, &["-o", "json", "retry", "--all", "--participant", &at]).await;
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
    assert_eq!(code(&["resolve", "order-1", "b9", "--as", "confirmed"]).await, Some(3));
    assert_eq!(code(&["resolve", "order-1", "stock", "--as", "confirmed"]).await, Some(4));
    assert_eq!(code(&["confirm", "order-1"]).await, Some(4));
    for wrong in [
        &["retry"][..],
        &["retry", "order-1", "--all"],
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
