//! How much is measured: all of it within ten minutes, or as little as shows that it works.

use std::time::Duration;

use super::testbed::Timing;
use crate::load::Until;

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whether it is long enough for its figures to mean anything.
    pub(crate) counts: bool,
    /// Rounds of the main cases, of the patterns and of those by TLS; the others have one.
    pub(crate) rounds: usize,
    pub(crate) main: Timing,
    pub(crate) side: Timing,
    /// Offered rates, as parts of what a closed loop reached.
    pub(crate) rates: Vec<f64>,
    pub(crate) rate: Timing,
    /// Transactions of each kind of gids that have finished before it is measured.
    pub(crate) named: u64,
    /// Transactions after which memory is looked at.
    pub(crate) for_memory: u64,
    /// Transactions that wait while memory is looked at.
    pub(crate) waiting: u64,
}

impl Plan {
    /// About six minutes.
    pub(crate) fn whole() -> Self {
        Self {
            counts: true,
            rounds: 3,
            main: seconds(1.0, 4.0),
            side: seconds(0.5, 3.0),
            rates: vec![0.1, 0.25, 0.5, 0.7, 0.85, 0.95, 1.05],
            rate: seconds(0.5, 3.0),
            named: 50_000,
            for_memory: 100_000,
            waiting: 50_000,
        }
    }

    /// A few seconds: every case, and nothing that could be called a figure.
    pub(crate) fn smoke() -> Self {
        let few = |count| Timing { warm_up: Duration::ZERO, until: Until::Begun(count) };
        Self {
            counts: false,
            rounds: 1,
            main: few(200),
            side: few(200),
            rates: vec![0.2, 0.4],
            rate: seconds(0.0, 0.5),
            named: 300,
            for_memory: 300,
            waiting: 300,
        }
    }
}

/// A round of these lengths.
pub(crate) fn seconds(warm_up: f64, measured: f64) -> Timing {
    let until = Until::Passed(Duration::from_secs_f64(measured));
    Timing { warm_up: Duration::from_secs_f64(warm_up), until }
}
