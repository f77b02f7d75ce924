//! What is read of a call.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_participant::{Context, Op};

use crate::cases;

#[derive(Debug, Deserialize)]
struct Case {
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    context: Option<Value>,
    bad_header: Option<String>,
}

#[test]
fn calls_are_read_as_they_are_meant() {
    for case in cases::<Case>("headers.json") {
        let op: Op = case.url.parse().expect("an op");
        let header = |(name, value): (&String, &String)| {
            let name: HeaderName = name.parse().expect("a name");
            (name, HeaderValue::try_from(value).expect("a value"))
        };
        let headers: HeaderMap = case.headers.iter().map(header).collect();
        match Context::from_call(op, &headers, case.body.as_bytes()) {
            Ok((context, payload)) => {
                let results = context.results().map(|results| {
                    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
                    results
                        .iter()
                        .map(|(branch, text)| (branch.clone(), value(text.as_str())))
                        .collect::<BTreeMap<_, _>>()
                });
                let legs: Vec<&str> = Op::ALL
                    .into_iter()
                    .filter(|op| context.legs.has(*op))
                    .map(Op::as_str)
                    .collect();
                let read = json!({
                    "gid": context.gid, "branch": context.branch, "instance": context.instance,
                    "op": context.op.as_str(), "legs": legs, "attempt": context.attempt,
                    "deadline": context.deadline.map(|at| at.to_string()),
                    "traceparent": context.traceparent,
                    "payload": String::from_utf8_lossy(payload), "results": results,
                });
                assert_eq!(Some(read), case.context, "{:?}", case.headers);
            }
            Err(error) => assert_eq!(Some(error.name), case.bad_header.as_deref(), "{case:?}"),
        }
    }
}
