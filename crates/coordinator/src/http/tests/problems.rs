//! Every way of saying no.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use tercet_engine::{Refusal, Reply, ReplyKind};
use tercet_wire::{BranchId, Incarnation, ProblemCode, Status};

use super::face::{Face, INSTANCE, Seen, branch, transaction};

fn id(text: &str) -> BranchId {
    text.parse().expect("an id")
}

#[tokio::test]
async fn every_refusal_of_the_engine_has_its_problem() {
    let table = [
        (Refusal::NotFound, "transaction-not-found", 404),
        (Refusal::GidReused, "gid-reused", 409),
        (Refusal::BranchReused(id("b7")), "branch-reused", 409),
        (Refusal::AlreadyConfirmed, "already-confirmed", 409),
        (Refusal::AlreadyCancelled, "already-cancelled", 409),
        (Refusal::NotOpen, "not-open", 409),
        (Refusal::AsksItsInitiator, "not-open", 409),
        (Refusal::TriesOutstanding(vec![id("b7"), id("b8")]), "tries-outstanding", 409),
        (Refusal::TooManyBranches { limit: 64 }, "invalid-request", 400),
        (Refusal::TooManyTransactions { limit: 9 }, "too-many-requests", 429),
        (Refusal::TooManyBytes { limit: 9 }, "too-many-requests", 429),
        (Refusal::TooManyPagedOut { limit: 9 }, "too-many-requests", 429),
        (Refusal::Elsewhere(Incarnation(7)), "not-owner", 421),
        (Refusal::JournalUnavailable, "journal-unavailable", 503),
        (Refusal::NotAccepted, "not-accepted", 503),
        (Refusal::Quarantined, "internal", 500),
    ];
    for (refusal, code, status) in table {
        let refused = refusal.clone();
        let face = Face::new(move |_| Some(Reply::Refused(refused.clone()))).await;
        for (uri, body) in [
            ("/v1/transactions", r#"{"gid":"order-1"}"#),
            ("/v1/transactions/order-1/confirm", ""),
            ("/v1/transactions/order-1/cancel", ""),
            ("/v1/transactions/order-1/branches", r#"{"id":"b7","try":"http://h/"}"#),
        ] {
            let answer = face.post(uri, body).await;
            assert_eq!((answer.problem().0.as_str(), answer.status.as_u16()), (code, status));
            assert_eq!(answer.json()["gid"], "order-1", "every problem about one names it");
        }
        for uri in ["/v1/transactions/order-1", "/v1/transactions/order-1/events"] {
            assert_eq!(face.get(uri).await.problem().0, code);
        }
        let answer = face.post("/v1/transactions/order-1/confirm", "").await;
        match refusal {
            Refusal::TriesOutstanding(_) => {
                assert_eq!(answer.json()["branches"], serde_json::json!(["b7", "b8"]));
                assert!(answer.problem().1.contains("b7, b8"));
            }
            Refusal::BranchReused(_) => {
                assert_eq!(answer.json()["branches"], serde_json::json!(["b7"]));
            }
            _ => assert_eq!(answer.json().get("branches"), None),
        }
    }
}

/// Open transactions wait there for their initiators, as decided ones do for their participants.
#[tokio::test]
async fn what_fills_the_journal_is_not_said_to_be_decided() {
    let refused = |_: &Seen| Some(Reply::Refused(Refusal::TooManyPagedOut { limit: 9 }));
    let answer = Face::new(refused).await.post("/v1/transactions", r#"{"gid":"order-1"}"#).await;
    assert_eq!(answer.problem().1, "9 transactions wait in the journal, as many as may be");
}

#[tokio::test]
async fn an_unknown_outcome_names_the_gid_that_was_made_for_the_caller() {
    let face = Face::new(|_| None).await;
    let answer = face.post("/v1/transactions", "{}").await;
    assert_eq!(answer.problem().0, "journal-unavailable");
    assert_eq!(answer.json()["gid"], INSTANCE);
}

#[tokio::test]
async fn an_engine_that_is_gone_accepts_nothing() {
    let face = Face::gone().await;
    assert_eq!(face.post("/v1/transactions", "{}").await.problem().0, "not-accepted");
    assert_eq!(face.get("/v1/transactions").await.problem().0, "journal-unavailable");
}

/// Keeps P9.
#[tokio::test]
async fn begins_beyond_the_room_for_them_are_told_to_come_again() {
    let (face, mut lanes) = Face::unattended().await;
    let first = face.post("/v1/transactions", "{}");
    let second = async {
        let answer = face.post("/v1/transactions", "{}").await;
        assert_eq!(answer.problem().0, "too-many-requests");
        // Confirm, cancel and reads have a lane of their own.
        let shown = face.get("/v1/transactions/order-1");
        let show = async {
            let asked = lanes.requests.recv().await.expect("asked");
            asked.reply.send(transaction(ReplyKind::Reached, Status::Trying)).expect("it waits");
        };
        let (shown, ()) = tokio::join!(shown, show);
        assert_eq!(shown.status.as_u16(), 200);
        let asked = lanes.begins.recv().await.expect("the first waits");
        asked.reply.send(transaction(ReplyKind::Created, Status::Trying)).expect("it waits");
    };
    let (first, ()) = tokio::join!(biased; first, second);
    assert_eq!(first.status.as_u16(), 201);
}

#[tokio::test]
async fn a_reply_that_does_not_fit_is_a_fault_of_ours_not_a_lie() {
    let face = Face::new(|_| Some(branch(ReplyKind::Created, Status::Trying))).await;
    assert_eq!(face.post("/v1/transactions", "{}").await.problem().0, "internal");
    let face = Face::new(|_| Some(transaction(ReplyKind::Created, Status::Trying))).await;
    let body = r#"{"id":"b7","try":"http://h/"}"#;
    let answer = face.post("/v1/transactions/order-1/branches", body).await;
    assert_eq!(answer.problem().0, "internal");
}

#[tokio::test]
async fn what_is_no_route_is_a_problem_too() {
    let face = Face::gone().await;
    for uri in [
        "/",
        "/v1",
        "/v1/transactions/",
        "/v1/transactions/a/b/c",
        "/problems/none",
        "/problems/%ff",
    ] {
        let answer = face.get(uri).await;
        assert_eq!((answer.problem().0.as_str(), answer.status.as_u16()), ("not-found", 404));
    }
    for (method, uri, allow) in [
        ("DELETE", "/v1/transactions", "GET,HEAD,POST"),
        ("PUT", "/v1/transactions/order-1", "GET,HEAD"),
        ("GET", "/v1/transactions/order-1/confirm", "POST"),
        ("POST", "/livez", "GET,HEAD"),
        ("POST", "/docs", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(uri).body(Body::empty());
        let answer = face.send(request.expect("a request")).await;
        assert_eq!(answer.problem().0, "method-not-allowed", "{method} {uri}");
        let mut methods: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allow, "{method} {uri}");
    }
}

#[tokio::test]
async fn what_can_be_no_gid_is_the_callers_mistake() {
    let face = Face::gone().await;
    let long = "a".repeat(129);
    for gid in ["-a", "a%2Fb", "a%20b", "%C3%A9", "%FF", long.as_str()] {
        for uri in [format!("/v1/transactions/{gid}"), format!("/v1/transactions/{gid}/events")] {
            let (code, detail) = face.get(&uri).await.problem();
            assert_eq!(code, "invalid-request", "{uri}");
            assert!(detail.starts_with("gid: "), "{detail}");
        }
        let (code, _) = face.post(&format!("/v1/transactions/{gid}/confirm"), "").await.problem();
        assert_eq!(code, "invalid-request", "{gid}");
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_the_next_request_is_served() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let face = Face::gone().await;
    let router = face.router.clone();
    let panicking = axum::Router::new()
        .route("/panic", axum::routing::get(async || -> &'static str { panic!("a fault") }))
        .layer(axum::middleware::from_fn_with_state(
            crate::http::middleware::Middleware {
                readiness: face.readiness.clone(),
                metrics: crate::http::middleware::request_metrics::RequestMetrics::of_routes([
                    "/panic",
                ])
                .into(),
            },
            crate::http::middleware::every_request,
        ));
    let face = Face { router: panicking.merge(router), ..face };
    assert_eq!(face.get("/panic").await.problem().0, "internal");
    std::panic::set_hook(hook);
    assert_eq!(face.get("/livez").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_stopping_node_refuses_work_and_still_answers_reads() {
    let face = Face::new(|_| Some(transaction(ReplyKind::Reached, Status::Confirming))).await;
    face.readiness.stop();
    for uri in ["/v1/transactions", "/v1/transactions/a/confirm", "/v1/transactions/a/branches"] {
        assert_eq!(face.post(uri, "{}").await.problem().0, "shutting-down");
    }
    assert_eq!(face.get("/v1/transactions/order-1").await.status.as_u16(), 200);
    assert_eq!(face.get("/livez").await.status.as_u16(), 200);
    assert_eq!(face.get("/readyz").await.problem().0, "shutting-down");
}

#[tokio::test]
async fn a_node_is_ready_while_its_journal_can_write() {
    let face = Face::gone().await;
    assert_eq!(face.get("/readyz").await.status.as_u16(), 200);
    face.readiness.set_writable(false);
    assert_eq!(face.get("/readyz").await.problem().0, "journal-unavailable");
    assert_eq!(face.get("/livez").await.status.as_u16(), 200);
}

#[tokio::test]
async fn every_code_has_a_page_for_people_and_for_programs() {
    let face = Face::gone().await;
    let mut titles = BTreeSet::new();
    for code in ProblemCode::ALL {
        let uri = format!("/problems/{code}");
        let plain = face.get(&uri).await;
        assert_eq!(plain.header("content-type"), "text/markdown; charset=utf-8");
        assert!(plain.text.contains(code.what_to_do()), "{code}");
        let browser = Request::get(&uri).header("accept", "text/html,*/*;q=0.8");
        let html = face.send(browser.body(Body::empty()).expect("a request")).await;
        assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
        assert!(html.text.contains(&format!("<code>{code}</code>")), "{code}");
        titles.insert(code.title());
        assert!(face.get("/problems").await.text.contains(&format!("`{code}`")));
    }
    assert_eq!(titles.len(), ProblemCode::ALL.len());
}
