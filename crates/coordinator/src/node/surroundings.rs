//! What stays the same while one life of a node follows another in the same process.

use std::net::SocketAddr;
use std::sync::Arc;

use tercet_clock::Clock;
use tercet_engine::JournalEvent;
use tercet_journal::{Journal, JournalError, MemoryRows};
use tercet_wire::Incarnation;
use tokio::sync::{Notify, mpsc};

use super::NodeError;
use super::parts::{journal_settings, outbound_settings};
use crate::alerts::{self, Alerts};
use crate::cluster::{ClusterKey, Forwarder, OwnLease, Peers, Sightings, advertised};
use crate::config::Settings;
use crate::http::Readiness;
use crate::metrics::{ClusterMetrics, RecentCalls, TransactionMetrics};
use crate::open_files::Shares;
use crate::outbound::Connector;
use crate::tls::Tls;
use crate::traces::Traces;
use crate::workers::Workers;

/// Where the rows are.
#[derive(Debug, Clone)]
pub enum Rows {
    /// At `database.url`.
    InDatabase,
    /// The same, and what was undecided in it when it was restored from a backup is held.
    Restored,
    /// In this process.
    InMemory(MemoryRows),
}

/// What every life of a node has in common.
pub struct Surroundings {
    /// All settings.
    pub settings: Settings,
    /// Where the rows are.
    pub rows: Rows,
    /// Where requests are answered.
    pub listens_on: SocketAddr,
    /// Where other nodes reach it.
    pub url: String,
    /// Time and new ids.
    pub clock: Arc<dyn Clock>,
    /// Whether it takes work.
    pub readiness: Readiness,
    /// Makes connections.
    pub connector: Connector,
    /// Asks other nodes.
    pub peers: Arc<Peers>,
    /// What people are told.
    pub alerts: Alerts,
    /// What a collector is told.
    pub traces: Traces,
    /// What is counted of transactions.
    pub transactions: TransactionMetrics,
    /// What is counted of nodes.
    pub nodes: ClusterMetrics,
    /// What was seen of other nodes' lives, and of this one's.
    pub sightings: Sightings,
    /// How calls to participants went lately.
    pub recent: RecentCalls,
    /// Where calls run.
    pub workers: Workers,
}

impl Surroundings {
    /// Those of a node with these settings.
    pub async fn new(
        settings: &Settings,
        rows: Rows,
        listens_on: SocketAddr,
        shares: Shares,
        tls: &Tls,
        clock: Arc<dyn Clock>,
        readiness: Readiness,
    ) -> Self {
        let outbound = outbound_settings(settings, shares);
        let connector = Connector::new(outbound, Arc::clone(&tls.calls), Arc::clone(&clock));
        let node = settings.node_id(listens_on);
        let traces = settings.traces.settings();
        let traces = Traces::start(traces, connector.clone(), &node, Arc::clone(&clock));
        let webhook = settings.alerts.of_webhook(settings.retry.backoff());
        Self {
            url: advertised(settings, listens_on).await,
            settings: settings.clone(),
            rows,
            listens_on,
            alerts: alerts::start(webhook, connector.clone(), Arc::clone(&clock)),
            connector,
            traces,
            peers: Arc::new(Peers::new(Arc::clone(&tls.nodes), shares.forwards)),
            clock,
            readiness,
            transactions: TransactionMetrics::register(),
            nodes: ClusterMetrics::register(),
            sightings: Sightings::default(),
            recent: RecentCalls::default(),
            workers: Workers::here(),
        }
    }

    /// The same, with calls that run there.
    #[must_use]
    pub fn at(self, workers: Workers) -> Self {
        Self { workers, ..self }
    }

    /// What asks other nodes, where there may be any.
    pub(super) async fn forwarder(
        &self,
        incarnation: Incarnation,
        journal: &Journal,
        look: &Arc<Notify>,
        lease: &OwnLease,
    ) -> Result<Option<Arc<Forwarder>>, NodeError> {
        let Some(secret) = journal.shared_secret(&self.clock.new_secret()).await? else {
            // One process has the rows to itself.
            return Ok(None);
        };
        let forwarder = Forwarder::new(
            incarnation,
            journal.clone(),
            (ClusterKey::new(&secret), Arc::clone(&self.peers)),
            self.sightings.clone(),
            (Arc::clone(look), lease.clone()),
            self.settings.journal.request_timeout,
            Arc::clone(&self.clock),
        );
        Ok(Some(Arc::new(forwarder)))
    }

    /// Opens the journal for one life.
    pub(super) async fn journal(
        &self,
        incarnation: Incarnation,
        tell: mpsc::UnboundedSender<JournalEvent>,
    ) -> Result<Journal, JournalError> {
        let (settings, clock) = (&self.settings, Arc::clone(&self.clock));
        let of_journal = journal_settings(settings, self.listens_on, &self.url, incarnation);
        match &self.rows {
            Rows::InDatabase | Rows::Restored => Journal::open(of_journal, tell, clock).await,
            Rows::InMemory(rows) => Journal::in_memory(rows, of_journal, tell, clock).await,
        }
    }
}
