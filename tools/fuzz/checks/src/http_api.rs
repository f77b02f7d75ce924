//! The HTTP face: any path, query, headers and body. Nothing is answered with a fault of
//! ours, and every refusal is a problem that says what is wrong.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use tercet_coordinator::access::Access;
use tercet_coordinator::cluster::Sightings;
use tercet_coordinator::config::Settings;
use tercet_coordinator::http::{Api, BodyBudget, Readiness, RequestLimits, router};
use tercet_coordinator::jobs::Jobs;
use tercet_coordinator::metrics::{self, TransactionMetrics};
use tercet_coordinator::pauses::Pauses;
use tercet_coordinator::runtime::{Control, Lanes, lanes};
use tercet_coordinator::sagas::Sagas;
use tercet_engine::{Refusal, Reply};
use tercet_journal::{Journal, JournalSettings, MemoryRows};
use tercet_wire::{Incarnation, Limits, Problem, ProblemCode};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use crate::choices::Choices;
use crate::clock::BranchState;

/// What the first byte begins the request with.
const BEGINNINGS: [(Method, &str); 13] = [
    (Method::POST, "/v1/transactions"),
    (Method::GET, "/v1/transactions"),
    (Method::GET, "/v1/transactions/"),
    (Method::POST, "/v1/transactions/order-1/branches"),
    (Method::POST, "/v1/transactions/order-1/confirm"),
    (Method::POST, "/v1/transactions/order-1/cancel"),
    (Method::GET, "/v1/transactions/order-1/events"),
    (Method::GET, "/problems/"),
    (Method::POST, "/"),
    (Method::DELETE, "/v1/transactions/order-1"),
    (Method::POST, "/v1/transactions/order-1/retry"),
    (Method::POST, "/v1/transactions/order-1/branches/b1/resolve"),
    (Method::POST, "/v1/retry"),
    (Method::POST, "/v1/restored/release"),
];

struct Face {
    runtime: Runtime,
    router: Router,
}

/// A line with the rest of path and query, a line with a header, then the body.
pub(crate) fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (method, beginning) = choices.pick(&BEGINNINGS).clone();
    let mut parts = choices.rest().splitn(3, |byte| *byte == b'\n');
    let path = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let header = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default().to_vec();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{beginning}{path}"))
        .header("content-type", "application/json");
    if let Some(at) = header.iter().position(|byte| *byte == b':') {
        request = request.header(&header[..at], &header[at + 1..]);
    }
    // What hyper would not have let in is none of ours.
    let Ok(request) = request.body(Body::from(body)) else { return };
    let http_api = http_api();
    let (status, json) = http_api.runtime.block_on(answer(&http_api.router, request));
    let Some(json) = json else { return };
    if status < 400 {
        return;
    }
    let problem: Problem = serde_json::from_slice(&json)
        .unwrap_or_else(|error| panic!("{status} {error}: {}", String::from_utf8_lossy(&json)));
    assert_eq!(problem.status, status);
    assert_ne!(problem.code, ProblemCode::Internal, "{}", problem.detail);
    assert!(!problem.detail.is_empty(), "{problem:?}");
    if problem.code == ProblemCode::InvalidRequest {
        assert!(problem.detail.contains(": "), "it names no field: {}", problem.detail);
    }
}

/// The status, and the body if it is JSON.
async fn answer(router: &Router, request: Request<Body>) -> (u16, Option<Vec<u8>>) {
    let answering = router.clone().oneshot(request);
    let Ok(response) = answering.await;
    let (parts, body) = Response::into_parts(response);
    let kind = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.ends_with("json"));
    assert!(is_json || parts.status.as_u16() < 400, "{} is {kind:?}", parts.status);
    let body = body.collect().await.expect("a whole body").to_bytes();
    (parts.status.as_u16(), is_json.then(|| body.to_vec()))
}

fn http_api() -> &'static Face {
    static FACE: OnceLock<Face> = OnceLock::new();
    FACE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let router = runtime.block_on(serving());
        Face { runtime, router }
    })
}

async fn serving() -> Router {
    let (engine, lanes) = lanes(16, 16);
    tokio::spawn(know_nothing(lanes));
    let (events, _) = mpsc::unbounded_channel();
    let clock = Arc::new(BranchState::default());
    let settings = JournalSettings::new("", "fuzz", Incarnation(1));
    let rows = MemoryRows::default();
    let journal = Journal::in_memory(&rows, settings, events, clock.clone());
    let journal = journal.await.expect("a journal");
    let readiness = Readiness::default();
    readiness.set_writable(true);
    readiness.start();
    let settings = Settings::built_in().expect("the defaults fit");
    let access = Access::begin(&settings, clock.clone()).expect("there are no rules");
    router(Api {
        access: Arc::new(access),
        pauses: Pauses::new(journal.clone(), engine.clone(), &[]),
        sagas: Sagas::new(journal.clone()),
        jobs: Jobs::new(journal.clone(), engine.clone(), clock.clone(), Incarnation(1)),
        engine,
        journal,
        clock,
        limits: Limits::default(),
        requests: RequestLimits {
            max_bytes: 4_096,
            body_timeout: Duration::from_secs(5),
            budget: BodyBudget::new(1 << 20),
        },
        history_lines: 100,
        readiness,
        participants: Arc::new(Vec::new),
        metrics: metrics::install().expect("nobody else counts here"),
        nodes: Sightings::default(),
        transactions: TransactionMetrics::register(),
        forwarder: None,
        console: None,
    })
}

/// An engine that knows no transaction.
async fn know_nothing(mut lanes: Lanes) {
    loop {
        let asked = tokio::select! {
            Some(asked) = lanes.begins.recv() => asked,
            Some(asked) = lanes.requests.recv() => asked,
            Some(control) = lanes.control.recv() => {
                if let Control::Sync(done) = control {
                    let _hung_up = done.send(());
                }
                continue;
            }
            else => return,
        };
        let _hung_up = asked.reply.send(Reply::Refused(Refusal::NotFound));
    }
}
