//! Short names for content: a repeat of begin or of a registration has the fingerprint
//! of the first, other content has another.
//!
//! Fingerprints are stored, so the rule behind them is fixed for as long as their version is
//! `1`: a field counts only when its value differs from the wire's constant default, or, where
//! its default is a setting, when it was given. (A branch's `timeout_ms` of 3 000 did not count
//! until its default became a setting: a begin that gives just that is told 409 when it is
//! repeated across that upgrade, which is safe.) A field added to the wire later leaves the fingerprints of requests without it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use url::Url;

use crate::hex::hex;
use crate::ids::BranchId;
use crate::op::{Op, PerOp};
use crate::request::check::{NO_PAYLOAD, timeout_ms};
use crate::spec::{BranchOptions, BranchSpec, Fingerprint, TransactionOptions};
use crate::status::{Pattern, TryBy};

/// Of a begin. The gid is not part of it: it is what the fingerprint is compared under.
pub(crate) fn of_begin(
    pattern: Pattern,
    open: bool,
    timeout: Duration,
    metadata: Option<&str>,
    options: &TransactionOptions,
    branches: &[Arc<BranchSpec>],
) -> Fingerprint {
    let mut content = Content::default();
    if pattern != Pattern::Tcc {
        content.field("pattern", pattern.as_str());
    }
    if open {
        content.field("open", "true");
    }
    content.millis("timeout_ms", timeout, timeout_ms(pattern));
    if let Some(metadata) = metadata {
        content.field("metadata", metadata);
    }
    if let Some(check) = &options.check {
        content.field("check", check.as_str());
    }
    for branch in branches {
        content.field("branch", branch.fingerprint.as_str());
    }
    content.fingerprint()
}

/// Of a branch.
pub(crate) fn of_branch(
    id: &BranchId,
    urls: &PerOp<Option<Arc<Url>>>,
    headers: &BTreeMap<String, String>,
    payload: &str,
    timeout: Option<Duration>,
    try_by: TryBy,
    options: Option<&BranchOptions>,
) -> Fingerprint {
    let mut content = Content::default();
    content.field("id", id.as_str());
    for op in Op::ALL {
        if let Some(url) = urls.get(op) {
            content.field(op.as_str(), url.as_str());
        }
    }
    for (name, value) in headers {
        content.field("header", name);
        content.field("value", value);
    }
    if payload != NO_PAYLOAD {
        content.field("payload", payload);
    }
    if let Some(timeout) = timeout {
        content.field("timeout_ms", &timeout.as_millis().to_string());
    }
    if try_by != TryBy::Coordinator {
        content.field("try_by", try_by.as_str());
    }
    // Compared as a set: it is one.
    for id in options.iter().filter_map(|options| options.after.as_ref()).flatten() {
        content.field("after", id.as_str());
    }
    if options.is_some_and(|options| options.after.as_ref().is_some_and(BTreeSet::is_empty)) {
        content.field("after", "");
    }
    if let Some(attempts) = options.and_then(|options| options.try_attempts) {
        content.field("try_attempts", &attempts.to_string());
    }
    if let Some(after) = options.and_then(|options| options.confirm_after_ms) {
        content.field("confirm_after_ms", &after.to_string());
    }
    if options.is_some_and(|options| options.results) {
        content.field("results", "true");
    }
    content.fingerprint()
}

/// Of branches that are registered at once, in this order.
pub(crate) fn of_several(branches: &[BranchSpec]) -> Fingerprint {
    let mut content = Content::default();
    for branch in branches {
        content.field("branch", branch.fingerprint.as_str());
    }
    content.fingerprint()
}

/// Of a run of a definition, which is none of a begin that says the same.
pub(crate) fn of_run(begin: &Fingerprint, saga: &str, version: u32) -> Fingerprint {
    let mut content = Content::default();
    content.field("begin", begin.as_str());
    content.field("saga", saga);
    content.field("version", &version.to_string());
    content.fingerprint()
}

/// Of a definition, by the begin that it stands for.
pub(crate) fn of_saga(begin: &Fingerprint, input_schema: Option<&str>) -> Fingerprint {
    let mut content = Content::default();
    content.field("begin", begin.as_str());
    if let Some(schema) = input_schema {
        content.field("input_schema", schema);
    }
    content.fingerprint()
}

/// What is hashed: each field as its name and its value, each with its length before
/// it, so that no two contents run together to the same text.
#[derive(Default)]
struct Content(Sha256);

impl Content {
    fn field(&mut self, name: &str, value: &str) {
        for text in [name, value] {
            // 64 bits on every machine: the fingerprint outlives the process.
            self.0.update((text.len() as u64).to_be_bytes());
            self.0.update(text);
        }
    }

    fn millis(&mut self, name: &str, value: Duration, default_ms: u64) {
        if value != Duration::from_millis(default_ms) {
            self.field(name, &value.as_millis().to_string());
        }
    }

    fn fingerprint(self) -> Fingerprint {
        Fingerprint::from_text(&["1:", &hex(&self.0.finalize())].concat())
    }
}
