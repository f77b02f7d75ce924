//! What the handlers work with.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use metrics_exporter_prometheus::PrometheusHandle;
use tercet_clock::Clock;
use tercet_engine::ParticipantHealth;
use tercet_journal::Journal;
use tercet_wire::{Instance, Limits, ProblemCode};

use crate::access::Access;
use crate::cluster::{Forwarder, Sightings};
use crate::http::console::ConsoleSettings;
use crate::http::extract::budget::BodyBudget;
use crate::http::readiness::Readiness;
use crate::http::response::problem::Failure;
use crate::jobs::Jobs;
use crate::metrics::TransactionMetrics;
use crate::pauses::Pauses;
use crate::runtime::RuntimeHandle;
use crate::sagas::Sagas;

/// Everything a request can need.
pub struct Api {
    /// Says who may do what.
    pub access: Arc<Access>,
    /// Asks the engine.
    pub engine: RuntimeHandle,
    /// Reads lists and histories.
    pub journal: Journal,
    /// Definitions of sagas.
    pub sagas: Sagas,
    /// What is done to many transactions.
    pub jobs: Jobs,
    /// Time and new ids.
    pub clock: Arc<dyn Clock>,
    /// How large the parts of a request may be, and where this node listens.
    pub limits: Limits,
    /// How large and slow a request may be as a whole.
    pub requests: RequestLimits,
    /// The most lines of history kept of one transaction, people's among them.
    pub history_lines: u32,
    /// Whether this node takes work.
    pub readiness: Readiness,
    /// Writes what `/metrics` answers.
    pub metrics: PrometheusHandle,
    /// Tells how it stands with the participants.
    pub participants: Arc<dyn Fn() -> Vec<ParticipantHealth> + Send + Sync>,
    /// Knows which participants are paused.
    pub pauses: Pauses,
    /// What was seen of the nodes.
    pub nodes: Sightings,
    /// What is counted of transactions.
    pub transactions: TransactionMetrics,
    /// Asks other nodes, where there are any.
    pub forwarder: Option<Arc<Forwarder>>,
    /// What pages for people are made with, where there are any.
    pub console: Option<ConsoleSettings>,
}

impl Api {
    /// A life of a gid that begins now.
    pub fn new_instance(&self) -> Instance {
        self.clock.new_instance().with_rows(self.journal.rows_under())
    }
}

impl FromRef<Arc<Api>> for Readiness {
    fn from_ref(api: &Arc<Api>) -> Self {
        api.readiness.clone()
    }
}

/// How large and slow a request may be as a whole.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// Longest body, in bytes.
    pub max_bytes: usize,
    /// Longest time a body may take to arrive.
    pub body_timeout: Duration,
    /// What bodies that are being received may take together.
    pub budget: BodyBudget,
}

impl RequestLimits {
    /// What a longer body is answered.
    pub(in crate::http) fn too_large(&self) -> Failure {
        let detail = format!("the body must be at most {} bytes long", self.max_bytes);
        Failure::new(ProblemCode::PayloadTooLarge, detail)
    }
}
