//! What each request asks the engine, and what its replies become.

use std::time::Duration;

use http::{Method, Request};
use tercet_engine::{Ask, ReplyKind, Until};
use tercet_wire::Status;

use super::face::{Face, INSTANCE, branch, posted, transaction};

const BRANCH: &str = r#"{"id":"b1","endpoint":"http://127.0.0.1:7301/a"}"#;

/// A request of the given kind, with an engine that knows one confirmed transaction.
async fn asks(method: &Method, uri: &str, body: &str) -> (u16, Until, u64) {
    let mut face = Face::new(|seen| {
        Some(match seen.ask {
            Ask::Register(_) => branch(ReplyKind::Created, Status::Trying),
            _ => transaction(ReplyKind::Reached, Status::Confirmed),
        })
    })
    .await;
    let answer =
        if method == Method::POST { face.post(uri, body).await } else { face.get(uri).await };
    let seen = face.seen.try_recv().unwrap_or_else(|_| panic!("nothing was asked: {answer:?}"));
    let wait = u64::try_from(seen.wait.as_millis()).expect("short");
    (answer.status.as_u16(), seen.until, wait)
}

#[tokio::test]
async fn every_wait_mode_reaches_the_engine_as_it_was_asked_for() {
    use Until::{Accepted, Decided, Finished, Tried};
    let (get, post) = (&Method::GET, &Method::POST);
    let (begin, one) = ("/v1/transactions", "/v1/transactions/order-1");
    for (to, body) in [
        (begin, "{}"),
        ("/v1/transactions/order-1/confirm", ""),
        ("/v1/transactions/order-1/cancel", ""),
    ] {
        let ask = async |query: &str| asks(post, &format!("{to}{query}"), body).await;
        assert_eq!(ask("").await, (200, Finished, 10_000), "{to}");
        assert_eq!(ask("?wait=finished&wait_ms=60000").await, (200, Finished, 60_000), "{to}");
        assert_eq!(ask("?wait=decided").await, (200, Decided, 10_000), "{to}");
        assert_eq!(ask("?wait_ms=0&wait=accepted").await, (200, Accepted, 0), "{to}");
    }
    assert_eq!(asks(get, one, "").await, (200, Accepted, 0));
    assert_eq!(asks(get, &format!("{one}?wait_ms=10000"), "").await, (200, Accepted, 0));
    assert_eq!(asks(get, &format!("{one}?wait=decided"), "").await, (200, Decided, 10_000));
    let finished = format!("{one}?wait=finished&wait_ms=7");
    assert_eq!(asks(get, &finished, "").await, (200, Finished, 7));
    let register = format!("{one}/branches");
    assert_eq!(asks(post, &register, BRANCH).await, (201, Tried, 10_000));
    let accepted = format!("{register}?wait=accepted&wait_ms=9");
    assert_eq!(asks(post, &accepted, BRANCH).await, (201, Accepted, 9));
}

/// Keeps P7.
#[tokio::test]
async fn the_status_says_whether_what_was_waited_for_has_come() {
    for (told, expected) in
        [(ReplyKind::Created, 201), (ReplyKind::Reached, 200), (ReplyKind::NotYet, 202)]
    {
        let face = Face::new(move |seen| {
            Some(match seen.ask {
                Ask::Register(_) => branch(told, Status::Trying),
                _ => transaction(told, Status::Confirming),
            })
        })
        .await;
        let begun = face.post("/v1/transactions", r#"{"gid":"order-1"}"#).await;
        assert_eq!(begun.status.as_u16(), expected);
        assert_eq!(begun.header("location"), "transactions/order-1");
        assert_eq!(begun.header("tercet-status"), "confirming");
        assert_eq!(begun.header("content-type"), "application/json");
        let registered = face.post("/v1/transactions/order-1/branches", BRANCH).await;
        assert_eq!(registered.status.as_u16(), expected);
        assert_eq!(registered.header("tercet-status"), "trying");
        assert_eq!(registered.json()["id"], "b1");
        let confirmed = face.post("/v1/transactions/order-1/confirm", "").await;
        assert_eq!(confirmed.status.as_u16(), expected);
        assert_eq!(confirmed.json()["status"], "confirming");
        let shown = face.get("/v1/transactions/order-1?wait=finished").await;
        assert_eq!(shown.status.as_u16(), 200, "a read is 200 even if its wait ran out");
        assert_eq!(shown.header("tercet-status"), "confirming");
    }
}

#[tokio::test]
async fn begin_hands_over_what_it_was_given() {
    let mut face = Face::new(|_| Some(transaction(ReplyKind::Created, Status::Confirmed))).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut request =
        posted("/v1/transactions", r#"{"branches":[{"try":"http://h/","payload": {"a" :1} }]}"#);
    request.headers_mut().insert("traceparent", trace.parse().expect("a header"));
    let answer = face.send(request).await;
    assert_eq!(answer.header("location"), format!("transactions/{INSTANCE}"));
    let seen = face.seen.try_recv().expect("asked");
    assert_eq!(seen.gid.as_str(), INSTANCE);
    let Ask::Begin { spec, fresh } = seen.ask else { panic!("{seen:?}") };
    assert!(fresh);
    assert_eq!(&*spec.traceparent, trace);
    assert_eq!(&*spec.branches[0].payload, r#"{"a" :1}"#);
    assert_eq!(spec.deadline_at, spec.created_at.after(Duration::from_secs(30)));

    face.post("/v1/transactions", r#"{"gid":"mine"}"#).await;
    let seen = face.seen.try_recv().expect("asked");
    assert!(matches!(seen.ask, Ask::Begin { fresh: false, .. }), "{seen:?}");
}

#[tokio::test]
async fn cancel_takes_a_reason_or_no_body_at_all() {
    let mut face = Face::new(|_| Some(transaction(ReplyKind::Reached, Status::Cancelled))).await;
    for (body, expected) in
        [("", None), ("{}", None), ("null", None), (r#"{"reason":"no stock"}"#, Some("no stock"))]
    {
        let answer = face.post("/v1/transactions/order-1/cancel", body).await;
        assert_eq!(answer.json()["reason_detail"], "no stock");
        let seen = face.seen.try_recv().expect("asked");
        let Ask::Cancel { detail, if_unknown: None } = seen.ask else { panic!("{seen:?}") };
        assert_eq!(detail.as_deref(), expected);
    }
    let bare = Request::post("/v1/transactions/order-1/cancel");
    let bare = face.send(bare.body(axum::body::Body::empty()).expect("a request")).await;
    assert_eq!(bare.status.as_u16(), 200, "without a body no Content-Type is needed");
}

#[tokio::test]
async fn lists_and_histories_are_answered() {
    let face = Face::new(|_| Some(transaction(ReplyKind::Reached, Status::Cancelled))).await;
    let list = face.get("/v1/transactions?status=trying&limit=5").await;
    assert_eq!(list.json(), serde_json::json!({"items":[],"next_cursor":null}));
    let events = face.get("/v1/transactions/order-1/events").await.json();
    let kinds: Vec<_> =
        events["items"].as_array().expect("items").iter().map(|e| &e["kind"]).collect();
    assert_eq!(kinds, ["begun", "decided", "finished"]);
    assert_eq!(events["items"][1]["detail"], "cancel: requested (no stock)");
    assert_eq!(events["items"][0]["at"], "2025-11-20T12:00:00.007Z");
    let first = face.get("/v1/transactions/order-1/events?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().expect("more");
    let rest = face.get(&format!("/v1/transactions/order-1/events?cursor={cursor}")).await.json();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["next_cursor"], serde_json::Value::Null);
}
