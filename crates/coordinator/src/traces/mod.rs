//! Traces: a span of each transaction and of each call, told to a collector by OTLP (HTTP, protobuf). Off
//! unless `traces.endpoint` says where.
//!
//! ```text
//!  call_loop: a call has ended ────────┐                       ┌▶ full: dropped and counted
//!                                      ├─▶ Traces ─▶ bounded ──┴▶ task ─ batches ─▶ collector
//!  shell: a transaction has ended ─────┘              queue
//! ```
//!
//! Which trace a transaction belongs to, and which span is its, follows from what is stored of it
//! (`context`): so calls that were made before a restart and after it stand under one span. Nobody waits
//! for any of this.

mod collector;
mod context;
mod settings;
mod span;
mod task;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use opentelemetry_sdk::trace::SpanData;
use tercet_clock::Clock;
use tercet_engine::Transaction;
use tercet_wire::{Spec, metric};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(crate) use self::context::{SampleRatio, TraceContext};
pub(crate) use self::settings::TraceSettings;
pub(crate) use self::span::CallSpan;
use self::task::Task;
use crate::outbound::Connector;

/// Takes spans. Cheap to clone; where traces are off it takes none.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    ratio: SampleRatio,
    spans: mpsc::Sender<SpanData>,
    dropped: Counter,
    /// The task ends when this turns true, once it has told what waits.
    end: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Traces {
    /// None.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Tells a collector, if one is set, by a task on the runtime that this is called from. `node` names this
    /// node among others.
    pub(crate) fn start(
        settings: Option<TraceSettings>,
        connector: Connector,
        node: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Some(settings) = settings else { return Self::off() };
        let (spans, waiting) = mpsc::channel(settings.queue_spans);
        let (end, ends) = watch::channel(false);
        let ratio = settings.ratio;
        let dropped = dropped();
        let task = Task::new(settings, connector, node, clock, waiting, ends);
        let task = Mutex::new(Some(tokio::spawn(task.run())));
        Self(Some(Arc::new(Inner { ratio, spans, dropped, end, task })))
    }

    /// Where the spans of this transaction stand; none if they are not told.
    pub(crate) fn of(&self, spec: &Spec) -> Option<TraceContext> {
        TraceContext::of(spec, self.0.as_ref()?.ratio)
    }

    /// A call has ended.
    pub(crate) fn call(&self, context: TraceContext, ended: &CallSpan<'_>) {
        self.tell(|| ended.data(context));
    }

    /// A transaction has ended.
    pub(crate) fn finished(&self, transaction: &Transaction) {
        if let Some(context) = self.of(transaction.spec()) {
            self.tell(|| span::of_transaction(context, transaction));
        }
    }

    /// Has what waits told, within so long.
    pub(crate) async fn finish(&self, within: Duration) {
        let Some(inner) = &self.0 else { return };
        let _ = inner.end.send(true);
        // It is taken out and nothing else is done.
        let task = inner.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = tokio::time::timeout(within, task).await;
        }
    }

    /// What there is no place for is dropped: a collector that does not answer holds up nobody.
    fn tell(&self, span: impl FnOnce() -> SpanData) {
        let Some(inner) = &self.0 else { return };
        match inner.spans.try_reserve() {
            Ok(place) => place.send(span()),
            Err(_) => inner.dropped.increment(1),
        }
    }
}

/// Spans that were given up.
fn dropped() -> Counter {
    counter!(metric::SPANS, "result" => "dropped")
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.0.is_some()).finish()
    }
}
