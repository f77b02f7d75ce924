//! Errors as RFC 9457 problems. A new kind of error gets its line in the table below:
//! the status code, the page at `/problems/{code}` and the OpenAPI description follow.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{BranchId, Gid};

/// The body of an error: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `/problems/{code}`, where the code is explained.
    #[serde(rename = "type")]
    pub type_: String,
    /// The code, for programs.
    pub code: ProblemCode,
    /// The code in a few words; where it has several causes, this one.
    pub title: String,
    /// The HTTP status.
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599))]
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The transaction in question, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$", example = "order-1001"))]
    pub gid: Option<Gid>,
    /// The branches in question, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub branches: Vec<BranchId>,
    /// Where in the request's body it is, by RFC 6901; where something is missing, where it would be.
    /// In problems about a saga's definition, or the input of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "/input/seats"))]
    pub pointer: Option<String>,
}

impl Problem {
    /// A problem of this kind, with what is wrong this time.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            type_: format!("/problems/{code}"),
            code,
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            gid: None,
            branches: Vec::new(),
            pointer: None,
        }
    }

    /// Names the transaction.
    #[must_use]
    pub fn about(mut self, gid: &Gid) -> Self {
        self.gid = Some(gid.clone());
        self
    }
}

macro_rules! problems {
    ($($variant:ident = $code:literal, $status:literal, $title:literal, $what_to_do:literal;)+) => {
        /// Every kind of error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ProblemCode {
            $(#[doc = $title] #[serde(rename = $code)] $variant),+
        }

        #[cfg(feature = "openapi")]
        crate::schema::words!(ProblemCode, "Every kind of error.", $($code => $title),+);

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As written in `code`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The HTTP status it is sent with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// In a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What it means and what to do about it.
            #[must_use]
            pub fn what_to_do(self) -> &'static str {
                match self { $(Self::$variant => $what_to_do),+ }
            }
        }
    };
}

problems! {
    InvalidRequest = "invalid-request", 400, "The request is not valid",
        "The detail names the field or parameter and what is wrong with it. Nothing happened; mend the request and send it again.";
    Unauthorized = "unauthorized", 401, "A token is needed",
        "Send a valid token as `Authorization: Bearer …`. The detail says what is wrong with the one that came, if one did.";
    Forbidden = "forbidden", 403, "This token may not do that",
        "Ask for a token whose role allows the request.";
    CrossOrigin = "cross-origin", 403, "The request comes from another site's page",
        "Browsers send it so when a page of another origin asks. If that page is yours, name its origin in `server.allowed_origins`; programs leave `Origin` and `Sec-Fetch-Site` out.";
    HostNotAllowed = "host-not-allowed", 403, "This node is not known by that name",
        "A node that listens on the loopback interface answers to its names (`localhost`, `127.0.0.1`, `[::1]`) alone, so that no page can reach it by a name of its own; one that asks nobody for a token answers to addresses and to names that nobody outside can have made. Name further ones in `server.allowed_hosts`.";
    TransactionNotFound = "transaction-not-found", 404, "There is no such transaction",
        "No transaction with this gid was ever begun here, or it finished longer ago than the retention. If a begin with this gid had no answer, send it again: that is safe.";
    SagaNotFound = "saga-not-found", 404, "There is no such definition of a saga",
        "Compare the name, and the version if one was given, with those that `GET /v1/sagas` lists.";
    JobNotFound = "job-not-found", 404, "There is no such job",
        "Compare the id with those that `GET /v1/jobs` lists. Jobs that ended longer ago than the retention are gone; the audit has who began them.";
    BranchNotFound = "branch-not-found", 404, "The transaction has no such branch",
        "Compare the branch's id with those the transaction shows.";
    NotFound = "not-found", 404, "There is nothing at this address",
        "Compare the path with those at /docs.";
    MethodNotAllowed = "method-not-allowed", 405, "This address does not take that method",
        "The `Allow` header names the methods it takes.";
    GidReused = "gid-reused", 409, "The gid is taken by a transaction with other content",
        "Begin is idempotent only for the same content. Take a new gid for a new transaction; to ask about the old one, GET it.";
    BranchReused = "branch-reused", 409, "The branch id is taken by a branch with other content",
        "Registering is idempotent only for the same content. Take another id for another branch.";
    AlreadyConfirmed = "already-confirmed", 409, "Confirm was decided",
        "The decision is durable and final: every branch gets Confirm. GET the transaction to see how far it is.";
    AlreadyCancelled = "already-cancelled", 409, "Cancel was decided",
        "The decision is durable and final: every branch gets Cancel. `reason` on the transaction says why.";
    NotOpen = "not-open", 409, "The transaction is not open to this",
        "It was begun with branches and not `open`: Tercet calls Try and decides. Wait for it, or ask for cancel.";
    TriesOutstanding = "tries-outstanding", 409, "A Try has not been answered",
        "The named branches are not reserved yet. Wait until they are `tried`, then confirm again, or ask for cancel.";
    NotDecided = "not-decided", 409, "Nothing has been decided yet",
        "A branch can be resolved by hand only after the decision. Ask for confirm or cancel first.";
    AlreadyFinished = "already-finished", 409, "The branch has finished",
        "There is nothing left to resolve.";
    SagaRetired = "saga-retired", 409, "This definition of a saga was retired",
        "Runs that have begun go on, and their repeats are answered; new ones are not begun. Put a definition of that name again, or run another one.";
    PayloadTooLarge = "payload-too-large", 413, "The request or a payload in it is too large",
        "The detail says which limit was passed. Store large data elsewhere and send a reference.";
    UriTooLong = "uri-too-long", 414, "The address is too long",
        "Path and query must be shorter. Cursors and ids are given back as they came.";
    UnsupportedMediaType = "unsupported-media-type", 415, "The body is not plain JSON",
        "Send `Content-Type: application/json`, in UTF-8 and without a `Content-Encoding`.";
    NotOwner = "not-owner", 421, "Another node drives this transaction",
        "This node only knows it from the journal, and did nothing about it. Send the request to the node that the detail names, or again through whatever stands before the nodes: repeating is safe.";
    TooManyRequests = "too-many-requests", 429, "Too many transactions are under way",
        "Nothing happened. Begin, or register the branch, again after `Retry-After`; a job, once another has ended or was stopped. Confirm, cancel and reads are never limited.";
    HeadersTooLarge = "headers-too-large", 431, "The request has too many headers, or too long ones",
        "The detail says which limit was passed. What stands before Tercet may add headers of its own: have it leave out what Tercet does not read.";
    Internal = "internal", 500, "This transaction is quarantined after a fault of ours",
        "Its state is safe in the journal and nothing else is affected. The log names the fault; a restart takes the transaction up again.";
    OwnerUnreachable = "owner-unreachable", 503, "The node that drives the transaction does not answer",
        "What became of the request is unknown. Send it again, with the same gid: that is safe. Within seconds another node takes over what a dead one drove.";
    JournalUnavailable = "journal-unavailable", 503, "The journal does not answer; the outcome is unknown",
        "The transaction may exist and may go on. Ask again with the same gid (the problem names it): repeating is safe.";
    NotAccepted = "not-accepted", 503, "Not accepted now",
        "The request was refused before anything was written: nothing happened. Send it again after `Retry-After`.";
    Held = "held", 503, "The transaction is held since the database was restored",
        "The backup is older than what has happened since, so what was undecided in it waits for people: nothing happened. Send it again after `Retry-After`; operators compare the books (`tercet reconcile`), then release it (`tercet restored release`).";
    ShuttingDown = "shutting-down", 503, "This node is stopping",
        "Nothing happened. Send it to another node, or again once this one is back.";
    NotReady = "not-ready", 503, "This node is starting",
        "Nothing happened. It takes up what was unfinished first: send it again after `Retry-After`, or to another node.";
    NotLive = "not-live", 503, "The engine's loop stands still",
        "Restart the process: nothing that was told is lost. Please report it, with the log.";
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ProblemCode {
    type Err = crate::status::UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        found.ok_or_else(|| crate::status::UnknownName::new(text, "the codes listed at /docs"))
    }
}
