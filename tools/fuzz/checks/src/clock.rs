//! A clock that stands still, so that the same bytes do the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tercet_clock::Clock;
use tercet_wire::{ActId, Audited, Incarnation, Instance, Mono, Now, Operator, Wall};

/// The moment at which everything happens.
pub(crate) const NOW: Now = Now { mono: Mono(1_000), wall: Wall(1_763_640_000_000), entropy: 7 };

/// Stands still; gives instances by number.
#[derive(Debug, Default)]
pub(crate) struct BranchState {
    instances: AtomicU64,
}

/// The instance of this number.
pub(crate) fn instance(number: u64) -> Instance {
    let text = format!("01980000-0000-7000-8000-{number:012x}");
    text.parse().expect("it has the form of a UUID")
}

/// Somebody whose act has this number.
pub(crate) fn operator(number: u64) -> Operator {
    let id = ActId(instance(number).uuid());
    Operator { who: Arc::from("somebody"), audited: Audited::Row { id, role: "operator" } }
}

impl Clock for BranchState {
    fn now(&self) -> Now {
        NOW
    }

    fn new_instance(&self) -> Instance {
        instance(self.instances.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff_ffff)
    }

    fn new_incarnation(&self) -> Incarnation {
        Incarnation(1)
    }
}
