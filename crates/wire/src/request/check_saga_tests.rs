//! What a definition and a run may say, and where in the document it is told what they may not.

use serde_json::json;

use super::*;
use crate::op::Op;
use crate::{Gid, SagaName, Spec};

fn definition(document: serde_json::Value) -> SagaRequest {
    serde_json::from_value(document).expect("a definition")
}

fn step(more: serde_json::Value) -> serde_json::Value {
    let mut step = json!({ "id": "a", "action": "http://h:1/a" });
    let fields = more.as_object().expect("fields").clone();
    step.as_object_mut().expect("fields").extend(fields);
    step
}

fn trip() -> SagaRequest {
    definition(json!({ "steps": [
        { "id": "flight", "action": "http://h:1/book", "compensate": "http://h:1/release", "after": [] },
        { "id": "pay", "action": "http://h:2/pay", "headers": { "X-Tenant": "eu" } },
        { "id": "mail", "confirm": "http://h:3/mail" },
    ] }))
}

#[test]
fn what_is_wrong_with_a_definition_has_its_place() {
    let many: Vec<_> = (0..65).map(|n| step(json!({ "id": format!("s{n}") }))).collect();
    let long = "x".repeat(SCHEMA_BYTES);
    let one = |more: serde_json::Value| json!({ "steps": [step(more)] });
    let second = |more: serde_json::Value| json!({ "steps": [step(json!({})), step(more)] });
    let table = [
        (json!({}), "/steps", "is required"),
        (json!({ "steps": null }), "/steps", "is required"),
        (json!({ "steps": [] }), "/steps", "is required"),
        (json!({ "steps": many }), "/steps", "at most 64"),
        (json!({ "steps": [{ "action": "http://h/" }] }), "/steps/0/id", "is required"),
        (one(json!({ "id": "" })), "/steps/0/id", "1 to 64"),
        (second(json!({ "id": "a" })), "/steps/1/id", "earlier branch"),
        (json!({ "steps": [{ "id": "a" }] }), "/steps/0", "at least one URL"),
        (one(json!({ "action": "h/a" })), "/steps/0/action", "whole URL"),
        (one(json!({ "compensate": "ftp://h/a" })), "/steps/0/compensate", "http or https"),
        (one(json!({ "confirm": "http://u@h/" })), "/steps/0/confirm", "user name"),
        (one(json!({ "endpoint": "http://h/" })), "/steps/0/endpoint", "not both"),
        (
            json!({ "steps": [{ "id": "a", "endpoint": "http://h/?a=b" }] }),
            "/steps/0/endpoint",
            "query",
        ),
        (second(json!({ "id": "b", "after": ["c"] })), "/steps/1/after", "no branch has that id"),
        (second(json!({ "id": "b", "after": ["b"] })), "/steps/1/after", "itself"),
        (second(json!({ "id": "b", "after": ["a", "a"] })), "/steps/1/after", "twice"),
        (
            json!({ "steps": [
                step(json!({ "after": ["b"] })),
                step(json!({ "id": "b", "after": ["a"] })),
            ] }),
            "/steps/0/after",
            "circle",
        ),
        (one(json!({ "timeout_ms": 9 })), "/steps/0/timeout_ms", "10 to 600000"),
        (one(json!({ "try_attempts": 1_001 })), "/steps/0/try_attempts", "0 to 1000"),
        (
            one(json!({ "confirm_after_ms": 2_592_000_001_u64 })),
            "/steps/0/confirm_after_ms",
            "0 to 2592000000",
        ),
        (one(json!({ "headers": { "Host": "x" } })), "/steps/0/headers/Host", "not the caller's"),
        (
            json!({ "timeout_ms": 2_592_000_001_u64, "steps": [step(json!({}))] }),
            "/timeout_ms",
            "100 to 2592000000",
        ),
        (
            json!({ "input_schema": { "title": long }, "steps": [step(json!({}))] }),
            "/input_schema",
            "at most 65536 bytes",
        ),
    ];
    for (document, place, what) in table {
        let text = document.to_string();
        let invalid = check_saga(&definition(document), &Limits::default()).expect_err(&text);
        assert_eq!(invalid.pointer.as_ref().map(Pointer::as_str), Some(place), "{text}");
        assert!(invalid.what.contains(what), "{text}: {invalid}");
        assert!(!invalid.too_large, "{text}");
    }
    assert_eq!(check_saga(&trip(), &Limits::default()), Ok(()));
}

#[test]
fn a_definition_is_the_same_whatever_goes_without_saying() {
    let content = |document: serde_json::Value| {
        saga_content(&definition(document), &Limits::default()).expect("a definition")
    };
    let plain = json!({ "steps": [step(json!({})), step(json!({ "id": "b" }))] });
    let told = json!({
        "timeout_ms": 3_600_000,
        "input_schema": null,
        "steps": [
            step(json!({ "after": [], "try_attempts": 0, "headers": {}, "confirm_after_ms": 0 })),
            step(json!({ "id": "b", "after": ["a"] })),
        ],
    });
    assert_eq!(content(plain.clone()), content(told));
    let schema = |schema| json!({ "input_schema": schema, "steps": plain["steps"] });
    let ordered = schema(json!({ "type": "object", "title": "t" }));
    assert_eq!(
        content(ordered.clone()),
        content(schema(json!({ "title": "t", "type": "object" })))
    );
    let confirmed = |after: u32| {
        let more = json!({ "id": "b", "confirm": "http://h:1/c", "confirm_after_ms": after });
        json!({ "steps": [step(json!({})), step(more)] })
    };
    let others = [
        plain.clone(),
        ordered,
        schema(json!({})),
        json!({ "timeout_ms": 5_000, "steps": [step(json!({})), step(json!({ "id": "b" }))] }),
        confirmed(0),
        confirmed(1),
        json!({ "steps": [step(json!({})), step(json!({ "id": "b", "headers": { "x-a": "1" } }))] }),
        json!({ "steps": [step(json!({})), step(json!({ "id": "b", "headers": { "x-a": "2" } }))] }),
        json!({ "steps": [step(json!({})), step(json!({ "id": "b", "timeout_ms": 3_000 }))] }),
        json!({ "steps": [step(json!({ "id": "b" })), step(json!({}))] }),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for other in others {
        assert!(seen.insert(content(other.clone()).as_str().to_owned()), "{other}");
    }
}

#[test]
fn what_is_stored_is_what_was_put() {
    let text = trip().canonical();
    assert_eq!(serde_json::from_str::<SagaRequest>(&text).expect("a definition"), trip());
    let again = serde_json::from_str::<SagaRequest>(&text).expect("a definition").canonical();
    assert_eq!(again, text);
}

fn run_of(request: &str, name: &str, version: u32) -> Result<Spec, Invalid> {
    let instance = "01938d1c-7f00-7abc-8def-0123456789ab".parse().expect("a UUID");
    let arrival = Arrival { instance, at: Wall(0), traceparent: None };
    let name: SagaName = name.parse().expect("a name");
    let saga = SagaVersion { name, version };
    let request = serde_json::from_str(request).expect("a run");
    check_run(request, saga, &trip(), &Limits::default(), &arrival).map(|checked| checked.spec)
}

#[test]
fn each_step_of_a_run_has_the_input_to_the_byte() {
    let spec =
        run_of(r#"{"gid":"t-1","input": {"a": 1.0,"b":"\u00e9"}}"#, "trip", 3).expect("a run");
    assert_eq!(spec.gid, "t-1".parse::<Gid>().expect("a gid"));
    assert_eq!(spec.pattern, Pattern::Saga);
    assert!(spec.branches.iter().all(|branch| &*branch.payload == r#"{"a": 1.0,"b":"\u00e9"}"#));
    let saga = spec.saga().expect("it says what it is a run of");
    assert_eq!((saga.name.as_str(), saga.version), ("trip", 3));
    assert_eq!(spec.branches[1].url(Op::Try).expect("a URL").as_str(), "http://h:2/pay");
    let spec = run_of("{}", "trip", 3).expect("a run");
    assert!(spec.branches.iter().all(|branch| &*branch.payload == "{}"));
}

/// Keeps P2.
#[test]
fn a_run_is_another_by_its_input_and_its_version() {
    let run = |request: &str, name: &str, version: u32| {
        run_of(request, name, version).expect("a run").fingerprint
    };
    let one = run(r#"{"input":{}}"#, "trip", 1);
    assert_eq!(one, run("{}", "trip", 1), "what is absent is {{}}");
    assert_ne!(one, run(r#"{"input":{ }}"#, "trip", 1));
    assert_ne!(one, run("{}", "trip", 2));
    assert_ne!(one, run("{}", "tour", 1));
    assert_ne!(one, run(r#"{"metadata":{"a":1}}"#, "trip", 1));
    let arrival = Arrival { instance: Instance::new(Uuid::nil()), at: Wall(0), traceparent: None };
    let begun = check_begin(begin(&trip(), None, None, None), &Limits::default(), &arrival);
    assert_ne!(one, begun.expect("a begin").spec.fingerprint, "a begin is no run");
}

#[test]
fn what_is_wrong_with_a_run_has_its_place_in_the_run() {
    let large = format!(r#"{{"input":"{}"}}"#, "x".repeat(262_144));
    for (request, field, place) in
        [(r#"{"gid":"-"}"#, "gid", Some("/gid")), (&large, "input", Some("/input"))]
    {
        let invalid = run_of(request, "trip", 1).expect_err(request);
        assert_eq!(invalid.field, field);
        assert_eq!(invalid.pointer.as_ref().map(Pointer::as_str), place);
    }
    // What the definition says is no longer allowed.
    let own = "127.0.0.1:1".parse().expect("an address");
    let limits = Limits { own_addresses: vec![own], ..Limits::default() };
    let arrival = Arrival { instance: Instance::new(Uuid::nil()), at: Wall(0), traceparent: None };
    let saga = SagaVersion { name: "trip".parse().expect("a name"), version: 7 };
    let definition =
        definition(json!({ "steps": [step(json!({ "action": "http://localhost:1/" }))] }));
    let invalid = check_run(RunRequest::default(), saga, &definition, &limits, &arrival);
    let invalid = invalid.expect_err("it would call itself");
    assert_eq!(invalid.field, "steps[0].action of version 7 of trip");
    assert_eq!(invalid.pointer, None);
}

/// Keeps P9.
#[test]
fn an_input_that_all_steps_have_is_bounded_by_how_many_there_are() {
    let steps: Vec<_> = (0..64).map(|at| step(json!({ "id": format!("s{at}") }))).collect();
    let definition = definition(json!({ "steps": steps }));
    let saga = || SagaVersion { name: "trip".parse().expect("a name"), version: 7 };
    let arrival = Arrival { instance: Instance::new(Uuid::nil()), at: Wall(0), traceparent: None };
    let run = |bytes: usize| {
        let request = json!({ "input": "x".repeat(bytes - 2) }).to_string();
        let request = serde_json::from_str(&request).expect("a run");
        check_run(request, saga(), &definition, &Limits::default(), &arrival)
    };
    assert!(run(64 * 1_024).is_ok());
    let invalid = run(64 * 1_024 + 1).expect_err("it is too large");
    assert_eq!((invalid.field.as_str(), invalid.too_large), ("input", true));
}
