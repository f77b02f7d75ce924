//! Traces: what a collector is told by OTLP, by which ids, and that nobody waits for it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tercet_testing::{
    Client, Participant, Port, Reaction, Response as Answer, Tercet, eventually, serve, soon,
};
use tercet_wire::Op;
use tokio::sync::watch;

use crate::bodies::{begin, branch};
use crate::expected::transaction;
use crate::ran::{directory, run};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that keeps what it is told.
struct Collector {
    endpoint: String,
    told: Arc<watch::Sender<Told>>,
}

#[derive(Debug, Clone, Default)]
struct Told {
    spans: Vec<Seen>,
    headers: BTreeMap<String, String>,
    path: String,
    service: String,
}

/// A span, with what is asked of it below.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    name: String,
    trace: String,
    id: String,
    parent: String,
    attributes: BTreeMap<String, String>,
    events: Vec<String>,
    is_error: bool,
    nanos: (u64, u64),
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{}: {other:?}", pair.key),
    };
    of.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

impl From<Span> for Seen {
    fn from(span: Span) -> Self {
        Self {
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            attributes: attributes(&span.attributes),
            events: span.events.into_iter().map(|event| event.name).collect(),
            is_error: span.status.is_some_and(|status| status.code == 2),
            nanos: (span.start_time_unix_nano, span.end_time_unix_nano),
        }
    }
}

impl Collector {
    async fn start() -> Self {
        let port = Port::free();
        let endpoint = format!("http://{}", port.address());
        let told = Arc::new(watch::Sender::new(Told::default()));
        let keeps = Arc::clone(&told);
        let listener = port.listen();
        tokio::spawn(async move {
            serve(listener, move |request| keep(request, Arc::clone(&keeps))).await;
            drop(port);
        });
        Self { endpoint, told }
    }

    /// Waits until it was told of so many spans of this transaction.
    async fn spans(&self, gid: &str, count: usize) -> Vec<Seen> {
        let mut told = self.told.subscribe();
        let of = |told: &Told| -> Vec<Seen> {
            let of = |span: &&Seen| span.attributes["tercet.gid"] == gid;
            told.spans.iter().filter(of).cloned().collect()
        };
        let there = told.wait_for(|told| of(told).len() >= count);
        let there = soon(&format!("{count} spans of {gid}"), there).await.expect("it is there");
        of(&there)
    }
}

async fn keep(
    request: Request<Incoming>,
    told: Arc<watch::Sender<Told>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let read = ExportTraceServiceRequest::decode(body).expect("protobuf");
    told.send_modify(|told| {
        told.path = head.uri.path().to_owned();
        let text = |value: &http::HeaderValue| value.to_str().expect("ASCII").to_owned();
        told.headers =
            head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        for resource in read.resource_spans {
            let of = resource.resource.expect("a resource");
            told.service = attributes(&of.attributes)["service.name"].clone();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            told.spans.extend(spans.map(Seen::from));
        }
    });
    Ok(Response::new(Full::default()))
}

async fn begin_in(client: &Client, flags: &str, body: &str) {
    let url = client.url("/v1/transactions?wait=finished");
    let begun = client.http().post(url).header("content-type", "application/json");
    let begun = begun.header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
    let answer = soon("an answer", begun.body(body.to_owned()).send()).await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
}

fn trace_id(answer: &Answer) -> &str {
    answer.word("trace_id")
}

/// The span that a participant was told of, its trace and its flags.
fn heard(participant: &Participant, branch: &str, op: Op) -> (String, String, String) {
    let calls = participant.calls();
    let call = calls.iter().find(|call| call.branch == branch && call.op == op).expect("a call");
    let parts: Vec<&str> = call.headers["traceparent"].split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned(), parts[3].to_owned())
}

#[tokio::test]
async fn a_transaction_and_its_calls_are_one_trace() {
    let (collector, participant) = (Collector::start().await, Participant::start().await);
    let tercet = Tercet::start_with(&[
        ("TRACES__ENDPOINT", &collector.endpoint),
        ("TRACES__HEADERS", r#"{"x-key":"k3y"}"#),
        ("LOG__FILTER", "info,tercet_coordinator::dispatcher=debug"),
    ])
    .await;
    let client = tercet.client();
    let branches = [branch(&participant, "stock"), branch(&participant, "pay")];
    begin_in(&client, "01", &begin("order-1", &branches)).await;
    let spans = collector.spans("order-1", 5).await;
    assert_eq!(spans.len(), 5, "{spans:?}");
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
    let whole = spans.iter().find(|span| span.name == "transaction").expect("the transaction's");
    assert_eq!((whole.parent.as_str(), &*whole.events), (PARENT, &["decided".to_owned()][..]));
    assert_eq!(whole.attributes["tercet.status"], "confirmed");
    for (branch, op) in
        [("stock", Op::Try), ("pay", Op::Try), ("stock", Op::Confirm), ("pay", Op::Confirm)]
    {
        let (trace, id, flags) = heard(&participant, branch, op);
        let span = spans.iter().find(|span| span.id == id).expect("the one that was heard of");
        assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"), "{branch} {op}");
        assert_eq!((&span.parent, span.name.as_str()), (&whole.id, op.as_str()), "{branch}");
        let said = |name: &str| span.attributes[name].as_str();
        assert_eq!((said("tercet.branch"), said("tercet.attempt")), (branch, "1"));
        assert_eq!((said("http.response.status_code"), said("tercet.result")), ("200", "done"));
        assert!(span.nanos.0 <= span.nanos.1 && !span.is_error, "{span:?}");
    }
    let told = collector.told.borrow().clone();
    assert_eq!((told.path.as_str(), told.service.as_str()), ("/v1/traces", "tercet"));
    assert_eq!(told.headers["x-key"], "k3y");
    assert_eq!(told.headers["content-type"], "application/x-protobuf");
    // Whoever looks at it finds the trace.
    assert_eq!(trace_id(&client.get("order-1").await), TRACE);
    let elsewhere = directory();
    let shown =
        run(elsewhere.path(), &["tx", "show", "order-1"], &[("TERCET_URL", &client.url(""))]).await;
    assert!(shown.stdout.contains(TRACE), "{} {}", shown.stdout, shown.stderr);
    let line = tercet.logged("gid=order-1").await;
    assert!(line.contains(&format!("trace_id={TRACE}")), "{line}");
}

#[tokio::test]
async fn a_trace_goes_on_after_a_restart() {
    let (collector, participant) = (Collector::start().await, Participant::start().await);
    let mut tercet = Tercet::start_with(&[("TRACES__ENDPOINT", &collector.endpoint)]).await;
    participant.always("stock", Op::Confirm, Reaction::status(500));
    let body = begin("order-1", &[branch(&participant, "stock")]);
    tercet.client().begin("?wait=decided", &body).await;
    // A Try and a Confirm that failed, of the first life at least.
    let before = collector.spans("order-1", 2).await;
    assert!(before.iter().any(|span| span.name == "confirm" && span.is_error), "{before:?}");
    tercet.kill().await;
    participant.always("stock", Op::Confirm, Reaction::status(200));
    tercet.restart().await;
    let client = tercet.client();
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let is_whole = |spans: &[Seen]| spans.iter().any(|span| span.name == "transaction");
    let mut count = before.len();
    let spans = loop {
        let spans = collector.spans("order-1", count).await;
        if is_whole(&spans) {
            break spans;
        }
        count = spans.len() + 1;
    };
    let whole = spans.iter().find(|span| span.name == "transaction").expect("the transaction's");
    let own = trace_id(&client.get("order-1").await).to_owned();
    assert_eq!((whole.trace.as_str(), whole.parent.as_str()), (own.as_str(), ""));
    let calls: Vec<&Seen> = spans.iter().filter(|span| span.name != "transaction").collect();
    assert!(calls.len() > before.len(), "{spans:?}");
    for call in calls {
        assert_eq!((&call.trace, &call.parent), (&own, &whole.id), "{call:?}");
    }
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_is_not_told() {
    let (collector, participant) = (Collector::start().await, Participant::start().await);
    let tercet = Tercet::start_with(&[
        ("TRACES__ENDPOINT", &collector.endpoint),
        ("TRACES__SAMPLE_RATIO", "0"),
    ])
    .await;
    let client = tercet.client();
    let of = |gid: &str| begin(gid, &[branch(&participant, gid)]);
    client.begin("?wait=finished", &of("own")).await;
    begin_in(&client, "00", &of("unsampled")).await;
    begin_in(&client, "01", &of("sampled")).await;
    assert_eq!(collector.spans("sampled", 3).await.len(), 3);
    let told = collector.told.borrow().spans.clone();
    assert!(told.iter().all(|span| span.attributes["tercet.gid"] == "sampled"), "{told:?}");
    let flags = |gid: &str| heard(&participant, gid, Op::Try).2;
    assert_eq!(["own", "unsampled", "sampled"].map(flags), ["00", "00", "01"]);
}

/// Keeps P6, P9.
#[tokio::test]
async fn a_dead_collector_holds_up_nobody() {
    let port = Port::free();
    let endpoint = format!("http://{}", port.address());
    let tercet =
        Tercet::start_with(&[("TRACES__ENDPOINT", &endpoint), ("TRACES__QUEUE_SPANS", "1")]).await;
    let (client, participant) = (tercet.client(), Participant::start().await);
    for number in 0..20 {
        let body = begin(&format!("order-{number}"), &[branch(&participant, "stock")]);
        transaction(&client.begin("?wait=finished", &body).await, 201, "confirmed");
    }
    let dropped = async || {
        let text = client.send(Method::GET, "/metrics", None).await.text;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("tercet_spans_total{result=\"dropped\"} "));
        (line?.parse::<f64>().ok()? > 40.0).then_some(())
    };
    eventually("most spans were dropped", dropped).await;
    tercet.logged("spans_not_exported").await;
}
