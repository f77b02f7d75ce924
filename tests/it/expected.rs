//! What the contract says an answer must look like.

use tercet_testing::Response;

/// The codes of the contract and the status each is sent with.
pub(crate) const CODES: [(&str, u16); 27] = [
    ("invalid-request", 400),
    ("unauthorized", 401),
    ("forbidden", 403),
    ("cross-origin", 403),
    ("host-not-allowed", 403),
    ("transaction-not-found", 404),
    ("branch-not-found", 404),
    ("job-not-found", 404),
    ("saga-not-found", 404),
    ("saga-retired", 409),
    ("gid-reused", 409),
    ("branch-reused", 409),
    ("already-confirmed", 409),
    ("already-cancelled", 409),
    ("not-open", 409),
    ("tries-outstanding", 409),
    ("not-decided", 409),
    ("already-finished", 409),
    ("payload-too-large", 413),
    ("unsupported-media-type", 415),
    ("not-owner", 421),
    ("too-many-requests", 429),
    ("journal-unavailable", 503),
    ("not-accepted", 503),
    ("held", 503),
    ("shutting-down", 503),
    ("not-found", 404),
    ("method-not-allowed", 405),
];

/// Checks a problem: its code, everything that follows from the code, and the transaction it
/// names.
pub(crate) fn problem(response: &Response, code: &str, gid: Option<&str>) {
    let text = &response.text;
    assert_eq!(response.word("code"), code, "{} {text}", response.status);
    let status = CODES.iter().find(|(known, _)| *known == code).map(|(_, status)| *status);
    assert_eq!(Some(response.status), status, "{text}");
    assert_eq!(response.field("status").as_u64(), status.map(u64::from), "{text}");
    assert_eq!(response.header("content-type"), "application/problem+json", "{text}");
    assert_eq!(response.word("type"), format!("/problems/{code}"), "{text}");
    assert!(!response.word("title").is_empty(), "{text}");
    assert!(!response.word("detail").is_empty(), "{text}");
    assert_eq!(response.field("gid").as_str(), gid, "{text}");
    if matches!(code, "too-many-requests" | "not-accepted") {
        let seconds: Result<u32, _> = response.header("retry-after").parse();
        assert!(seconds.is_ok(), "{code} comes with Retry-After: {:?}", response.headers);
    }
}

/// Checks an answer about a transaction: the HTTP status, the transaction's own, and the
/// header that repeats it.
pub(crate) fn transaction(response: &Response, http: u16, status: &str) {
    let text = &response.text;
    assert_eq!((response.status, response.word("status")), (http, status), "{text}");
    assert_eq!(response.header("tercet-status"), status, "{text}");
    assert_eq!(response.header("content-type"), "application/json", "{text}");
}
