//! Counts what becomes of nodes that share a database.

use std::fmt;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tercet_engine::LifeState;
use tercet_wire::metric;

/// Why something is taken over.
const REASONS: [&str; 3] = ["silence", "fenced", "left"];

/// The handles, registered once.
#[derive(Clone)]
pub struct ClusterMetrics {
    nodes: Vec<(LifeState, Gauge)>,
    take_overs: Vec<(&'static str, Counter)>,
    take_over: Histogram,
    fenced: Counter,
    lease_age: Gauge,
    orphaned: Gauge,
}

impl ClusterMetrics {
    /// Registers all, at zero.
    #[must_use]
    pub fn register() -> Self {
        let nodes = |state: LifeState| {
            let nodes = gauge!(metric::NODES, "state" => state.as_str());
            nodes.set(0.0);
            (state, nodes)
        };
        let take_overs = |why: &'static str| {
            let counted = counter!(metric::TAKE_OVERS, "why" => why);
            counted.absolute(0);
            (why, counted)
        };
        let (fenced, lease_age) = (counter!(metric::FENCED), gauge!(metric::LEASE_AGE));
        fenced.absolute(0);
        lease_age.set(0.0);
        let orphaned = gauge!(metric::ORPHANED);
        orphaned.set(0.0);
        Self {
            nodes: LifeState::ALL.map(nodes).to_vec(),
            take_overs: REASONS.map(take_overs).to_vec(),
            take_over: histogram!(metric::TAKE_OVER),
            fenced,
            lease_age,
            orphaned,
        }
    }

    /// So many lives are in this state.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn nodes(&self, state: LifeState, count: usize) {
        if let Some((_, nodes)) = self.nodes.iter().find(|(of, _)| *of == state) {
            nodes.set(count as f64);
        }
    }

    /// So many transactions no live node drives.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn orphaned(&self, transactions: usize) {
        self.orphaned.set(transactions as f64);
    }

    /// All that a life drove was taken over.
    pub fn taken_over(&self, why: &str, took: Duration) {
        if let Some((_, counted)) = self.take_overs.iter().find(|(of, _)| *of == why) {
            counted.increment(1);
        }
        self.take_over.record(took.as_secs_f64());
    }

    /// A life of this node was fenced.
    pub fn was_fenced(&self) {
        self.fenced.increment(1);
    }

    /// So long ago this life wrote last, at most.
    pub fn lease_age(&self, age: Duration) {
        self.lease_age.set(age.as_secs_f64());
    }
}

impl fmt::Debug for ClusterMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterMetrics").finish_non_exhaustive()
    }
}
