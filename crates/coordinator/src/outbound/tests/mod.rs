//! Connections to those who behave and misbehave.

mod allowed;
mod connections;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_wire::{Incarnation, Instance, Mono, Now};

use super::{Connector, OutboundSettings};

/// A clock that goes when the test says.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    millis: AtomicU64,
}

impl Hand {
    /// Goes on, and says what it was before.
    pub(crate) fn forward(&self, millis: u64) -> Mono {
        Mono(self.millis.fetch_add(millis, Ordering::Relaxed))
    }
}

impl Clock for Hand {
    fn now(&self) -> Now {
        Now { mono: Mono(self.millis.load(Ordering::Relaxed)), ..Now::default() }
    }

    fn new_instance(&self) -> Instance {
        Instance::new(uuid::Uuid::nil())
    }

    fn new_incarnation(&self) -> Incarnation {
        Incarnation(1)
    }
}

impl OutboundSettings {
    /// Plenty of everything, and the default patience.
    pub(crate) fn built_in() -> Self {
        Self { connect_timeout: Duration::from_secs(1), sockets: 1_024, look_ups: 64 }
    }
}

fn connector(clock: &Arc<Hand>) -> Connector {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Connector::plain(OutboundSettings::built_in(), clock)
}
