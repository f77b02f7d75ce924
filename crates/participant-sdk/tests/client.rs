//! The initiator's client against a coordinator that is played here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tercet_participant::{
    Client, ClientError, NewBranch, NewTransaction, Outcome, ProblemCode, Reason, Registered,
    Verdict, WaitFor,
};
use tokio::net::TcpListener;

/// What was asked: method, path with query, body; and with which trace.
type Asked = (String, String, String);

/// Answers requests with what it was told to, in order, and remembers them.
#[derive(Clone, Default)]
struct Coordinator {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    traces: Arc<Mutex<Vec<Option<String>>>>,
    tokens: Arc<Mutex<Vec<Option<String>>>>,
}

impl Coordinator {
    /// Listens, drops the first `lost` connections without a word, and then answers.
    async fn start(lost: usize, answers: Vec<(u16, Value)>) -> (Self, String) {
        let coordinator = Self { answers: Arc::new(Mutex::new(answers.into())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback({
            let coordinator = coordinator.clone();
            move |request| coordinator.clone().answer(request)
        });
        tokio::spawn(async move {
            for _ in 0..lost {
                drop(listener.accept().await.expect("a connection"));
            }
            axum::serve(listener, router).await
        });
        (coordinator, url)
    }

    async fn answer(self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let body = String::from_utf8(body.to_vec()).expect("UTF-8");
        self.asked.lock().expect("asked").push((
            head.method.to_string(),
            head.uri.to_string(),
            body,
        ));
        let trace = head.headers.get("traceparent").map(|trace| trace.to_str().expect("ASCII"));
        self.traces.lock().expect("traces").push(trace.map(str::to_owned));
        let token = head.headers.get("authorization").map(|token| token.to_str().expect("ASCII"));
        self.tokens.lock().expect("tokens").push(token.map(str::to_owned));
        let (status, body) =
            self.answers.lock().expect("answers").pop_front().expect("no more was expected");
        let status = StatusCode::from_u16(status).expect("a status");
        // Back to itself, where the next answer waits for whoever follows.
        let location = [("location", head.uri.to_string())];
        match status.is_redirection() {
            true => (status, location, axum::Json(body)).into_response(),
            false => (status, axum::Json(body)).into_response(),
        }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("asked").clone()
    }
}

fn transaction(status: &str, reason: Option<&str>) -> Value {
    json!({
        "gid": "order-1", "instance": "0193b6a0-0000-7000-8000-000000000001", "pattern": "tcc",
        "status": status, "open": false, "reason": reason, "reason_detail": null, "parked": false,
        "created_at": "2026-11-20T12:00:00.000Z", "deadline_at": "2026-11-20T12:00:30.000Z",
        "decided_at": null, "finished_at": null, "metadata": null, "branches": []
    })
}

fn branch(status: &str) -> Value {
    json!({
        "id": "payment", "participant": "127.0.0.1:1", "status": status, "parked": false,
        "attempts": {"try": 1, "confirm": 0, "cancel": 0}, "next_attempt_at": null,
        "last_error": null, "answer": null, "resolved_as": null, "finished_at": null
    })
}

fn problem(status: u16, code: &str) -> (u16, Value) {
    let body = json!({
        "type": format!("/problems/{code}"), "code": code, "title": code, "status": status,
        "detail": "as the coordinator said", "gid": "order-1"
    });
    (status, body)
}

fn order() -> NewTransaction {
    NewTransaction::new().branch(NewBranch::new("payment").endpoint("http://127.0.0.1:1/payment"))
}

#[tokio::test]
async fn a_begin_that_is_not_answered_is_repeated_to_the_byte_with_the_same_gid() {
    let (coordinator, url) = Coordinator::start(
        2,
        vec![problem(503, "journal-unavailable"), (201, transaction("confirmed", None))],
    )
    .await;
    let client = Client::new(&url).expect("a client");
    let outcome = client.begin(order()).await.expect("an answer");
    outcome.confirmed().expect("confirmed");

    let asked = coordinator.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
    let (method, path, body) = &asked[0];
    assert_eq!(
        (method.as_str(), path.as_str()),
        ("POST", "/v1/transactions?wait=finished&wait_ms=10000")
    );
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["gid"].as_str().expect("a gid made here").len(), 36);
}

#[tokio::test]
async fn results_are_asked_for_by_a_branch_and_read_from_it() {
    let mut answer = transaction("confirmed", None);
    answer["branches"] = json!([branch("confirmed")]);
    answer["branches"][0]["result"] = json!({ "seats": ["12A"] });
    let (coordinator, url) =
        Coordinator::start(0, vec![(201, answer.clone()), (200, answer)]).await;
    let client = Client::new(&url).expect("a client");
    let pay = NewBranch::new("payment").endpoint("http://127.0.0.1:1/payment").results();
    let begun = client.begin(NewTransaction::new().branch(pay)).await.expect("an answer");
    begun.confirmed().expect("confirmed");
    let sent: Value = serde_json::from_str(&coordinator.asked()[0].2).expect("JSON");
    assert_eq!(sent["branches"][0]["results"], true);
    let shown = client.get(&"order-1".parse().expect("a gid")).await.expect("an answer");
    let result = shown.branches[0].result.as_ref().expect("a result");
    let seats: std::collections::BTreeMap<String, Vec<String>> = result.read().expect("seats");
    assert_eq!(seats["seats"], ["12A"]);
}

#[tokio::test]
async fn a_token_goes_with_every_request_and_only_where_there_is_one() {
    let answers = || {
        vec![
            problem(503, "shutting-down"),
            (201, transaction("confirmed", None)),
            (200, transaction("confirmed", None)),
            problem(403, "forbidden"),
        ]
    };
    for (token, expected) in [(Some("tercet_k3y"), Some("Bearer tercet_k3y")), (None, None)] {
        let (coordinator, url) = Coordinator::start(0, answers()).await;
        let builder = Client::builder(&url);
        let builder = match token {
            Some(token) => builder.bearer(token),
            None => builder,
        };
        let client = builder.build().expect("a client");
        let begun = client.begin(order()).await.expect("an answer");
        begun.confirmed().expect("confirmed");
        let gid = "order-1".parse().expect("a gid");
        client.get(&gid).await.expect("an answer");
        let refused = client.get(&gid).await.expect_err("the role is too small");
        assert_eq!(refused.code(), Some(ProblemCode::Forbidden), "{refused}");
        assert!(!format!("{refused:?}").contains("k3y"), "{refused:?}");
        let sent = coordinator.tokens.lock().expect("tokens").clone();
        assert_eq!(sent, vec![expected.map(str::to_owned); 4]);
    }
}

#[tokio::test]
async fn a_proxy_without_its_coordinator_is_asked_again_and_leads_nowhere_else() {
    let (coordinator, url) = Coordinator::start(
        0,
        vec![
            (502, json!("<html>")),
            (504, json!("<html>")),
            (201, transaction("confirmed", None)),
            (307, json!({})),
            (201, transaction("confirmed", None)),
        ],
    )
    .await;
    let client = Client::new(&url).expect("a client");
    client.begin(order()).await.expect("an answer").confirmed().expect("confirmed");
    let asked = coordinator.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| *one == asked[0]), "{asked:?}");
    // A redirect would have another answer in the coordinator's place.
    let moved = client.begin(order()).await;
    assert!(matches!(moved, Err(ClientError::Unexpected { status: 307, .. })), "{moved:?}");
    assert_eq!(coordinator.asked().len(), 4);
}

#[tokio::test]
async fn cancelled_and_unfinished_are_answers_and_no_success() {
    let answers = vec![
        (201, transaction("cancelled", Some("try-refused"))),
        (202, transaction("confirming", None)),
    ];
    let (coordinator, url) = Coordinator::start(0, answers).await;
    let client = Client::new(&url).expect("a client").waiting_for(WaitFor::Decided);
    let Outcome::Cancelled(cancellation) = client.begin(order()).await.expect("an answer") else {
        panic!("it was cancelled");
    };
    assert_eq!(cancellation.reason, Some(Reason::TryRefused));
    assert!(matches!(client.begin(order()).await.expect("an answer"), Outcome::Pending(_)));
    assert_eq!(coordinator.asked()[0].1, "/v1/transactions?wait=decided&wait_ms=10000");
}

#[tokio::test]
async fn an_open_transaction_is_begun_joined_and_decided() {
    let answers = vec![
        (201, transaction("trying", None)),
        (201, branch("tried")),
        (200, transaction("confirmed", None)),
    ];
    let (coordinator, url) = Coordinator::start(0, answers).await;
    let client = Client::new(&url).expect("a client");
    let open = client.open(NewTransaction::new().gid("order-1")).await.expect("begun");
    let payment = NewBranch::new("payment").endpoint("http://127.0.0.1:1/payment");
    let registered = open.register(payment).await.expect("registered");
    assert!(matches!(registered, Registered::Tried(_)));
    open.confirm().await.expect("an answer").confirmed().expect("confirmed");

    let asked: Vec<String> = coordinator.asked().into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(
        asked,
        [
            "/v1/transactions",
            "/v1/transactions/order-1/branches?wait=tried&wait_ms=10000",
            "/v1/transactions/order-1/confirm?wait=finished&wait_ms=10000",
        ]
    );
}

#[tokio::test]
async fn several_branches_join_in_one_request() {
    let both = json!({ "branches": [branch("tried"), branch("refused")] });
    let answers = vec![(201, transaction("trying", None)), (201, both)];
    let (coordinator, url) = Coordinator::start(0, answers).await;
    let client = Client::new(&url).expect("a client");
    let open = client.open(NewTransaction::new().gid("order-1")).await.expect("begun");
    let message = NewBranch::new("message")
        .confirm_url("http://127.0.0.1:1/message")
        .confirm_after(Duration::from_secs(60));
    let payment = NewBranch::new("payment").endpoint("http://127.0.0.1:1/payment");
    let registered = open.register_all([message, payment]).await.expect("registered");
    assert!(matches!(&registered[..], [Registered::Tried(_), Registered::Refused(_)]));
    let (_, path, body) = &coordinator.asked()[1];
    assert_eq!(path, "/v1/transactions/order-1/branches?wait=tried&wait_ms=10000");
    assert_eq!(
        body,
        r#"[{"id":"message","confirm":"http://127.0.0.1:1/message","confirm_after_ms":60000},{"id":"payment","endpoint":"http://127.0.0.1:1/payment"}]"#
    );
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_transaction_continues_the_trace_it_is_begun_in() {
    let answers = vec![problem(503, "not-accepted"), (201, transaction("confirmed", None))];
    let (coordinator, url) = Coordinator::start(0, answers).await;
    let client = Client::new(&url).expect("a client");
    let outcome = client.begin(order().traceparent(TRACE)).await.expect("an answer");
    outcome.confirmed().expect("confirmed");
    let traces = coordinator.traces.lock().expect("traces").clone();
    assert_eq!(traces, [Some(TRACE.to_owned()), Some(TRACE.to_owned())], "also when repeated");

    let error = client.begin(order().traceparent("a\nb")).await.expect_err("no header");
    assert_eq!(error.to_string(), r#"traceparent "a\nb" cannot be sent as a header"#);
}

#[tokio::test]
async fn a_try_the_initiator_calls_itself_is_registered_first_and_says_what_the_coordinator_would()
{
    let answers = vec![(201, transaction("trying", None)), (201, branch("registered"))];
    let (coordinator, url) = Coordinator::start(0, answers).await;
    let client = Client::new(&url).expect("a client");
    let order = NewTransaction::new().gid("order-1").traceparent(TRACE);
    let open = client.open(order).await.expect("begun");
    let payment = NewBranch::new("payment").endpoint("http://127.0.0.1:1/payment/");
    let mut own = open.register_own_try(payment).await.expect("registered");

    let (_, path, body) = &coordinator.asked()[1];
    assert_eq!(path, "/v1/transactions/order-1/branches?wait=accepted&wait_ms=10000");
    assert_eq!(
        body,
        r#"{"id":"payment","confirm":"http://127.0.0.1:1/payment/confirm","cancel":"http://127.0.0.1:1/payment/cancel","try_by":"initiator"}"#
    );
    assert_eq!(own.url.as_deref(), Some("http://127.0.0.1:1/payment/try"));
    own.call_again();
    let headers = own.headers();
    let expected = [
        ("tercet-gid", "order-1"),
        ("tercet-branch", "payment"),
        ("tercet-instance", "0193b6a0-0000-7000-8000-000000000001"),
        ("tercet-op", "try"),
        ("tercet-legs", "try,confirm,cancel"),
        ("tercet-attempt", "2"),
        ("tercet-deadline", "2026-11-20T12:00:30.000Z"),
        ("idempotency-key", "\"order-1/payment/try\""),
        ("traceparent", TRACE),
    ];
    for (name, value) in expected {
        assert_eq!(headers[name], value, "{name}");
    }
    assert_eq!(headers.len(), expected.len());

    assert_eq!(own.verdict(204, None), Verdict::Done);
    assert_eq!(own.verdict(409, None), Verdict::Refused);
    assert!(matches!(own.verdict(202, None), Verdict::InProgress(_)));
    assert!(matches!(own.verdict(500, None), Verdict::Again { .. }));
}

#[tokio::test]
async fn whoever_takes_a_transaction_up_learns_its_life_before_calling_a_try() {
    let answers = vec![(201, branch("registered")), (200, transaction("trying", None))];
    let (coordinator, url) = Coordinator::start(0, answers).await;
    let client = Client::new(&url).expect("a client");
    let open = client.resume("order-1".parse().expect("a gid"));
    let payment = NewBranch::new("payment").cancel_url("http://127.0.0.1:1/undo");
    let own = open.register_own_try(payment).await.expect("registered");
    assert_eq!(own.headers()["tercet-instance"], "0193b6a0-0000-7000-8000-000000000001");
    assert_eq!(own.headers()["tercet-legs"], "try,cancel");
    assert_eq!(own.url, None);
    assert_eq!(coordinator.asked()[1].1, "/v1/transactions/order-1");

    let nothing = NewBranch::new("payment").try_url("http://127.0.0.1:1/do");
    let error = open.register_own_try(nothing).await.expect_err("nobody could undo it");
    assert!(matches!(error, ClientError::NothingToDecide), "{error}");
}

#[tokio::test]
async fn the_decision_that_had_won_is_the_outcome() {
    let answers =
        vec![problem(409, "already-cancelled"), (200, transaction("cancelled", Some("deadline")))];
    let (coordinator, url) = Coordinator::start(0, answers).await;
    let client = Client::new(&url).expect("a client");
    let open = client.resume("order-1".parse().expect("a gid"));
    let outcome = open.confirm().await.expect("an answer");
    assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome:?}");
    let (method, path, _) = &coordinator.asked()[1];
    let expected = ("GET", "/v1/transactions/order-1?wait=finished&wait_ms=10000");
    assert_eq!((method.as_str(), path.as_str()), expected);
}

#[tokio::test]
async fn what_the_coordinator_finds_wrong_is_told_with_its_code() {
    let (coordinator, url) = Coordinator::start(0, vec![problem(409, "gid-reused")]).await;
    let client = Client::new(&url).expect("a client");
    let error = client.begin(order()).await.expect_err("refused");
    assert_eq!(error.code(), Some(ProblemCode::GidReused));
    assert_eq!(error.to_string(), "gid-reused: as the coordinator said");
    assert_eq!(coordinator.asked().len(), 1, "what is wrong is not repeated");
}

#[test]
fn a_url_that_leads_to_no_coordinator_is_refused_at_once() {
    for url in ["127.0.0.1:7200", "ftp://127.0.0.1", "http://127.0.0.1:7200/?a=b"] {
        assert!(Client::new(url).is_err(), "{url}");
    }
}
