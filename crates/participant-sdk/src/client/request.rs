//! What an initiator asks for.

use std::time::Duration;

use http::HeaderValue;
use serde::Serialize;
use serde_json::value::to_raw_value;
use tercet_wire::{BeginRequest, BranchRequest, Gid, Op, Pattern, TryBy, header};

use super::error::ClientError;
use super::http::Sent;
use crate::clock;
use crate::legs::Legs;

/// A transaction to be begun.
#[derive(Debug, Clone, Default)]
pub struct NewTransaction {
    request: BeginRequest,
    traceparent: Option<String>,
}

impl NewTransaction {
    /// A transaction without branches, under a gid of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its gid: 1 to 128 of `[A-Za-z0-9._:-]`, beginning with a letter or digit. Take one
    /// that belongs to the business deed (`order-1001`), and a repeat of the deed is the same transaction
    /// even after this process has died. By default it is a new UUIDv7.
    #[must_use]
    pub fn gid(mut self, gid: impl Into<String>) -> Self {
        self.request.gid = Some(gid.into());
        self
    }

    /// Adds a branch.
    #[must_use]
    pub fn branch(mut self, branch: NewBranch) -> Self {
        self.request.branches.push(branch.request);
        self
    }

    /// Makes it a saga: its branches are steps, each tried once those before it are, and cancelled once
    /// those after it are.
    #[must_use]
    pub fn saga(mut self) -> Self {
        self.request.pattern = Some(Pattern::Saga);
        self
    }

    /// For an [open](super::Client::open) transaction: who is asked at its deadline what became of
    /// it, by a POST to this URL, instead of cancelling it. docs/protocol.md says how to answer.
    #[must_use]
    pub fn check(mut self, url: impl Into<String>) -> Self {
        self.request.check = Some(url.into());
        self
    }

    /// How long it may stay undecided: 100 ms to 24 h, by default 30 s; a saga to 30 days, by default
    /// an hour; with a [`check`](Self::check) to 30 days.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_ms = Some(whole_millis(timeout));
        self
    }

    /// Your own data, shown with the transaction: an object, at most 4 KiB.
    ///
    /// # Errors
    /// It is not an object, or cannot be written as JSON.
    pub fn metadata(mut self, metadata: &impl Serialize) -> Result<Self, ClientError> {
        let object = serde_json::to_value(metadata).and_then(serde_json::from_value);
        self.request.metadata =
            Some(object.map_err(|source| ClientError::Json { what: "metadata", source })?);
        Ok(self)
    }

    /// The W3C trace context that the transaction continues: every participant is called within
    /// this trace. In a participant that begins a transaction of its own, the context's
    /// [`traceparent`](crate::Context::traceparent).
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// The gid and what is sent, written once: repeats are the same to the byte.
    pub(super) fn into_sent(self, open: bool) -> Result<(Gid, Sent), ClientError> {
        let traceparent = traceparent_of(self.traceparent)?;
        let mut request = self.request;
        let gid = match request.gid.take() {
            Some(given) => {
                given.parse().map_err(|source| ClientError::Id { what: "gid", given, source })?
            }
            None => fresh_gid(),
        };
        request.gid = Some(gid.to_string());
        if open {
            request.open = Some(true);
        }
        let body = serde_json::to_string(&request)
            .map_err(|source| ClientError::Json { what: "transaction", source })?;
        Ok((gid, Sent { body: Some(body), traceparent }))
    }
}

pub(super) fn traceparent_of(given: Option<String>) -> Result<Option<HeaderValue>, ClientError> {
    let traceparent = given.map(|given| {
        HeaderValue::try_from(&given)
            .map_err(|_| ClientError::Header { name: header::TRACEPARENT, given })
    });
    traceparent.transpose()
}

pub(super) fn fresh_gid() -> Gid {
    let text = clock::new_id().hyphenated().to_string();
    // A UUID's text is hex digits and hyphens, which every gid may consist of.
    text.parse().expect("a UUID is a gid")
}

fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// A branch: one participant's part in a transaction.
#[derive(Debug, Clone)]
pub struct NewBranch {
    request: BranchRequest,
}

impl NewBranch {
    /// A branch without legs; unique in its transaction by its id, 1 to 64 of `[A-Za-z0-9._:-]`.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { request: BranchRequest { id: Some(id.into()), ..BranchRequest::default() } }
    }

    /// All three legs: `{url}/try`, `{url}/confirm` and `{url}/cancel`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.request.endpoint = Some(url.into());
        self
    }

    /// The URL of Try alone.
    #[must_use]
    pub fn try_url(mut self, url: impl Into<String>) -> Self {
        self.request.try_ = Some(url.into());
        self
    }

    /// The URL of Confirm alone.
    #[must_use]
    pub fn confirm_url(mut self, url: impl Into<String>) -> Self {
        self.request.confirm = Some(url.into());
        self
    }

    /// The URL of Cancel alone.
    #[must_use]
    pub fn cancel_url(mut self, url: impl Into<String>) -> Self {
        self.request.cancel = Some(url.into());
        self
    }

    /// In a saga: the branches that come before it, by their ids; with none it is called at once. By
    /// default it comes after the branch before it.
    #[must_use]
    pub fn after(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request.after = Some(ids.into_iter().map(Into::into).collect());
        self
    }

    /// How often its Try may fail before the transaction is cancelled, 0 to 1 000; 0: until the deadline.
    #[must_use]
    pub fn try_attempts(mut self, attempts: u32) -> Self {
        self.request.try_attempts = Some(attempts.into());
        self
    }

    /// A delayed message: its Confirm is not called before this long after the decision; at most 30 days.
    #[must_use]
    pub fn confirm_after(mut self, delay: Duration) -> Self {
        self.request.confirm_after_ms = Some(whole_millis(delay));
        self
    }

    /// Its calls bring what the Tries before it were answered with, and in Confirm and Cancel its own: see
    /// [`Context::result`](crate::Context::result).
    #[must_use]
    pub fn results(mut self) -> Self {
        self.request.results = Some(true);
        self
    }

    /// The body of each of its calls, the same to the byte for all of them; by default `{}`.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn payload(mut self, payload: &(impl Serialize + ?Sized)) -> Result<Self, ClientError> {
        let raw = to_raw_value(payload)
            .map_err(|source| ClientError::Json { what: "payload", source })?;
        self.request.payload = Some(raw);
        Ok(self)
    }

    /// A header of each of its calls. The coordinator treats its value as a secret.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.get_or_insert_default().insert(name.into(), value.into());
        self
    }

    /// How long one call may take: 10 ms to 10 min, by default 3 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_ms = Some(whole_millis(timeout));
        self
    }

    /// The same branch with its Try kept from the coordinator, and the URL of that Try.
    pub(super) fn with_own_try(mut self) -> Result<(Self, Option<String>), ClientError> {
        let request = &mut self.request;
        if let Some(endpoint) = request.endpoint.take() {
            // As the coordinator reads an endpoint.
            let base = endpoint.strip_suffix('/').unwrap_or(&endpoint);
            let legs = [&mut request.try_, &mut request.confirm, &mut request.cancel];
            for (op, leg) in Op::ALL.into_iter().zip(legs) {
                *leg = Some(format!("{base}/{op}"));
            }
        }
        let url = request.try_.take();
        if request.confirm.is_none() && request.cancel.is_none() {
            return Err(ClientError::NothingToDecide);
        }
        request.try_by = Some(TryBy::Initiator);
        Ok((self, url))
    }

    /// The legs it has, as the coordinator counts them: also a Try that the initiator calls.
    pub(super) fn legs(&self) -> Legs {
        let request = &self.request;
        Legs::where_(|op| {
            request.endpoint.is_some()
                || match op {
                    Op::Try => request.try_.is_some() || request.try_by == Some(TryBy::Initiator),
                    Op::Confirm => request.confirm.is_some(),
                    Op::Cancel => request.cancel.is_some(),
                }
        })
    }

    /// The body of the registration of several at once.
    pub(super) fn all_to_body(all: impl IntoIterator<Item = Self>) -> Result<String, ClientError> {
        let requests: Vec<BranchRequest> = all.into_iter().map(|branch| branch.request).collect();
        serde_json::to_string(&requests)
            .map_err(|source| ClientError::Json { what: "branches", source })
    }

    /// The body of its registration.
    pub(super) fn to_body(&self) -> Result<String, ClientError> {
        serde_json::to_string(&self.request)
            .map_err(|source| ClientError::Json { what: "branch", source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_written_as_the_contract_says() {
        let payment = NewBranch::new("payment")
            .endpoint("http://127.0.0.1:7302/payment")
            .payload(&serde_json::json!({"amount": 1}))
            .expect("JSON")
            .header("x-tenant", "eu")
            .timeout(Duration::from_secs(2));
        let transaction = NewTransaction::new()
            .gid("order-1")
            .branch(payment)
            .timeout(Duration::from_millis(1_500))
            .metadata(&serde_json::json!({"channel": "web"}))
            .expect("an object");
        let (gid, sent) = transaction.into_sent(false).expect("valid");
        assert_eq!(gid.as_str(), "order-1");
        assert_eq!(
            sent.body.expect("a body"),
            r#"{"gid":"order-1","branches":[{"id":"payment","endpoint":"http://127.0.0.1:7302/payment","payload":{"amount":1},"headers":{"x-tenant":"eu"},"timeout_ms":2000}],"timeout_ms":1500,"metadata":{"channel":"web"}}"#
        );
    }

    #[test]
    fn a_transaction_always_has_a_gid_and_it_is_a_good_one() {
        let (one, sent) = NewTransaction::new().into_sent(true).expect("valid");
        let (two, _) = NewTransaction::new().into_sent(true).expect("valid");
        assert_ne!(one, two);
        assert_eq!(sent.body, Some(format!(r#"{{"gid":"{one}","open":true}}"#)));
        let error = NewTransaction::new().gid("a/b").into_sent(false).expect_err("not a gid");
        assert_eq!(
            error.to_string(),
            r#"gid "a/b": may contain only letters, digits and . _ : - , not '/'"#
        );
        assert!(NewTransaction::new().metadata(&7).is_err(), "metadata is an object");
    }
}
