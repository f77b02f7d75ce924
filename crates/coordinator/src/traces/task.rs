//! The one task that tells a collector of spans, a batch at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, RetryPolicy, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tercet_clock::Clock;
use tercet_wire::{Backoff, metric};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::TraceSettings;
use super::collector::Collector;
use crate::outbound::Connector;

/// Spans of one batch, at most.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);
/// How often a batch is sent before it is given up.
const ATTEMPTS: u32 = 4;
/// The pauses between.
const PAUSES: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// What it works with.
pub(super) struct Task {
    exporter: Result<opentelemetry_otlp::SpanExporter, ExporterBuildError>,
    clock: Arc<dyn Clock>,
    waiting: mpsc::Receiver<SpanData>,
    ends: watch::Receiver<bool>,
    exported: Counter,
    dropped: Counter,
    /// Whether people were told that the collector takes nothing.
    is_told: bool,
}

impl Task {
    pub(super) fn new(
        settings: TraceSettings,
        connector: Connector,
        node: &str,
        clock: Arc<dyn Clock>,
        waiting: mpsc::Receiver<SpanData>,
        ends: watch::Receiver<bool>,
    ) -> Self {
        let url = settings.url.to_string();
        let within = settings.timeout;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(settings, connector))
            .with_endpoint(url)
            .with_timeout(within)
            .with_headers(HashMap::new())
            // It would put a thread of the runtime to sleep between.
            .with_retry_policy(RetryPolicy::disabled())
            .build();
        let exporter = exporter.map(|mut exporter| {
            exporter.set_resource(&resource(node));
            exporter
        });
        let exported = counter!(metric::SPANS, "result" => "exported");
        exported.absolute(0);
        let dropped = super::dropped();
        dropped.absolute(0);
        Self { exporter, clock, waiting, ends, exported, dropped, is_told: false }
    }

    /// Tells for as long as the daemon runs, and then what waits.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.gather(&mut batch).await {
            self.deliver(std::mem::take(&mut batch)).await;
        }
    }

    /// The next batch; whether there is one.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) -> bool {
        let Self { waiting, ends, .. } = self;
        tokio::select! {
            biased;
            some = waiting.recv_many(batch, BATCH) => if some == 0 { return false },
            _ = ends.wait_for(|ends| *ends) => return false,
        }
        let more = async {
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                if waiting.recv_many(batch, room).await == 0 {
                    return;
                }
            }
        };
        tokio::select! {
            _ = timeout(GATHER, more) => {}
            _ = ends.wait_for(|ends| *ends) => {}
        }
        true
    }

    async fn deliver(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        for attempt in 1..=ATTEMPTS {
            let sent = match &self.exporter {
                Ok(exporter) => exporter.export(batch.clone()).await.map_err(|why| why.to_string()),
                Err(why) => Err(why.to_string()),
            };
            match sent {
                Ok(()) => return self.delivered(spans),
                Err(why) => self.tell(&why),
            }
            if attempt == ATTEMPTS || *self.ends.borrow() {
                break;
            }
            let pause = PAUSES.pause(attempt, self.clock.now().entropy, None);
            tokio::select! {
                () = sleep(pause) => {}
                _ = self.ends.wait_for(|ends| *ends) => {}
            }
        }
        self.dropped.increment(spans);
    }

    fn delivered(&mut self, spans: u64) {
        self.exported.increment(spans);
        if std::mem::take(&mut self.is_told) {
            tracing::info!(event = "spans_exported", "the collector of traces takes spans again");
        }
    }

    /// Once for each time that it takes nothing.
    fn tell(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                event = "spans_not_exported",
                why,
                "the collector of traces (traces.endpoint) takes no spans; nobody waits for it, and what \
                 there is no room for is dropped"
            );
        }
    }
}

/// What all spans have in common.
fn resource(node: &str) -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "tercet"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", node.to_owned()),
        ])
        .build()
}
