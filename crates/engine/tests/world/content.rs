//! Transactions to test with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{
    ActId, Audited, BranchOptions, BranchSpec, Fingerprint, Gid, Instance, Op, Operator, Pattern,
    PerOp, Readdressing, Resolution, ResolvedAs, Spec, TransactionOptions, TryBy, Wall,
};

pub(crate) const CREATED_AT: Wall = Wall(1_763_640_000_000);

pub(crate) fn gid(text: &str) -> Gid {
    text.parse().expect("a gid")
}

/// A branch with all three legs.
pub(crate) fn branch(id: &str, position: u32) -> BranchSpec {
    with_legs(id, position, &Op::ALL)
}

pub(crate) fn with_legs(id: &str, position: u32, legs: &[Op]) -> BranchSpec {
    let url = |op: Op| {
        let url = format!("http://127.0.0.1:7301/{id}/{op}");
        legs.contains(&op).then(|| Arc::new(url.parse().expect("a URL")))
    };
    BranchSpec {
        id: id.parse().expect("an id"),
        position,
        urls: PerOp { try_: url(Op::Try), confirm: url(Op::Confirm), cancel: url(Op::Cancel) },
        headers: BTreeMap::new(),
        payload: Arc::from("{}"),
        timeout: Duration::from_secs(3),
        try_by: TryBy::Coordinator,
        options: None,
        fingerprint: Fingerprint::from_text(id),
    }
}

/// The same branch at another port of the same machine.
pub(crate) fn at_port(branch: BranchSpec, port: u16) -> BranchSpec {
    let url = |op: Op| {
        let mut url = branch.url(op)?.as_ref().clone();
        url.set_port(Some(port)).expect("a URL that has one");
        Some(Arc::new(url))
    };
    let urls = PerOp { try_: url(Op::Try), confirm: url(Op::Confirm), cancel: url(Op::Cancel) };
    BranchSpec { urls, ..branch }
}

/// A step that comes after these.
pub(crate) fn step(id: &str, position: u32, after: &[&str]) -> BranchSpec {
    placed(branch(id, position), after)
}

/// A branch that comes after these.
pub(crate) fn placed(branch: BranchSpec, after: &[&str]) -> BranchSpec {
    let after = after.iter().map(|id| id.parse().expect("an id")).collect();
    let options = BranchOptions { after: Some(after), ..BranchOptions::default() };
    BranchSpec { options: options.unless_empty(), ..branch }
}

/// A branch whose Confirm is put off.
pub(crate) fn delayed(branch: BranchSpec, confirm_after_ms: u64) -> BranchSpec {
    let before = branch.options.as_deref().cloned().unwrap_or_default();
    let options = BranchOptions { confirm_after_ms: Some(confirm_after_ms), ..before };
    BranchSpec { options: options.unless_empty(), ..branch }
}

/// Branches that are registered at once.
pub(crate) fn at_once(ids: &[&str]) -> Vec<BranchSpec> {
    together(ids.iter().map(|id| branch(id, 0)).collect())
}

/// These, as they are when they come in one array.
pub(crate) fn together(mut branches: Vec<BranchSpec>) -> Vec<BranchSpec> {
    let all: Vec<&str> = branches.iter().map(|branch| branch.fingerprint.as_str()).collect();
    let all = Fingerprint::from_text(&format!("1:{}", all.join("+")));
    branches.iter_mut().for_each(|it| it.fingerprint = it.fingerprint.among(&all));
    branches
}

/// The same branch, whose calls bring results.
pub(crate) fn with_results(branch: BranchSpec) -> BranchSpec {
    let options = branch.options.as_deref().cloned().unwrap_or_default();
    let options = BranchOptions { results: true, ..options };
    BranchSpec { options: options.unless_empty(), ..branch }
}

/// A saga of these steps.
pub(crate) fn saga(gid_text: &str, open: bool, steps: Vec<BranchSpec>) -> Arc<Spec> {
    let spec = Arc::unwrap_or_clone(spec(gid_text, open, steps));
    let deadline_at = CREATED_AT.after(Duration::from_secs(3_600));
    Arc::new(Spec { pattern: Pattern::Saga, deadline_at, ..spec })
}

/// The same, with an initiator that is asked at its deadline.
pub(crate) fn checked(spec: &Spec) -> Arc<Spec> {
    let check = "http://127.0.0.1:7310/check".parse().map(Arc::new).ok();
    let options = TransactionOptions { check, saga: None }.unless_empty();
    Arc::new(Spec { options, ..spec.clone() })
}

pub(crate) fn new_branch(id: &str) -> BranchSpec {
    branch(id, 0)
}

/// What an operator says of a branch.
pub(crate) fn resolution(id: &str, as_: ResolvedAs) -> Resolution {
    let note = Some(Arc::from("seen in their books"));
    Resolution { branch: id.parse().expect("an id"), as_, note, by: operator("10.0.0.9") }
}

/// The same of where it is called: at this port of the same machine.
pub(crate) fn readdressing(id: &str, port: u16) -> Readdressing {
    let url = |op: Op| {
        let url = format!("http://127.0.0.1:{port}/{id}/{op}").parse();
        Some(Arc::new(url.expect("a URL")))
    };
    Readdressing {
        branch: id.parse().expect("an id"),
        urls: PerOp { try_: url(Op::Try), confirm: url(Op::Confirm), cancel: url(Op::Cancel) },
        is_endpoint: true,
        headers: None,
        note: Some(Arc::from("moved")),
        by: operator("10.0.0.9"),
    }
}

/// Somebody whose acts have rows of their own.
pub(crate) fn operator(who: &str) -> Operator {
    Operator { who: who.into(), audited: Audited::Row { id: act(1), role: "operator" } }
}

pub(crate) fn act(number: u32) -> ActId {
    format!("01980000-0000-7000-9000-{number:012}").parse().expect("a UUID")
}

/// Called by the initiator itself.
pub(crate) fn initiators(id: &str) -> BranchSpec {
    let try_by = TryBy::Initiator;
    BranchSpec { try_by, ..with_legs(id, 0, &[Op::Confirm, Op::Cancel]) }
}

pub(crate) fn spec(gid_text: &str, open: bool, branches: Vec<BranchSpec>) -> Arc<Spec> {
    Arc::new(Spec {
        gid: gid(gid_text),
        instance: instance(1),
        pattern: Pattern::Tcc,
        open,
        created_at: CREATED_AT,
        deadline_at: CREATED_AT.after(Duration::from_secs(30)),
        fingerprint: Fingerprint::from_text(gid_text),
        metadata: None,
        traceparent: Arc::from("00-00000000000000000000000000000001-0000000000000001-00"),
        options: None,
        branches: branches.into_iter().map(Arc::new).collect(),
    })
}

/// The same begun once more.
pub(crate) fn of_another_life(spec: &Arc<Spec>, number: u32) -> Arc<Spec> {
    Arc::new(Spec { instance: instance(10_000 + number), ..Spec::clone(spec) })
}

pub(crate) fn instance(number: u32) -> Instance {
    format!("01980000-0000-7000-8000-{number:012}").parse().expect("a UUID")
}
