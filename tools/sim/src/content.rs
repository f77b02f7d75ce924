//! What transactions are about: branches of every shape, on services that can run out of stock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{
    BranchOptions, BranchSpec, Fingerprint, Gid, Instance, Op, Pattern, PerOp, Spec,
    TransactionOptions, TryBy, Wall,
};

use crate::actor::Address;
use crate::plan::Plan;
use crate::rng::Rng;

/// What somebody wants done.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) gid: Gid,
    pub(crate) pattern: Pattern,
    pub(crate) open: bool,
    pub(crate) timeout_ms: u64,
    /// Whether its initiator is asked at the deadline what became of it.
    pub(crate) check: bool,
    /// Given at begin.
    pub(crate) branches: Vec<BranchSpec>,
    /// Registered later.
    pub(crate) later: Vec<BranchSpec>,
    /// Tells contents under one gid apart.
    pub(crate) variant: u64,
}

/// The legs that a branch can have, and who calls its Try.
const SHAPES: [(&[Op], TryBy); 6] = [
    (&[Op::Try, Op::Confirm, Op::Cancel], TryBy::Coordinator),
    (&[Op::Try, Op::Confirm, Op::Cancel], TryBy::Coordinator),
    (&[Op::Try, Op::Cancel], TryBy::Coordinator),
    (&[Op::Confirm], TryBy::Coordinator),
    (&[Op::Confirm, Op::Cancel], TryBy::Coordinator),
    (&[Op::Confirm, Op::Cancel], TryBy::Initiator),
];

/// What the gids of messages begin with.
const MESSAGE: &str = "m";

impl Content {
    pub(crate) fn draw(number: u64, plan: &Plan, rng: &mut Rng) -> Self {
        let pattern = if rng.one_in(4) { Pattern::Saga } else { Pattern::Tcc };
        let open = rng.one_in(2);
        let count = rng.between(1, 3);
        let mut all: Vec<BranchSpec> = (0..count)
            .map(|position| {
                let any = open && pattern == Pattern::Tcc;
                let shapes = if any { SHAPES.len() } else { SHAPES.len() - 1 };
                let (legs, try_by) = SHAPES[rng.index(shapes)];
                let branch = branch(position, rng.index(plan.services), legs, try_by, rng);
                let branch = put_off(branch, rng);
                match pattern {
                    Pattern::Tcc => branch,
                    Pattern::Saga => placed(branch, position, rng),
                }
            })
            .collect();
        let at_begin = if open { rng.index(all.len()) } else { all.len() };
        // Only a registration says that the initiator calls Try.
        let own = all.iter().position(|branch| branch.try_by == TryBy::Initiator);
        let later = all.split_off(own.map_or(at_begin, |own| own.min(at_begin)));
        Self {
            gid: gid(number),
            pattern,
            open,
            timeout_ms: rng.pick(&[100, 2_000, 30_000, 60_000]),
            check: false,
            branches: all,
            later,
            variant: 0,
        }
    }

    /// The same, with an initiator that is asked at a deadline that comes before all faults end.
    pub(crate) fn checked(self, plan: &Plan, rng: &mut Rng) -> Self {
        if !self.open || !rng.percent(plan.initiator.check) {
            return self;
        }
        Self { check: true, timeout_ms: rng.pick(&[100, 1_000, 3_000, 10_000, 30_000]), ..self }
    }

    /// What is sent with an initiator's work, and handed over by a relay.
    pub(crate) fn message(number: u64, plan: &Plan, rng: &mut Rng) -> Self {
        let branches = (0..rng.between(1, 2)).map(|position| {
            let (legs, try_by) = SHAPES[rng.pick(&[0, 3, 3])];
            let service = rng.index(plan.services);
            put_off(branch(position, service, legs, try_by, rng), rng)
        });
        let branches = branches.collect();
        Self {
            gid: parsed(&format!("{MESSAGE}{number}")),
            pattern: Pattern::Tcc,
            open: false,
            timeout_ms: rng.pick(&[2_000, 30_000]),
            check: false,
            branches,
            later: Vec::new(),
            variant: 0,
        }
    }

    /// The same gid, and something else wanted under it.
    pub(crate) fn other(&self) -> Self {
        Self { variant: self.variant + 1, ..self.clone() }
    }

    /// Those that are registered later, as the coordinator's API makes them of one request.
    pub(crate) fn later_at_once(&self) -> Vec<BranchSpec> {
        let all: Vec<&str> = self.later.iter().map(|branch| branch.id.as_str()).collect();
        let all = Fingerprint::from_text(&format!("1:{}", all.join("+")));
        let mut branches = self.later.clone();
        branches.iter_mut().for_each(|it| it.fingerprint = it.fingerprint.among(&all));
        branches
    }

    fn options(&self) -> Option<Arc<TransactionOptions>> {
        let check = self.check.then(|| Arc::new(parsed("http://initiators/book/check")));
        TransactionOptions { check, saga: None }.unless_empty()
    }

    /// As the coordinator's API makes it of the request.
    pub(crate) fn spec(&self, instance: Instance, created_at: Wall) -> Arc<Spec> {
        Arc::new(Spec {
            gid: self.gid.clone(),
            instance,
            pattern: self.pattern,
            open: self.open,
            created_at,
            deadline_at: created_at.after(Duration::from_millis(self.timeout_ms)),
            fingerprint: Fingerprint::from_text(&format!("{}-{}", self.gid, self.variant)),
            metadata: None,
            traceparent: Arc::from("00-00000000000000000000000000000001-0000000000000001-00"),
            options: self.options(),
            branches: self.branches.iter().cloned().map(Arc::new).collect(),
        })
    }
}

/// Whether it is the gid of a message.
pub(crate) fn is_message(gid: &Gid) -> bool {
    gid.as_str().starts_with(MESSAGE)
}

pub(crate) fn gid(number: u64) -> Gid {
    parsed(&format!("t{number}"))
}

/// Where a leg is called at one of the addresses of a service.
pub(crate) fn url_at(address: Address, op: Op) -> String {
    let Address { service, number } = address;
    match number {
        0 => format!("http://s{service}/svc/{op}"),
        _ => format!("http://s{service}/moved{number}/{op}"),
    }
}

/// The number of the service that a branch is with.
pub(crate) fn service_of(branch: &BranchSpec) -> usize {
    let url = Op::ALL.into_iter().find_map(|op| branch.url(op));
    let host = url.and_then(|url| url.host_str()).unwrap_or_default();
    host.trim_start_matches('s').parse().unwrap_or_default()
}

/// How much a branch is about.
pub(crate) fn quantity_of(branch: &BranchSpec) -> i64 {
    branch.payload.parse().unwrap_or_default()
}

fn branch(position: u64, service: usize, legs: &[Op], try_by: TryBy, rng: &mut Rng) -> BranchSpec {
    let address = Address { service, number: 0 };
    let url = |op: Op| {
        let called = legs.contains(&op) && !(op == Op::Try && try_by == TryBy::Initiator);
        called.then(|| Arc::new(parsed(&url_at(address, op))))
    };
    let id = format!("b{}", position + 1);
    BranchSpec {
        position: u32::try_from(position).unwrap_or(u32::MAX),
        urls: PerOp { try_: url(Op::Try), confirm: url(Op::Confirm), cancel: url(Op::Cancel) },
        headers: BTreeMap::new(),
        payload: Arc::from(rng.between(1, 3).to_string()),
        timeout: Duration::from_millis(rng.pick(&[50, 500, 3_000, 30_000])),
        try_by,
        options: None,
        fingerprint: Fingerprint::from_text(&id),
        id: parsed(&id),
    }
}

/// A step that comes after the one before it, after the first alone, or after none; some are given
/// up after a failure or two.
fn placed(branch: BranchSpec, position: u64, rng: &mut Rng) -> BranchSpec {
    let after = match rng.between(0, 3) {
        0 => Some(BTreeSet::new()),
        1 | 2 if position > 0 => Some(BTreeSet::from([parsed("b1")])),
        _ => None,
    };
    let try_attempts = rng.pick(&[None, None, Some(0), Some(1), Some(2)]);
    let before = branch.options.as_deref().cloned().unwrap_or_default();
    let results = rng.one_in(3);
    let options = BranchOptions { after, try_attempts, results, ..before };
    BranchSpec { options: options.unless_empty(), ..branch }
}

/// Now and then its Confirm is put off.
fn put_off(branch: BranchSpec, rng: &mut Rng) -> BranchSpec {
    if branch.url(Op::Confirm).is_none() || !rng.one_in(8) {
        return branch;
    }
    let confirm_after_ms = Some(rng.pick(&[1, 500, 5_000, 90_000]));
    let options = BranchOptions { confirm_after_ms, ..BranchOptions::default() };
    BranchSpec { options: options.unless_empty(), ..branch }
}

/// A value from a text of our own making.
fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the simulation writes what can be read")
}
