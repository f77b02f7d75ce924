//! The router that serves, with an engine of the test's.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tercet_clock::Clock;
use tercet_engine::{
    Ask, Decided, Decision, Reply, ReplyKind, Snapshot, StoredTransaction, Transaction, Until,
};
use tercet_journal::{Journal, JournalSettings, MemoryRows};
use tercet_wire::{
    Arrival, BeginRequest, Gid, Incarnation, Instance, Limits, Mono, Now, Reason, Status, Wall,
    check_begin,
};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use crate::access::Access;
use crate::cluster::Sightings;
use crate::config::Settings;
use crate::http::{Api, BodyBudget, ConsoleSettings, Readiness, RequestLimits, router};
use crate::jobs::Jobs;
use crate::metrics::{RecentCalls, TransactionMetrics};
use crate::pauses::Pauses;
use crate::runtime::{Asked, Control, Lanes, RuntimeHandle, lanes};
use crate::sagas::Sagas;

pub(super) const INSTANCE: &str = "01938d1c-7f00-7abc-8def-0123456789ab";

/// The moment at which every test happens.
pub(super) const NOW: Now = Now { mono: Mono(0), wall: Wall(1_763_640_000_007), entropy: 0 };

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Now {
        NOW
    }

    fn new_instance(&self) -> Instance {
        INSTANCE.parse().expect("a uuid")
    }

    fn new_incarnation(&self) -> Incarnation {
        Incarnation(1)
    }
}

/// What the engine was asked.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) gid: Gid,
    pub(super) ask: Ask,
    pub(super) until: Until,
    pub(super) wait: Duration,
}

/// A router and what its engine sees.
pub(super) struct Face {
    pub(super) router: Router,
    pub(super) readiness: Readiness,
    pub(super) seen: mpsc::UnboundedReceiver<Seen>,
}

impl Face {
    /// An engine that answers everything with what `reply` says; none: it forgets the
    /// request, as it does when it is dropped.
    pub(super) async fn new(answer: impl Fn(&Seen) -> Option<Reply> + Send + 'static) -> Self {
        Self::answering(&Settings::built_in().expect("the defaults fit"), answer).await
    }

    /// The same behind the rules of these settings.
    pub(super) async fn answering(
        settings: &Settings,
        answer: impl Fn(&Seen) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let (engine, mut lanes) = lanes(1, 1);
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let asked: Asked = tokio::select! {
                    Some(asked) = lanes.begins.recv() => asked,
                    Some(asked) = lanes.requests.recv() => asked,
                    Some(control) = lanes.control.recv() => {
                        if let Control::Sync(done) = control {
                            let _ = done.send(());
                        }
                        continue;
                    }
                    else => return,
                };
                let Asked { gid, ask, until, wait, reply, .. } = asked;
                let seen = Seen { gid, ask, until, wait };
                if let Some(answer) = answer(&seen) {
                    let _ = reply.send(answer);
                }
                let _ = tell.send(seen);
            }
        });
        Self::behind(settings, engine, seen).await
    }

    /// An engine whose part the test plays itself; each lane has room for one.
    pub(super) async fn unattended() -> (Self, Lanes) {
        let (engine, lanes) = lanes(1, 1);
        let (_, seen) = mpsc::unbounded_channel();
        (Self::of(engine, seen).await, lanes)
    }

    /// An engine that is gone.
    pub(super) async fn gone() -> Self {
        Self::unattended().await.0
    }

    /// An engine that is gone, behind the rules of these settings.
    pub(super) async fn with_rules(settings: &Settings) -> Self {
        let (engine, _) = lanes(1, 1);
        let (_, seen) = mpsc::unbounded_channel();
        Self::behind(settings, engine, seen).await
    }

    async fn of(engine: RuntimeHandle, seen: mpsc::UnboundedReceiver<Seen>) -> Self {
        Self::behind(&Settings::built_in().expect("the defaults fit"), engine, seen).await
    }

    async fn behind(
        settings: &Settings,
        engine: RuntimeHandle,
        seen: mpsc::UnboundedReceiver<Seen>,
    ) -> Self {
        let readiness = Readiness::default();
        readiness.set_writable(true);
        readiness.start();
        let own = "127.0.0.1:7200".parse().expect("an address");
        let journal = empty_journal().await;
        let router = router(Api {
            access: Arc::new(Access::begin(settings, Arc::new(StoppedClock)).expect("rules")),
            pauses: Pauses::new(journal.clone(), engine.clone(), &[]),
            sagas: Sagas::new(journal.clone()),
            jobs: Jobs::new(
                journal.clone(),
                engine.clone(),
                Arc::new(StoppedClock),
                Incarnation(1),
            ),
            engine,
            journal,
            clock: Arc::new(StoppedClock),
            limits: Limits { own_addresses: vec![own], payload_bytes: 2_048, ..Limits::default() },
            requests: RequestLimits {
                max_bytes: 4_096,
                body_timeout: Duration::from_secs(2),
                budget: BodyBudget::new(1 << 20),
            },
            history_lines: 100,
            readiness: readiness.clone(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            participants: Arc::new(Vec::new),
            nodes: Sightings::default(),
            transactions: TransactionMetrics::register(),
            forwarder: None,
            console: settings.console.enabled.then(|| ConsoleSettings {
                settings: Arc::clone(&settings.shown.0),
                recent: RecentCalls::default(),
            }),
        });
        Self { router, readiness, seen }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        Self::send_to(&self.router, request).await
    }

    pub(super) async fn send_to(router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(body.into()).expect("UTF-8");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(super) async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(Body::empty()).expect("a request")).await
    }

    pub(super) async fn post(&self, uri: &str, body: &str) -> Answer {
        self.send(posted(uri, body.to_owned())).await
    }
}

pub(super) fn posted(uri: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(uri).header("content-type", "application/json");
    request.body(body.into()).expect("a request")
}

/// A journal without a row.
async fn empty_journal() -> Journal {
    let (events, _) = mpsc::unbounded_channel();
    let settings = JournalSettings::new("", "test", Incarnation(1));
    let rows = MemoryRows::default();
    let opening = Journal::in_memory(&rows, settings, events, Arc::new(StoppedClock));
    opening.await.expect("a journal")
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The problem's code and detail, after checking that it is a whole one.
    pub(super) fn problem(&self) -> (String, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
        assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(text("type"), format!("/problems/{}", text("code")));
        assert!(!text("title").is_empty() && !text("detail").is_empty(), "{self:?}");
        let passes = matches!(self.status.as_u16(), 429 | 503);
        assert_eq!(self.header("retry-after"), if passes { "1" } else { "" }, "{self:?}");
        (text("code"), text("detail"))
    }
}

/// A transaction that stands like this, with one branch `b1`.
pub(super) fn snapshot(status: Status) -> Snapshot {
    let body = r#"{"gid":"order-1","branches":[{"endpoint":"http://127.0.0.1:7301/a"}]}"#;
    let request: BeginRequest = serde_json::from_str(body).expect("a begin");
    let instance = INSTANCE.parse().expect("a uuid");
    let arrival = Arrival { instance, at: NOW.wall, traceparent: None };
    let checked = check_begin(request, &Limits::default(), &arrival).expect("valid");
    let mut stored = StoredTransaction::begun(Arc::new(checked.spec));
    stored.status = status;
    let cancel = Decision::Cancel { reason: Reason::Requested, detail: Some("no stock".into()) };
    let decision = match status {
        Status::Trying => None,
        Status::Confirming | Status::Confirmed => Some(Decision::Confirm),
        Status::Cancelling | Status::Cancelled => Some(cancel),
    };
    stored.decided = decision.map(|decision| Decided { at: NOW.wall, decision });
    stored.finished_at = status.is_finished().then_some(NOW.wall);
    Snapshot {
        transaction: Transaction::restore(&stored, NOW),
        at: NOW,
        paused: tercet_engine::PausedNames::default(),
    }
}

pub(super) fn transaction(told: ReplyKind, status: Status) -> Reply {
    Reply::Transaction { told, snapshot: snapshot(status) }
}

pub(super) fn branch(told: ReplyKind, status: Status) -> Reply {
    let branch = "b1".parse().expect("an id");
    Reply::Branch { told, snapshot: snapshot(status), branch }
}
