//! From what was sent to what is meant: requests become checked values here and nowhere
//! else, so that everything behind this file can trust them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{BranchId, Gid, Instance};
use crate::op::Op;
use crate::request::branch_headers::check_headers;
use crate::request::target::check_urls;
use crate::request::{fingerprint, json, traceparent};
use crate::spec::{BranchSpec, Fingerprint, Spec};
use crate::status::{Pattern, TryBy};
use crate::text::{object_without_nul, without_nul};
use crate::time::Wall;
use crate::{BeginRequest, BranchRequest, CancelRequest, Invalid, Limits};

/// How long a transaction may stay undecided unless begin says otherwise, in milliseconds.
pub(crate) const TIMEOUT_MS: u64 = 30_000;
/// How long one call may take at most, in milliseconds.
const CALL_TIMEOUTS_MS: std::ops::RangeInclusive<u64> = 10..=600_000;
/// Longest reason of a cancel, in bytes.
const REASON_BYTES: usize = 1_024;
/// The payload of a branch that brings none.
pub(crate) const NO_PAYLOAD: &str = "{}";

/// What the coordinator adds to a begin.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The new transaction's instance; its gid too, if begin brings none.
    pub instance: Instance,
    /// When begin arrived.
    pub at: Wall,
    /// The `traceparent` header it came with.
    pub traceparent: Option<&'a str>,
}

/// A begin that was found valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedBegin {
    /// What was asked for.
    pub spec: Spec,
    /// The gid was made here just now, so nobody can know it.
    pub fresh: bool,
}

/// Checks a begin.
///
/// # Errors
/// The first field found that is not as the contract says.
pub fn check_begin(
    request: BeginRequest,
    limits: &Limits,
    arrival: &Arrival<'_>,
) -> Result<CheckedBegin, Invalid> {
    let fresh = request.gid.is_none();
    let gid = match request.gid {
        Some(text) => text.parse().map_err(|error| Invalid::new("gid", error))?,
        None => Gid::from(arrival.instance),
    };
    let count = request.branches.len();
    if count > limits.branches {
        let what = format!("may be at most {}, these are {count}", limits.branches);
        return Err(Invalid::new("branches", what));
    }
    let open = request.open.unwrap_or(false) || count == 0;
    let mut ids = BTreeSet::new();
    let mut branches = Vec::with_capacity(count);
    for (position, request) in request.branches.into_iter().enumerate() {
        let path = format!("branches[{position}].");
        let id = match &request.id {
            Some(_) => None,
            None => Some(BranchId::by_position(position)),
        };
        let branch = check_branch_at(request, &path, id, open, limits)?;
        if !ids.insert(branch.id.clone()) {
            let what = format!("{} is the id of an earlier branch", branch.id);
            return Err(Invalid::new(format!("{path}id"), what));
        }
        // Within the limit on branches, which is far below 2³².
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        branches.push(Arc::new(BranchSpec { position, ..branch }));
    }
    let metadata = request.metadata.map(|mut metadata| {
        object_without_nul(&mut metadata);
        json::canonical(&metadata.into())
    });
    if let Some(text) = &metadata
        && text.len() > limits.metadata_bytes
    {
        let (len, limit) = (text.len(), limits.metadata_bytes);
        let what = format!("must be at most {limit} bytes of JSON, this has {len}");
        return Err(Invalid::new("metadata", what));
    }
    let timeout = check_timeout(request.timeout_ms, TIMEOUT_MS, 100..=86_400_000, "timeout_ms")?;
    let fingerprint = fingerprint::of_begin(open, timeout, metadata.as_deref(), &branches);
    let spec = Spec {
        gid,
        instance: arrival.instance,
        pattern: Pattern::Tcc,
        open,
        created_at: arrival.at,
        deadline_at: arrival.at.after(timeout),
        fingerprint,
        metadata: metadata.map(Arc::from),
        traceparent: traceparent::given_or_made(arrival.traceparent, arrival.instance),
        branches,
    };
    Ok(CheckedBegin { spec, fresh })
}

/// Checks a branch that is to be registered.
///
/// # Errors
/// The first field found that is not as the contract says.
pub fn check_branch(request: BranchRequest, limits: &Limits) -> Result<BranchSpec, Invalid> {
    check_branch_at(request, "", None, true, limits)
}

/// Checks a cancel; gives the caller's reason, if any.
///
/// # Errors
/// The reason is too long.
pub fn check_cancel(request: CancelRequest) -> Result<Option<Arc<str>>, Invalid> {
    match request.reason {
        Some(reason) if reason.len() > REASON_BYTES => {
            let what =
                format!("must be at most {REASON_BYTES} bytes long, this has {}", reason.len());
            Err(Invalid::new("reason", what))
        }
        reason => Ok(reason.map(|reason| Arc::from(without_nul(&reason)))),
    }
}

/// What is recorded where a cancel comes before its begin: a transaction without branches.
#[must_use]
pub fn refused_begin(gid: Gid, arrival: &Arrival<'_>) -> Spec {
    Spec {
        gid,
        instance: arrival.instance,
        pattern: Pattern::Tcc,
        open: true,
        created_at: arrival.at,
        deadline_at: arrival.at.after(Duration::from_millis(TIMEOUT_MS)),
        fingerprint: Fingerprint::of_refused(),
        metadata: None,
        traceparent: traceparent::given_or_made(arrival.traceparent, arrival.instance),
        branches: Vec::new(),
    }
}

/// `path` is the branch's place in the request, with a dot after it if it has one;
/// `default_id` its id if it brings none.
fn check_branch_at(
    request: BranchRequest,
    path: &str,
    default_id: Option<BranchId>,
    open: bool,
    limits: &Limits,
) -> Result<BranchSpec, Invalid> {
    let id = match (&request.id, default_id) {
        (Some(text), _) => {
            text.parse().map_err(|error| Invalid::new(format!("{path}id"), error))?
        }
        (None, Some(id)) => id,
        (None, None) => return Err(Invalid::new(format!("{path}id"), "is required")),
    };
    let urls = check_urls(&request, path, limits)?;
    let try_by = request.try_by.unwrap_or(TryBy::Coordinator);
    check_try_by(try_by, urls.try_.is_some(), open, path)?;
    if try_by == TryBy::Coordinator && Op::ALL.iter().all(|op| urls.get(*op).is_none()) {
        let (field, legs) = match path.strip_suffix('.') {
            Some(branch) => (branch, "`endpoint`, `try`, `confirm` or `cancel`"),
            None => ("endpoint", "it, `try`, `confirm` or `cancel`"),
        };
        return Err(Invalid::new(field, format!("a branch needs at least one URL: give {legs}")));
    }
    let headers = check_headers(request.headers, &[path, "headers"].concat(), limits)?;
    let payload = request.payload.as_deref().map_or(NO_PAYLOAD, |raw| raw.get());
    if payload.len() > limits.payload_bytes {
        let field = format!("{path}payload");
        return Err(Invalid::too_large(field, payload.len(), limits.payload_bytes));
    }
    let timeout_field = [path, "timeout_ms"].concat();
    let default_ms = u64::try_from(limits.call_timeout.as_millis()).unwrap_or(u64::MAX);
    let given = request.timeout_ms;
    let timeout = check_timeout(given, default_ms, CALL_TIMEOUTS_MS, &timeout_field)?;
    // Its default is a setting, which may be another when the request is repeated: whether it
    // was given is what counts.
    let given = given.map(|_| timeout);
    let fingerprint = fingerprint::of_branch(&id, &urls, &headers, payload, given, try_by);
    let payload = Arc::from(payload);
    Ok(BranchSpec {
        id,
        position: 0,
        stage: 0,
        urls,
        headers,
        payload,
        timeout,
        try_by,
        fingerprint,
    })
}

fn check_try_by(try_by: TryBy, has_try_url: bool, open: bool, path: &str) -> Result<(), Invalid> {
    let invalid = |what| Err(Invalid::new(format!("{path}try_by"), what));
    match try_by {
        TryBy::Coordinator => Ok(()),
        TryBy::Initiator if has_try_url => {
            invalid("`initiator` goes without a Try URL: give `confirm` and `cancel` alone")
        }
        TryBy::Initiator if !open => {
            invalid("`initiator` is possible in an open transaction only: begin with `open`: true")
        }
        TryBy::Initiator => Ok(()),
    }
}

fn check_timeout(
    given: Option<u64>,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
    field: &str,
) -> Result<Duration, Invalid> {
    let ms = given.unwrap_or(default);
    if !range.contains(&ms) {
        let what = format!("must be {} to {}, this is {ms}", range.start(), range.end());
        return Err(Invalid::new(field, what));
    }
    Ok(Duration::from_millis(ms))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
