//! Strictness: what is not known, not JSON, too large or too slow.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use hyper::body::Frame;
use tercet_engine::{Ask, ReplyKind};
use tercet_wire::Status;

use super::face::{Answer, Face, posted, transaction};

async fn face() -> Face {
    Face::new(|_| Some(transaction(ReplyKind::Created, Status::Confirmed))).await
}

#[track_caller]
fn assert_problem(answer: &Answer, code: &str, detail: &str) {
    let (found, text) = answer.problem();
    assert_eq!(found, code, "{answer:?}");
    assert!(text.starts_with(detail), "{text}");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_named_by_its_path() {
    let face = face().await;
    for (body, detail) in [
        (r#"{"gird":"a"}"#, "gird: unknown field `gird`"),
        (
            r#"{"branches":[{"try":"http://h/"},{"endpont":"x"}]}"#,
            "branches[1].endpont: unknown field",
        ),
        (r#"{"branches":[{"payload":{"a":1},"try":7}]}"#, "branches[0].try: invalid type: integer"),
        (r#"{"timeout_ms":-1}"#, "timeout_ms: invalid value"),
        (r#"{"timeout_ms":"5"}"#, "timeout_ms: invalid type"),
        (r#"{"timeout_ms":99}"#, "timeout_ms: must be 100"),
        (r#"{"open":"yes"}"#, "open: invalid type"),
        (r#"{"metadata":[]}"#, "metadata: invalid type"),
        (r#"{"gid":"a","gid":"b"}"#, "body: duplicate field `gid`"),
        (r#"{"branches":[{"headers":{"x":1}}]}"#, "branches[0].headers.x: invalid type"),
        (
            r#"{"branches":[{"try":"http://h/","headers":{"Host":"x"}}]}"#,
            "branches[0].headers.Host: ",
        ),
        (r#"{"branches":[{"try":"http://localhost:7200/"}]}"#, "branches[0].try: leads to"),
        (r#"{"branches":[{"try_by":"me"}]}"#, "branches[0].try_by: unknown variant"),
        (r#"{"branches":[{"payload":{"a":]}]}"#, "body: expected value at line 1"),
        ("", "body: is empty"),
        ("[]", "body: invalid type: sequence"),
        (r#"{"branches":[["b1","http://h/"]]}"#, "branches[0]: invalid type: sequence"),
        (r#"{"branches":{"try":"http://h/"}}"#, "branches: invalid type: map"),
        ("null", "body: invalid type: null"),
        ("{", "body: EOF"),
        ("{} {}", "body: trailing characters"),
    ] {
        assert_problem(&face.post("/v1/transactions", body).await, "invalid-request", detail);
    }
}

#[tokio::test]
async fn a_body_where_none_is_taken_is_checked_all_the_same() {
    let face = face().await;
    let confirm = "/v1/transactions/order-1/confirm";
    assert_eq!(face.post(confirm, "{}").await.status.as_u16(), 201);
    let answer = face.post(confirm, r#"{"force":true}"#).await;
    assert_problem(&answer, "invalid-request", "force: unknown field");
    let answer = face.post(confirm, "[]").await;
    assert_problem(&answer, "invalid-request", "body: invalid type: sequence");
    let long = format!(r#"{{"reason":"{}"}}"#, "r".repeat(1_025));
    let answer = face.post("/v1/transactions/order-1/cancel", &long).await;
    assert_problem(&answer, "invalid-request", "reason: must be at most 1024");
}

#[tokio::test]
async fn only_json_in_utf_8_is_read() {
    let face = face().await;
    for (media_type, status) in [
        ("application/json", 201),
        ("Application/JSON; charset=\"UTF-8\"", 201),
        ("application/vnd.order+json", 201),
        ("text/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=latin1", 415),
        ("application/jsonp", 415),
        ("", 415),
    ] {
        let request = Request::post("/v1/transactions").header("content-type", media_type);
        let answer = face.send(request.body(Body::from("{}")).expect("a request")).await;
        assert_eq!(answer.status.as_u16(), status, "{media_type}");
    }
    let bare = Request::post("/v1/transactions").body(Body::from("{}")).expect("a request");
    assert_problem(
        &face.send(bare).await,
        "unsupported-media-type",
        "the body has no Content-Type",
    );
    let latin = posted("/v1/transactions", b"{\"gid\":\"\xe9\"}".to_vec());
    assert_problem(&face.send(latin).await, "invalid-request", "body: must be UTF-8");
}

#[tokio::test]
async fn a_body_that_is_packed_is_not_read() {
    let face = face().await;
    for (coding, status) in
        [("gzip", 415), ("br", 415), ("identity, gzip", 415), ("x", 415), ("Identity", 201)]
    {
        let mut request = posted("/v1/transactions", "{}");
        request.headers_mut().insert("content-encoding", coding.parse().expect("a header"));
        let answer = face.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{coding}");
        if status == 415 {
            assert!(answer.problem().1.contains("Content-Encoding"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn what_plainly_means_something_is_taken_as_it_is_meant() {
    let face = face().await;
    for body in [
        r#"{"branches":null}"#,
        r#"{"gid":null,"open":null,"timeout_ms":null,"metadata":null}"#,
        r#"{"timeout_ms":30000.0}"#,
        "\u{feff}{}",
        r#"{"branches":[{"confirm":"http://h/","headers":null,"timeout_ms":3e3}]}"#,
    ] {
        assert_eq!(face.post("/v1/transactions", body).await.status.as_u16(), 201, "{body}");
    }
    assert_eq!(face.post("/v1/transactions?wait_ms=50.0", "{}").await.status.as_u16(), 201);
    for uri in [
        "/v1/transactions?cursor=",
        "/v1/transactions?parked=false",
        "/v1/transactions/order-1/events?cursor=",
    ] {
        assert_eq!(face.get(uri).await.status.as_u16(), 200, "{uri}");
    }
    let answer = face.post("/v1/transactions", r#"{"metadata":{"n":18446744073709551616}}"#).await;
    assert_problem(&answer, "invalid-request", "metadata: 18446744073709551616 has more than 64");
}

#[tokio::test]
async fn a_character_that_no_database_holds_is_replaced() {
    let mut face = face().await;
    face.post("/v1/transactions/order-1/cancel", r#"{"reason":"no\u0000stock"}"#).await;
    let asked = face.seen.try_recv().expect("asked").ask;
    let Ask::Cancel { detail, .. } = asked else { panic!("{asked:?}") };
    assert_eq!(detail.as_deref(), Some("no\u{fffd}stock"));
    face.post("/v1/transactions", r#"{"metadata":{"k\u0000":["\u0000"]}}"#).await;
    let asked = face.seen.try_recv().expect("asked").ask;
    let Ask::Begin { spec, .. } = asked else { panic!("{asked:?}") };
    assert_eq!(spec.metadata.as_deref(), Some("{\"k\u{fffd}\":[\"\u{fffd}\"]}"));
}

/// Keeps P9.
#[tokio::test]
async fn a_request_or_payload_over_its_limit_is_too_large() {
    let face = face().await;
    let payload = |len: usize| {
        format!(r#"{{"branches":[{{"try":"http://h/","payload":"{}"}}]}}"#, "p".repeat(len - 2))
    };
    assert_eq!(face.post("/v1/transactions", &payload(2_048)).await.status.as_u16(), 201);
    let answer = face.post("/v1/transactions", &payload(2_049)).await;
    assert_problem(&answer, "payload-too-large", "branches[0].payload: must be at most 2048");
    let answer = face.post("/v1/transactions", &payload(4_096)).await;
    assert_problem(&answer, "payload-too-large", "the body must be at most 4096 bytes");
    let parts = Parts::body(&["[".to_owned(), "1,".repeat(2_050), "1]".to_owned()], true);
    let answer = face.send(posted("/v1/transactions", parts)).await;
    assert_problem(&answer, "payload-too-large", "the body must be at most 4096 bytes");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_not_waited_for() {
    let face = face().await;
    let parts = Parts::body(&["{".to_owned()], false);
    let answer = face.send(posted("/v1/transactions", parts)).await;
    assert_problem(&answer, "invalid-request", "body: did not arrive within 2000 ms");
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_out_of_range_is_named() {
    let face = face().await;
    let one = "/v1/transactions/order-1";
    for (uri, detail) in [
        ("/v1/transactions?wait=done", "wait: must be finished or decided or accepted"),
        ("/v1/transactions?wait=tried", "wait: must be"),
        ("/v1/transactions?wait_ms=60001", "wait_ms: must be a whole number from 0 to 60000"),
        ("/v1/transactions?wait_ms=-1", "wait_ms: "),
        ("/v1/transactions?wait_ms=1.5", "wait_ms: "),
        ("/v1/transactions?wait_ms=", "wait_ms: "),
        ("/v1/transactions?wait=decided&wait=finished", "wait: is given twice"),
        ("/v1/transactions?wiat=decided", "wiat: is not known; there are wait, wait_ms"),
        ("/v1/transactions/order-1/confirm?wait=tried", "wait: "),
        ("/v1/transactions/order-1/cancel?reason=x", "reason: is not known"),
    ] {
        assert_problem(&face.post(uri, "{}").await, "invalid-request", detail);
    }
    let body = r#"{"id":"b1","try":"http://h/"}"#;
    let answer = face.post(&format!("{one}/branches?wait=finished"), body).await;
    assert_problem(&answer, "invalid-request", "wait: must be tried or accepted");
    for (uri, detail) in [
        (format!("{one}?wait=accepted"), "wait: must be decided or finished"),
        (format!("{one}/events?limit=501"), "limit: "),
        (format!("{one}/events?cursor=x"), "cursor: "),
        (format!("{one}/events?wait=decided"), "wait: is not known; there are limit, cursor"),
        ("/v1/transactions?limit=0".to_owned(), "limit: "),
    ] {
        assert_problem(&face.get(&uri).await, "invalid-request", detail);
    }
}

/// A body that comes in parts without saying how long it is, and ends or never does.
struct Parts {
    parts: VecDeque<Bytes>,
    ends: bool,
}

impl Parts {
    fn body(parts: &[String], ends: bool) -> Body {
        let parts = parts.iter().map(|part| Bytes::from(part.clone())).collect();
        Body::new(Self { parts, ends })
    }
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.parts.pop_front() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
