//! The dispatcher against participants that behave and misbehave.

mod allowed;
mod answers;
mod breaker;
mod call_loop;
mod counted;
mod environment;
mod hostile;
mod inbox;
mod lease;
mod requests;
mod results;
mod signed;

use std::collections::BTreeMap;
use std::sync::Arc;

use tercet_clock::Clock;
use tercet_engine::{Call, DestinationQueueSettings, Ticket};
use tercet_testing::{GUARD, soon};
use tercet_wire::{
    BranchSpec, Epoch, Fingerprint, Incarnation, Instance, Mono, Now, Op, Pattern, PerOp, Spec,
    TryBy, Wall,
};

use super::{Dispatcher, DispatcherSettings, Outcome, Place, start};
use crate::cluster::OwnLease;
use crate::outbound::{Connector, OutboundSettings};
use crate::traces::Traces;
use crate::workers::Workers;

const INSTANCE: &str = "0193a5f0-0000-7000-8000-00000000002a";

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        // Sun, 06 Nov 1994 08:49:37 GMT
        Now { mono: Mono(0), wall: Wall(784_111_777_000), entropy: 0x00f0_67aa_0ba9_02b7 }
    }

    fn new_instance(&self) -> Instance {
        INSTANCE.parse().expect("a uuid")
    }

    fn new_incarnation(&self) -> Incarnation {
        Incarnation(1)
    }
}

fn dispatcher() -> Dispatcher {
    dispatcher_with(DispatcherSettings::built_in())
}

fn dispatcher_with(settings: DispatcherSettings) -> Dispatcher {
    dispatcher_by(settings, OutboundSettings::built_in(), Arc::new(Still))
}

fn dispatcher_by(
    settings: DispatcherSettings,
    outbound: OutboundSettings,
    clock: Arc<dyn Clock>,
) -> Dispatcher {
    let connector = Connector::plain(outbound, Arc::clone(&clock));
    let workers = Workers::here();
    start(settings, connector, workers, OwnLease::endless(), Traces::off(), clock)
}

/// What a destination may take by default.
fn queue() -> DestinationQueueSettings {
    DispatcherSettings::built_in().queue
}

fn with_line(queue: DestinationQueueSettings) -> DispatcherSettings {
    DispatcherSettings { queue, ..DispatcherSettings::built_in() }
}

/// A branch with all three legs at one URL, and the given payload.
fn branch(url: &str, payload: &str) -> BranchSpec {
    let url = Some(Arc::new(url.parse().expect("a URL")));
    BranchSpec {
        id: "payment".parse().expect("an id"),
        position: 0,
        urls: PerOp { try_: url.clone(), confirm: url.clone(), cancel: url },
        headers: BTreeMap::new(),
        payload: Arc::from(payload),
        timeout: GUARD,
        try_by: TryBy::Coordinator,
        options: None,
        fingerprint: Fingerprint::from_text("v1"),
    }
}

fn call_of(branch: BranchSpec, op: Op, gid: &str) -> Call {
    let instance: Instance = INSTANCE.parse().expect("a uuid");
    let branch = Arc::new(branch);
    let spec = Spec {
        gid: gid.parse().expect("an id"),
        instance,
        pattern: Pattern::Tcc,
        open: false,
        created_at: Wall(784_111_777_000),
        deadline_at: Wall(784_111_807_000),
        fingerprint: Fingerprint::from_text("v1"),
        metadata: None,
        traceparent: Arc::from("00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01"),
        options: None,
        branches: vec![Arc::clone(&branch)],
    };
    Call {
        ticket: Ticket {
            epoch: Epoch(7),
            gid: spec.gid.clone(),
            instance,
            branch: branch.id.clone(),
            op,
            attempt: 2,
            asks: false,
        },
        deadline_at: (op == Op::Try).then_some(spec.deadline_at),
        results: None,
        branch,
        spec: Arc::new(spec),
    }
}

fn call(url: &str, gid: &str) -> Call {
    call_of(branch(url, "{}"), Op::Confirm, gid)
}
