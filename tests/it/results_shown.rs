//! Results as people see them, or do not; and those that are strange, or not there.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Response, Tercet};
use tercet_wire::Op;

use crate::access::{as_variable, made};
use crate::expected::{problem, transaction};
use crate::poison::by_hand;
use crate::ran::{directory, run};
use crate::reconcile::Payment;
use crate::results::{body, saga, says, step, told};
use crate::saga_definitions::{definition, put, run as begin_run};

/// A daemon with a client of each role, the least first.
async fn with_roles() -> (Tercet, [Client; 3]) {
    let roles = [
        made("eve", "viewer").await,
        made("orders", "client").await,
        made("ops", "operator").await,
    ];
    let tokens = as_variable(&[&roles[0], &roles[1], &roles[2]]);
    let tercet = Tercet::start_with(&[("AUTH__TOKENS", tokens.as_str())]).await;
    let clients = roles.map(|made| tercet.client().with_token(&made.token));
    (tercet, clients)
}

#[tokio::test]
async fn viewers_are_shown_no_results() {
    let (_tercet, clients) = with_roles().await;
    let participant = Participant::start().await;
    says(&participant, "a", "\"secret seat\"");
    let body = saga("trip", &[told(step(&participant, "a"))]);
    let begun = clients[1].begin("?wait=finished", &body).await;
    transaction(&begun, 201, "confirmed");
    assert!(begun.text.contains("secret seat"));
    for (client, sees) in clients.iter().zip([false, true, true]) {
        for path in ["/v1/transactions/trip", "/v1/transactions/trip?wait=finished"] {
            let shown: Response = client.send(Method::GET, path, None).await;
            transaction(&shown, 200, "confirmed");
            assert_eq!(shown.text.contains("secret seat"), sees, "{}", shown.text);
            assert_eq!(shown.branch("a").get("result").is_some(), sees);
        }
        let events = client.send(Method::GET, "/v1/transactions/trip/events", None).await;
        assert!(!events.text.contains("secret seat"));
    }
}

/// It would have been a result: its beginning is shown to nobody who may not see those.
#[tokio::test]
async fn viewers_are_shown_nothing_of_a_result_that_is_too_large() {
    let (tercet, clients) = with_roles().await;
    let participant = Participant::start().await;
    says(&participant, "a", &"secret seat ".repeat(2_000));
    let body = saga("trip", &[told(step(&participant, "a"))]);
    let ended = clients[1].begin("?wait=finished", &body).await;
    transaction(&ended, 201, "cancelled");
    assert_eq!(ended.branch("a")["last_error"], "result-too-large");
    for path in [
        "/v1/transactions/trip",
        "/v1/transactions/trip/events",
        "/v1/transactions",
        "/v1/transactions?status=cancelled",
    ] {
        let shown = clients[0].send(Method::GET, path, None).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert!(!shown.text.contains("secret"), "{path}: {}", shown.text);
    }
    assert!(!tercet.log().contains("secret"), "{}", tercet.log());
}

/// A participant's result may be JSON that hardly anything can hold. What it is shown by copes.
#[tokio::test]
async fn a_result_that_no_value_can_hold_is_shown_and_reconciled() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let payment = Payment::start(&[]).await;
    let deep = "[".repeat(300) + &"]".repeat(300);
    let url = format!("http://{}", tercet.address());
    let elsewhere = directory();
    for (gid, result) in [("large", "1e400"), ("half", r#""\ud800""#), ("deep", &deep)] {
        says(&participant, "stock", result);
        let branches = [told(step(&participant, "stock")), payment.branch()];
        let begun = json!({ "gid": gid, "branches": branches }).to_string();
        let begun = tercet.client().begin("?wait=finished", &begun).await;
        assert_eq!((begun.status, begun.header("tercet-status")), (201, "confirmed"));
        assert!(begun.text.contains(result), "{}", begun.text);
        for form in ["text", "json"] {
            let show = ["tx", "-o", form, "show", gid];
            let shown = run(elsewhere.path(), &show, &[("TERCET_URL", &url)]).await;
            assert_eq!(shown.code, Some(0), "{show:?}: {} {}", shown.stdout, shown.stderr);
            assert!(shown.stdout.contains("confirmed"), "{}", shown.stdout);
            if form == "json" {
                let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
                assert_eq!(shown["branches"][0]["result"], result);
            }
        }
    }
    let ran = payment.reconcile(&tercet, &[]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "3 branches compared: 0 differ, 0 wait\n");
}

/// Keeps P5.
#[tokio::test]
async fn an_open_saga_from_before_results_were_kept_goes_on() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    says(&participant, "flight", "12");
    let begin = json!({ "gid": "trip", "pattern": "saga", "open": true }).to_string();
    transaction(&tercet.client().begin("", &begin).await, 201, "trying");
    let flight = step(&participant, "flight").to_string();
    let flight = tercet.client().register("trip", "", &flight).await;
    assert_eq!((flight.status, flight.word("status")), (201, "tried"), "{}", flight.text);
    tercet.kill().await;
    // A version that knew of none has left none.
    by_hand(&tercet, "DELETE FROM branch_results").await;
    tercet.restart().await;
    let pay = told(step(&participant, "pay")).to_string();
    let pay = tercet.client().register("trip", "", &pay).await;
    assert_eq!((pay.status, pay.word("status")), (201, "tried"), "{}", pay.text);
    assert_eq!(body(&participant, "pay", Op::Try).await, r#"{"payload":{},"results":{}}"#);
    // Read anew now that somebody asks for what is not there.
    tercet.kill().await;
    tercet.restart().await;
    let shown = tercet.client().get("trip").await;
    transaction(&shown, 200, "trying");
    assert!(shown.branch("flight").get("result").is_none(), "{}", shown.text);
    transaction(&tercet.client().confirm("trip", "").await, 200, "confirmed");
    assert_eq!(participant.calls_of("flight", Op::Try).len(), 1);
}

#[tokio::test]
async fn the_input_of_a_run_is_bounded_by_how_many_steps_have_it() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let ids: Vec<String> = (0..64).map(|number| format!("s{number:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    put(&client, "trip", &definition(&participant, &ids)).await;
    // Four mebibytes together: so much for each of 64.
    let input = |bytes: usize| format!(r#"{{"input":"{}"}}"#, "x".repeat(bytes - 2));
    let refused = begin_run(&client, "trip", "?wait=accepted", &input(64 * 1_024 + 1)).await;
    problem(&refused, "payload-too-large", None);
    assert_eq!(refused.word("pointer"), "/input", "{}", refused.text);
    let taken = begin_run(&client, "trip", "?wait=accepted", &input(64 * 1_024)).await;
    transaction(&taken, 201, "trying");
    put(&client, "short", &definition(&participant, &ids[..1])).await;
    let taken = begin_run(&client, "short", "", &input(64 * 1_024 + 1)).await;
    transaction(&taken, 201, "confirmed");
}
