//! Every error there is a way to yet: its code, its status, what it names and what it says.

use http::Method;
use serde_json::json;
use tercet_testing::{Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch, with};
use crate::expected::{CODES, problem, transaction};

#[tokio::test]
async fn what_was_never_begun_is_not_found_under_its_name() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    let branch = json!({"id": "stock", "cancel": "http://127.0.0.1:1/"}).to_string();
    let answers = [
        client.get("order-1").await,
        client.get("order-1?wait=finished&wait_ms=60000").await,
        client.confirm("order-1", "").await,
        client.cancel("order-1", "", None).await,
        client.register("order-1", "", &branch).await,
        client.events("order-1").await,
    ];
    for response in answers {
        problem(&response, "transaction-not-found", Some("order-1"));
    }
}

#[tokio::test]
async fn a_taken_gid_or_branch_id_with_other_content_is_refused_by_name() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let stock = branch(&participant, "stock");
    client.begin("", &begin("order-1", std::slice::from_ref(&stock))).await;
    let other = with(stock.clone(), json!({ "timeout_ms": 2_000 }));
    let reused = client.begin("", &begin("order-1", std::slice::from_ref(&other))).await;
    problem(&reused, "gid-reused", Some("order-1"));
    client.begin("", &begin_open("order-2", &[])).await;
    client.register("order-2", "", &stock.to_string()).await;
    let reused = client.register("order-2", "", &other.to_string()).await;
    problem(&reused, "branch-reused", Some("order-2"));
    assert!(reused.word("detail").contains("stock"), "{}", reused.text);
    assert_eq!(participant.calls_of("stock", Op::Try).len(), 2, "one Try each");
}

#[tokio::test]
async fn the_decision_that_lost_is_told_which_one_won() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let stock = branch(&participant, "stock").to_string();
    client.begin("", &begin_open("order-1", &[])).await;
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    let cancel = client.cancel("order-1", "", None).await;
    problem(&cancel, "already-confirmed", Some("order-1"));
    let late = client.register("order-1", "", &stock).await;
    problem(&late, "already-confirmed", Some("order-1"));
    client.begin("", &begin_open("order-2", &[])).await;
    transaction(&client.cancel("order-2", "", None).await, 200, "cancelled");
    problem(&client.confirm("order-2", "").await, "already-cancelled", Some("order-2"));
    let late = client.register("order-2", "", &stock).await;
    problem(&late, "already-cancelled", Some("order-2"));
    // A transaction that decides for itself: once it has, it answers like any other.
    client.begin("", &begin("order-3", &[branch(&participant, "stock")])).await;
    transaction(&client.confirm("order-3", "").await, 200, "confirmed");
    problem(&client.cancel("order-3", "", None).await, "already-confirmed", Some("order-3"));
}

#[tokio::test]
async fn a_transaction_that_decides_for_itself_takes_no_confirm_and_no_branch_but_a_cancel() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("stock", Op::Try, Reaction::status(200).behind(&Gate::closed()));
    client.begin("?wait=accepted", &begin("order-1", &[branch(&participant, "stock")])).await;
    problem(&client.confirm("order-1", "").await, "not-open", Some("order-1"));
    let payment = branch(&participant, "payment").to_string();
    problem(&client.register("order-1", "", &payment).await, "not-open", Some("order-1"));
    transaction(&client.cancel("order-1", "?wait=decided", None).await, 200, "cancelling");
}

#[tokio::test]
async fn confirm_before_every_try_was_answered_names_the_branches_it_waits_for() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    for id in ["payment", "shipping"] {
        participant.always(id, Op::Try, Reaction::status(200).behind(&gate));
    }
    client.begin("", &begin_open("order-1", &[])).await;
    for (id, wait) in [("stock", "tried"), ("payment", "accepted"), ("shipping", "accepted")] {
        let branch = branch(&participant, id).to_string();
        let response = client.register("order-1", &format!("?wait={wait}"), &branch).await;
        assert_eq!(response.status, 201, "{}", response.text);
    }
    let early = client.confirm("order-1", "").await;
    problem(&early, "tries-outstanding", Some("order-1"));
    let detail = early.word("detail");
    assert!(detail.contains("payment") && detail.contains("shipping"), "{detail}");
    assert!(!detail.contains("stock"), "{detail}");
    transaction(&client.get("order-1").await, 200, "trying");
    gate.open();
    for id in ["payment", "shipping"] {
        client.register("order-1", "", &branch(&participant, id).to_string()).await;
    }
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_nothing_happens() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let of = |bytes: usize| {
        // Two of them are the quotes.
        let payload = json!({ "payload": "x".repeat(bytes - 2) });
        begin("order-1", &[with(branch(&participant, "stock"), payload)])
    };
    let large = client.begin("", &of(256 * 1_024 + 1)).await;
    problem(&large, "payload-too-large", None);
    assert!(large.word("detail").contains("branches[0].payload"), "{}", large.text);
    let many: Vec<_> = (0..5)
        .map(|n| {
            let payload = json!({ "payload": "x".repeat(240 * 1_024) });
            with(branch(&participant, &format!("b{n}")), payload)
        })
        .collect();
    problem(&client.begin("", &begin("order-1", &many)).await, "payload-too-large", None);
    problem(&client.get("order-1").await, "transaction-not-found", Some("order-1"));
    transaction(&client.begin("", &of(256 * 1_024)).await, 201, "confirmed");
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_refused() {
    let tercet = Tercet::start().await;
    let url = format!("http://{}/v1/transactions", tercet.address());
    let send = async |media_type: Option<&str>| {
        let mut request = tercet.client().http().post(&url).body(r#"{"gid":"order-1"}"#);
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.text().await.expect("a body"))
    };
    for wrong in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/json; charset=latin1"),
        Some("application/jsonp"),
    ] {
        let (status, text) = send(wrong).await;
        assert_eq!(status, 415, "{wrong:?}: {text}");
        assert!(text.contains(r#""code":"unsupported-media-type""#), "{text}");
    }
    for right in ["application/json; charset=UTF-8", "Application/JSON"] {
        let (status, text) = send(Some(right)).await;
        assert!(matches!(status, 200 | 201), "{right}: {text}");
    }
}

#[tokio::test]
async fn beyond_the_limit_begin_alone_is_refused_for_a_while() {
    let settings = [("LIMITS__LIVE_TRANSACTIONS", "1")];
    let tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    let first = begin_open("order-1", &[]);
    transaction(&client.begin("", &first).await, 201, "trying");
    let refused = client.begin("", &begin_open("order-2", &[])).await;
    problem(&refused, "too-many-requests", Some("order-2"));
    // Neither a repeat nor anything else is limited.
    transaction(&client.begin("", &first).await, 200, "trying");
    transaction(&client.get("order-1").await, 200, "trying");
    problem(&client.get("order-2").await, "transaction-not-found", Some("order-2"));
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    // The finished one makes room once its end is durable, which nobody waited for.
    client.send(Method::GET, "/v1/transactions", None).await;
    transaction(&client.begin("", &begin_open("order-2", &[])).await, 201, "trying");
    transaction(&client.begin("", &first).await, 200, "confirmed");
}

#[tokio::test]
async fn what_is_no_address_and_what_is_no_method_are_problems_too() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    for path in ["/", "/v1", "/v1/transaction", "/v1/transactions/order-1/commit", "/problems/x"] {
        problem(&client.send(Method::GET, path, None).await, "not-found", None);
    }
    for (method, path) in [
        (Method::PUT, "/v1/transactions"),
        (Method::DELETE, "/v1/transactions/order-1"),
        (Method::GET, "/v1/transactions/order-1/confirm"),
        (Method::POST, "/livez"),
    ] {
        let response = client.send(method.clone(), path, None).await;
        problem(&response, "method-not-allowed", None);
        assert!(!response.header("allow").is_empty(), "{method} {path}: {:?}", response.headers);
    }
}

#[tokio::test]
async fn every_code_is_explained_at_its_address() {
    let tercet = Tercet::start().await;
    for (code, status) in CODES {
        let path = format!("/problems/{code}");
        let page = tercet.client().send(Method::GET, &path, None).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text.contains(code), "{path}: {}", page.text);
        assert!(page.text.contains(&status.to_string()), "{path}: {}", page.text);
        assert!(page.text.len() > 100, "what it means and what to do: {}", page.text);
    }
}
