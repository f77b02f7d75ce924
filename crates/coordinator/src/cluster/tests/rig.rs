//! Several daemons in one process, on the same rows in memory. Each has a runtime of its own, so
//! that one can end as a process does that is killed.

use std::net::SocketAddr;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tercet_clock::SystemClock;
use tercet_engine::{LifeRow, LifeState};
use tercet_journal::{Journal, JournalSettings, MemoryRows};
use tercet_testing::{Client, Participant, eventually, soon};
use tercet_wire::Incarnation;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::{Flags, Layers};
use crate::node::Rows;
use crate::serve::{Running, ServeError, serve_on};
use crate::signals::Stop;
use crate::workers::Workers;

/// So long that nobody's silence matters: what happens all the same happens for another reason.
pub(super) const NEVER_SILENT: (&str, &str) = ("cluster.lease_ms", "600000");

/// One daemon.
pub(super) struct Daemon {
    pub(super) address: SocketAddr,
    runtime: Option<Runtime>,
    stop: watch::Sender<Stop>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Daemon {
    /// One of this name, ready.
    pub(super) async fn start(
        name: &str,
        rows: &MemoryRows,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let mut flags: Flags =
            settings.iter().map(|(key, value)| ("--flag", *key, (*value).to_owned())).collect();
        for (key, value) in
            [("node.id", name), ("server.listen", "127.0.0.1:0"), ("cluster.heartbeat_ms", "100")]
        {
            flags.push(("--flag", key, value.to_owned()));
        }
        let layers = Layers::gather(None, [], &flags);
        let settings = layers.and_then(|layers| layers.settings()).expect("they fit");
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("threads");
        let (stop, stopped) = watch::channel(Stop::NotAsked);
        let (ready, listens) = oneshot::channel();
        let rows = Rows::InMemory(rows.clone());
        let served = runtime.spawn(async move {
            let metrics = PrometheusBuilder::new().build_recorder().handle();
            let ready = |address| ready.send(address).expect("somebody waits for it");
            let running = Running { metrics, workers: Workers::here(), stop: stopped };
            serve_on(&settings, rows, running, ready).await
        });
        let address = soon("the daemon is ready", listens).await.expect("it listens");
        Self { address, runtime: Some(runtime), stop, served }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Ends as by `kill -9`.
    pub(super) fn crash(mut self) {
        self.end();
    }

    /// Stops as by SIGTERM.
    pub(super) async fn stops(mut self) -> Result<(), ServeError> {
        self.stop.send(Stop::Now).expect("it runs");
        let served = &mut self.served;
        soon("the daemon stops", served).await.expect("no panic")
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Somebody who sees the rows of all lives, and can do to them what a node can.
pub(super) struct Onlooker(pub(super) Journal);

impl Onlooker {
    /// It drives nothing and gives no sign of life, so it is soon fenced.
    pub(super) async fn of(rows: &MemoryRows) -> Self {
        let (tell, _events) = mpsc::unbounded_channel();
        let settings = JournalSettings::new("", "onlooker", Incarnation(1));
        let clock = Arc::new(SystemClock::start());
        let journal = Journal::in_memory(rows, settings, tell, clock).await;
        Self(journal.expect("a thread"))
    }

    /// The lives of a node, those that are live first.
    pub(super) async fn lives(&self, node_id: &str) -> Vec<LifeRow> {
        let mut rows = self.0.lives().await.expect("rows");
        rows.retain(|row| row.node_id == node_id);
        rows.sort_by_key(|row| row.state != LifeState::Live);
        rows
    }

    /// Fences a life, as others would that think it dead.
    pub(super) async fn fence(&self, life: Incarnation) {
        // It may write between the look and the marker.
        let fenced = async || {
            let rows = self.0.lives().await.expect("rows");
            let seen = rows.iter().find(|row| row.incarnation == life).expect("its row").batch_no;
            self.0.mark_fenced(life, seen).await.expect("rows").then_some(())
        };
        eventually("the marker finds it between two batches", fenced).await;
    }
}

/// The body of a begin.
pub(super) fn begin(gid: &str, at: &Participant) -> String {
    let branch = json!({ "id": gid, "endpoint": at.url("/stock"), "timeout_ms": 25_000 });
    json!({ "gid": gid, "branches": [branch] }).to_string()
}

/// The transaction as this client is told of it once it has finished, whoever drives it before.
pub(super) async fn finished(client: &Client, gid: &str) -> Value {
    let look = async || {
        let told = client.get(gid).await;
        (told.status == 200 && told.json["finished_at"].is_string()).then_some(told.json)
    };
    eventually(&format!("{gid} is finished"), look).await
}
