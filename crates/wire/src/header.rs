//! Names of the headers that Tercet gives a meaning to, in lower case.

/// On calls: the transaction.
pub const GID: &str = "tercet-gid";
/// On calls: the branch.
pub const BRANCH: &str = "tercet-branch";
/// On calls: which life of the gid.
pub const INSTANCE: &str = "tercet-instance";
/// On calls: the legs this branch has, `try,confirm,cancel`.
pub const LEGS: &str = "tercet-legs";
/// On calls: `try`, `confirm` or `cancel`.
pub const OP: &str = "tercet-op";
/// On calls: 1, 2, …; a hint, since it may repeat after a restart.
pub const ATTEMPT: &str = "tercet-attempt";
/// On a Try: when an unanswered Try will be given up, RFC 3339.
pub const DEADLINE: &str = "tercet-deadline";
/// On calls: `"{gid}/{branch}/{op}"`, the quotes included.
/// Source: draft-ietf-httpapi-idempotency-key-header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// On calls: `true` where the body is `{"payload":…,"results":{…}}` and not the payload alone.
pub const RESULTS: &str = "tercet-results";
/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context.
pub const TRACESTATE: &str = "tracestate";
/// On the coordinator's answers: the transaction's status.
pub const STATUS: &str = "tercet-status";

/// On signed calls and alerts: which it is, the same for its repeats.
/// Source: the Standard Webhooks specification.
pub const WEBHOOK_ID: &str = "webhook-id";
/// On signed calls and alerts: the seconds since 1970 at which it was sent.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// On signed calls and alerts: `v1,` and the signature.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// Between coordinators: 1 on a request that one has passed on to another; it goes no further.
pub const HOP: &str = "tercet-hop";
/// Between coordinators: the life of a node that is believed to drive the transaction.
pub const OWNER: &str = "tercet-owner";
/// Between coordinators: by this the other knows that a coordinator on the same database sent it.
pub const NODE: &str = "tercet-node";
/// What a node understands of the others: what they pass on, what signs it, and where their rows stand. It is counted up
/// with each change that an older node would not understand; 4: rows under instances.
pub const NODE_PROTOCOL: i32 = 4;
/// Between coordinators: who asked the one that passed the request on.
pub const WHO: &str = "tercet-who";
/// Between coordinators: the role that the one that passed the request on has found.
pub const ROLE: &str = "tercet-role";

/// Whether a branch may bring a header of this name (lower case) for its calls.
/// The others are ours to set, or belong to the connection (RFC 9110, 7.6.1).
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 16] = [
        IDEMPOTENCY_KEY,
        TRACEPARENT,
        TRACESTATE,
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    name.starts_with("tercet-") || name.starts_with("webhook-") || RESERVED.contains(&name)
}
