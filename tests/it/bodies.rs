//! Bodies of requests, as the tests vary them.

use serde_json::{Value, json};
use tercet_testing::Participant;

/// A branch with all three legs at this participant. It is patient: a call that a test holds
/// shall not run into its timeout, however busy the machine is.
pub(crate) fn branch(at: &Participant, id: &str) -> Value {
    json!({ "id": id, "endpoint": at.url(&format!("/{id}")), "timeout_ms": 25_000 })
}

/// The body of a begin. Without branches the transaction is open.
pub(crate) fn begin(gid: &str, branches: &[Value]) -> String {
    json!({ "gid": gid, "branches": branches }).to_string()
}

/// The body of a begin of an open transaction that has branches already.
pub(crate) fn begin_open(gid: &str, branches: &[Value]) -> String {
    json!({ "gid": gid, "open": true, "branches": branches }).to_string()
}

/// The value with these fields over its own.
pub(crate) fn with(mut value: Value, fields: Value) -> Value {
    let (Some(into), Value::Object(fields)) = (value.as_object_mut(), fields) else {
        panic!("both must be objects");
    };
    into.extend(fields);
    value
}
