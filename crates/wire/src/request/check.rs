//! From what was sent to what is meant: requests become checked values here and nowhere
//! else, so that everything behind this file can trust them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::ids::{BranchId, Gid, Instance};
use crate::op::{Op, PerOp};
use crate::order::{NoOrder, Order};
use crate::request::branch_headers::check_headers;
use crate::request::target::{check_check, check_urls};
use crate::request::{fingerprint, json, traceparent};
use crate::spec::{BranchOptions, BranchSpec, Fingerprint, Spec, TransactionOptions};
use crate::status::{Pattern, TryBy};
use crate::text::{object_without_nul, without_nul};
use crate::time::Wall;
use crate::{BeginRequest, BranchRequest, CancelRequest, Invalid, Limits};

/// How long a transaction of this shape may stay undecided unless begin says otherwise, in
/// milliseconds.
pub(crate) fn timeout_ms(pattern: Pattern) -> u64 {
    match pattern {
        Pattern::Tcc => 30_000,
        Pattern::Saga => 3_600_000,
    }
}

/// How long it may stay so at most: what is reserved for a day is reserved for ever, the steps of a
/// process may take weeks, and whoever is asked at the end knows whether it was.
fn longest_timeout_ms(pattern: Pattern, is_checked: bool) -> u64 {
    match pattern {
        Pattern::Tcc if !is_checked => 86_400_000,
        Pattern::Tcc | Pattern::Saga => 2_592_000_000,
    }
}

/// How often the Try of a branch may fail, at most, where it says so.
const MOST_TRY_ATTEMPTS: u64 = 1_000;
/// How long a Confirm may be put off, at most, in milliseconds: 30 days.
const LONGEST_CONFIRM_AFTER_MS: u64 = 2_592_000_000;
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
    let pattern = request.pattern.unwrap_or(Pattern::Tcc);
    if pattern == Pattern::Saga && count == 0 && request.open != Some(true) {
        let what = "a saga needs branches, or `open`: true if they are registered one by one";
        return Err(Invalid::new("branches", what));
    }
    let open = request.open.unwrap_or(false) || count == 0;
    if request.check.is_some() && !open {
        let what = "only an open transaction waits for its initiator: begin with `open`: true";
        return Err(Invalid::new("check", what));
    }
    let check = check_check(request.check.as_deref(), limits)?;
    let mut ids = BTreeSet::new();
    let mut branches = Vec::with_capacity(count);
    for (position, request) in request.branches.into_iter().enumerate() {
        let path = ["branches[", &position.to_string(), "]."].concat();
        let id = match &request.id {
            Some(_) => None,
            None => Some(BranchId::by_position(position)),
        };
        let place = match pattern {
            Pattern::Tcc => None,
            Pattern::Saga => {
                Some(Place { before: branches.last().map(|it: &Arc<BranchSpec>| &it.id) })
            }
        };
        let branch = check_branch_at(request, &path, id, (open, place), limits)?;
        check_shape(&branch, pattern)
            .map_err(|unfit| Invalid::new(format!("{path}{}", unfit.field), unfit.what))?;
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
    if pattern == Pattern::Saga {
        check_order(&branches)?;
    }
    let range = 100..=longest_timeout_ms(pattern, check.is_some());
    let default_ms = timeout_ms(pattern);
    let timeout = check_timeout(request.timeout_ms, default_ms, range, "timeout_ms")?;
    let options = TransactionOptions { check, saga: None };
    let fingerprint =
        fingerprint::of_begin(pattern, open, timeout, metadata.as_deref(), &options, &branches);
    let spec = Spec {
        gid,
        instance: arrival.instance,
        pattern,
        open,
        created_at: arrival.at,
        deadline_at: arrival.at.after(timeout),
        fingerprint,
        metadata: metadata.map(Arc::from),
        traceparent: traceparent::given_or_made(arrival.traceparent, arrival.instance),
        options: options.unless_empty(),
        branches,
    };
    Ok(CheckedBegin { spec, fresh })
}

/// Checks a branch that is to be registered.
///
/// # Errors
/// The first field found that is not as the contract says.
pub fn check_branch(request: BranchRequest, limits: &Limits) -> Result<BranchSpec, Invalid> {
    check_branch_at(request, "", None, (true, None), limits)
}

/// Branches that may be registered at once.
const MOST_AT_ONCE: usize = 64;

/// Checks branches that are to be registered at once.
///
/// # Errors
/// The first field found that is not as the contract says, by its path from the array: `[2].after`.
pub fn check_branches(
    requests: Vec<BranchRequest>,
    limits: &Limits,
) -> Result<Vec<BranchSpec>, Invalid> {
    let count = requests.len();
    if count == 0 {
        let what = format!("is an empty array; send 1 to {MOST_AT_ONCE} branches");
        return Err(Invalid::new("body", what));
    }
    if count > MOST_AT_ONCE {
        let what = format!("is one too many: send 1 to {MOST_AT_ONCE} at once, these are {count}");
        return Err(Invalid::new(format!("[{MOST_AT_ONCE}]"), what));
    }
    let (mut ids, mut branches) = (BTreeSet::new(), Vec::with_capacity(count));
    for (place, request) in requests.into_iter().enumerate() {
        let path = format!("[{place}].");
        let branch = check_branch_at(request, &path, None, (true, None), limits)?;
        if !ids.insert(branch.id.clone()) {
            let what = format!("{} is the id of an earlier branch", branch.id);
            return Err(Invalid::new(format!("{path}id"), what));
        }
        branches.push(branch);
    }
    // One alone is the same however it was sent.
    if count > 1 {
        let all = fingerprint::of_several(&branches);
        branches.iter_mut().for_each(|it| it.fingerprint = it.fingerprint.among(&all));
    }
    Ok(branches)
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
        deadline_at: arrival.at.after(Duration::from_millis(timeout_ms(Pattern::Tcc))),
        fingerprint: Fingerprint::of_refused(),
        metadata: None,
        traceparent: traceparent::given_or_made(arrival.traceparent, arrival.instance),
        options: None,
        branches: Vec::new(),
    }
}

/// `path` is the branch's place in the request, with a dot after it if it has one;
/// `default_id` its id if it brings none.
fn check_branch_at(
    request: BranchRequest,
    path: &str,
    default_id: Option<BranchId>,
    (open, place): (bool, Option<Place<'_>>),
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
    let options = BranchOptions {
        after: check_after(request.after, path, limits)?,
        try_attempts: check_try_attempts(request.try_attempts, path)?,
        confirm_after_ms: check_confirm_after(request.confirm_after_ms, &urls, path)?,
        results: request.results.unwrap_or(false),
    };
    let options = match place {
        None => options.unless_empty(),
        Some(place) => place.without_defaults(options).unless_empty(),
    };
    let fingerprint =
        fingerprint::of_branch(&id, &urls, &headers, payload, given, try_by, options.as_deref());
    let payload = Arc::from(payload);
    Ok(BranchSpec {
        id,
        position: 0,
        urls,
        headers,
        payload,
        timeout,
        try_by,
        options,
        fingerprint,
    })
}

/// Where a step stands in the list that its saga is begun with.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    /// The one before it.
    before: Option<&'a BranchId>,
}

impl Place<'_> {
    /// What is said and goes without saying is not said: else a repeat that says it would be another.
    fn without_defaults(self, options: BranchOptions) -> BranchOptions {
        let is_default = |after: &BTreeSet<BranchId>| after.iter().eq(self.before);
        BranchOptions {
            after: options.after.filter(|after| !is_default(after)),
            try_attempts: options.try_attempts.filter(|attempts| *attempts != 0),
            results: options.results,
            ..options
        }
    }
}

fn check_after(
    given: Option<Vec<String>>,
    path: &str,
    limits: &Limits,
) -> Result<Option<BTreeSet<BranchId>>, Invalid> {
    let Some(given) = given else { return Ok(None) };
    let invalid = |what: String| Invalid::new([path, "after"].concat(), what);
    if given.len() > limits.branches {
        return Err(invalid(format!("may name at most {} branches", limits.branches)));
    }
    let mut after = BTreeSet::new();
    for text in &given {
        let id: BranchId = text.parse().map_err(|error| invalid(format!("{text:?}: {error}")))?;
        if !after.insert(id) {
            return Err(invalid(format!("names {text} twice")));
        }
    }
    Ok(Some(after))
}

fn check_try_attempts(given: Option<u64>, path: &str) -> Result<Option<u32>, Invalid> {
    match given {
        Some(given) if given > MOST_TRY_ATTEMPTS => {
            let what = format!("must be 0 to {MOST_TRY_ATTEMPTS}, this is {given}");
            Err(Invalid::new([path, "try_attempts"].concat(), what))
        }
        given => Ok(given.and_then(|given| u32::try_from(given).ok())),
    }
}

/// No time at all is what goes without saying.
fn check_confirm_after(
    given: Option<u64>,
    urls: &PerOp<Option<Arc<Url>>>,
    path: &str,
) -> Result<Option<u64>, Invalid> {
    let Some(given) = given.filter(|given| *given != 0) else { return Ok(None) };
    let invalid = |what: String| Err(Invalid::new([path, "confirm_after_ms"].concat(), what));
    if given > LONGEST_CONFIRM_AFTER_MS {
        return invalid(format!("must be 0 to {LONGEST_CONFIRM_AFTER_MS}, this is {given}"));
    }
    if urls.confirm.is_none() {
        return invalid("puts off a Confirm, and this branch has none: give `confirm`".to_owned());
    }
    Ok(Some(given))
}

/// A field of a branch that its transaction has no use for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unfit {
    /// Which.
    pub field: &'static str,
    /// Why.
    pub what: String,
}

/// Whether a branch fits a transaction of this shape.
///
/// # Errors
/// It does not.
pub fn check_shape(branch: &BranchSpec, pattern: Pattern) -> Result<(), Unfit> {
    let unfit = |field, what: &str| Err(Unfit { field, what: what.to_owned() });
    match pattern {
        Pattern::Tcc if branch.after().is_some() => {
            unfit("after", "only the branches of a saga have an order: begin with `pattern`: saga")
        }
        Pattern::Saga if branch.try_by == TryBy::Initiator => {
            unfit("try_by", "the steps of a saga are called by the coordinator, in their order")
        }
        Pattern::Tcc | Pattern::Saga => Ok(()),
    }
}

/// Whether branches that come to those of a saga have an order among them all.
///
/// # Errors
/// They have none; and at which place of the new ones that shows.
pub fn check_places(
    known: impl Iterator<Item = Arc<BranchSpec>>,
    new: &[BranchSpec],
) -> Result<(), (usize, Unfit)> {
    let mut all: Vec<Arc<BranchSpec>> = known.collect();
    let known = all.len();
    all.extend(new.iter().cloned().map(Arc::new));
    order_of(&all).map_err(|(position, what)| {
        // Those that are there have an order, and name none of these.
        (position.saturating_sub(known), Unfit { field: "after", what })
    })
}

/// Whether the branches of a saga have an order.
fn check_order(branches: &[Arc<BranchSpec>]) -> Result<(), Invalid> {
    order_of(branches)
        .map_err(|(position, what)| Invalid::new(format!("branches[{position}].after"), what))
}

fn order_of(branches: &[Arc<BranchSpec>]) -> Result<(), (usize, String)> {
    Order::check(branches).map_err(|none| match none {
        NoOrder::Itself { position } => (position, "names the branch itself".to_owned()),
        NoOrder::Unknown { position, id } => {
            (position, format!("names {id}, and no branch has that id"))
        }
        NoOrder::Circle { position, round } => {
            let round: Vec<&str> = round.iter().map(BranchId::as_str).collect();
            let round = round.join(" after ");
            (position, format!("leads back to this branch in a circle: {round}"))
        }
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
