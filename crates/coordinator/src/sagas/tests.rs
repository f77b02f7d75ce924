//! Schemas as they may come, hostile ones among them.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tercet_wire::SagaRequest;

use super::Wrong;
use super::apart::Apart;
use super::input_schema::InputSchema;

/// Makes a schema ready, as it is done when it is put: apart, with a stack that is deep enough.
async fn made(schema: Value) -> Result<InputSchema, Wrong> {
    Apart::default().done(move || InputSchema::of(&schema)).await.expect("it comes to an end")
}

/// What is wrong with an input, and where.
async fn checked(schema: Value, input: Value) -> Result<(), (String, String)> {
    let schema = made(schema).await.expect("a schema");
    let check = move || schema.check(&input);
    let checked = Apart::default().done(check).await.expect("it comes to an end");
    checked.map_err(|Wrong { place, what }| (place.to_string(), what))
}

#[tokio::test]
async fn what_does_not_fit_has_its_place() {
    let trip = json!({
        "type": "object",
        "required": ["traveller"],
        "additionalProperties": false,
        "properties": {
            "traveller": { "type": "string", "pattern": "^[a-z]+$" },
            "stops": { "type": "array", "items": { "$ref": "#/$defs/stop" } },
            "a/b~c": { "required": ["d/e"] },
        },
        "$defs": { "stop": { "type": "object", "required": ["city"], "properties": { "nights": { "minimum": 1 } } } },
    });
    for (input, expected) in [
        (json!({ "traveller": "ann" }), None),
        (json!([]), Some("")),
        (json!({}), Some("/traveller")),
        (json!({ "traveller": 7 }), Some("/traveller")),
        (json!({ "traveller": "Ann" }), Some("/traveller")),
        (json!({ "traveller": "ann", "x": 1 }), Some("/x")),
        (json!({ "traveller": "ann", "stops": [{ "city": "b" }, {}] }), Some("/stops/1/city")),
        (
            json!({ "traveller": "ann", "stops": [{ "city": "b", "nights": 0 }] }),
            Some("/stops/0/nights"),
        ),
        (json!({ "traveller": "ann", "a/b~c": {} }), Some("/a~1b~0c/d~1e")),
    ] {
        let found = checked(trip.clone(), input.clone()).await.err().map(|(place, _)| place);
        assert_eq!(found.as_deref(), expected, "{input}");
    }
}

#[tokio::test]
async fn nothing_of_a_value_is_told() {
    let secret = "s3cret".repeat(40);
    let (_, what) = checked(json!({ "type": "integer" }), json!(secret)).await.expect_err("a text");
    assert!(!what.contains("s3cret") && what.len() < 400, "{what}");
    let of = json!({ "enum": [1], "maxLength": 3 });
    let (_, what) = checked(of, json!([secret])).await.expect_err("another");
    assert!(!what.contains("s3cret"), "{what}");
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_is_refused_with_its_place() {
    let long_circle =
        (0..50).map(|n| (format!("d{n}"), json!({ "$ref": format!("#/$defs/d{}", (n + 1) % 50) })));
    let long_circle: Map<String, Value> = long_circle.collect();
    for (schema, place, what) in [
        (json!({ "$ref": "http://127.0.0.1:1/s" }), "/$ref", "outside"),
        (json!({ "$ref": "file:///etc/passwd" }), "/$ref", "outside"),
        (json!({ "$ref": "other.json#/a" }), "/$ref", "outside"),
        (json!({ "$ref": "//h/s" }), "/$ref", "outside"),
        (
            json!({ "$defs": { "a": { "items": { "$ref": "http://h/s" } } } }),
            "/$defs/a/items/$ref",
            "outside",
        ),
        (json!({ "$dynamicRef": "https://h/s#x" }), "/$dynamicRef", "outside"),
        (json!({ "properties": { "a": { "$ref": "#/nope" } } }), "/properties/a/$ref", "nothing"),
        (json!({ "$ref": "#nope" }), "/$ref", "nothing"),
        (
            json!({ "$defs": { "a": { "$id": "http://h/s" } }, "$ref": "#/$defs/a" }),
            "/$defs/a/$id",
            "at the top",
        ),
        (json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), "/$schema", "2020-12"),
        (json!({ "type": "strin" }), "/type", r#"it is not one of "array""#),
        (json!({ "properties": { "a~/b": { "minimum": "x" } } }), "/properties/a~0~1b/minimum", ""),
        (json!({ "pattern": "(?=a)b" }), "/pattern", "look-around"),
        (json!({ "pattern": r"(a)\1" }), "/pattern", "back-references"),
        (json!({ "pattern": "(a{1000}){1000}" }), "/pattern", "not too large"),
        (json!({ "$ref": "#" }), "", "leads back to itself"),
        (json!({ "allOf": [{ "$ref": "#" }] }), "", "leads back to itself"),
        (json!({ "$ref": "#/$defs/d0", "$defs": long_circle }), "", "leads back to itself"),
    ] {
        let text = schema.to_string();
        let wrong = made(schema).await.expect_err(&text);
        assert_eq!(wrong.place.as_str(), place, "{text}: {wrong:?}");
        assert!(wrong.what.contains(what), "{text}: {wrong:?}");
    }
}

#[tokio::test]
async fn what_stands_in_the_document_may_be_referred_to() {
    let list = json!({
        "$id": "https://example.com/list",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": { "next": { "$ref": "#" }, "value": { "$ref": "#value" } },
        "$defs": { "v": { "$anchor": "value", "type": "integer" } },
        "definitions": { "unused": { "$ref": "https://example.com/list#/$defs/v" } },
        "examples": [{ "$ref": "http://h/not-a-reference" }],
    });
    let input = json!({ "value": 1, "next": { "value": 2, "next": { "value": "x" } } });
    let wrong = checked(list, input).await.expect_err("the last is a text");
    assert_eq!(wrong.0, "/next/next/value");
}

/// A chain of definitions, of which each is made of the next.
fn chain(length: usize, of: impl Fn(Value) -> Value) -> Value {
    let next = |n: usize| json!({ "$ref": format!("#/$defs/d{}", n + 1) });
    let mut defs: Map<String, Value> =
        (0..length).map(|n| (format!("d{n}"), of(next(n)))).collect();
    defs.insert(format!("d{length}"), json!({ "type": "string" }));
    json!({ "$ref": "#/$defs/d0", "$defs": defs })
}

fn nested(depth: usize, of: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(json!(1), |value, _| of(value))
}

/// What has no end is known by then, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Keeps P9.
#[tokio::test]
async fn a_hostile_schema_takes_no_longer_than_it_may() {
    let doubles = |next: Value| json!({ "allOf": [next, next] });
    let refused_at_once = [
        ("doubles", chain(60, doubles)),
        ("long", chain(1_200, |next| json!({ "allOf": [next] }))),
        (
            "unevaluated",
            chain(60, |next| json!({ "allOf": [next], "unevaluatedProperties": true })),
        ),
    ];
    for (name, schema) in refused_at_once {
        let wrong = made(schema).await.expect_err(name);
        assert!(wrong.what.contains("work"), "{name}: {wrong:?}");
    }
    let by_depth = json!({ "allOf": [{ "items": { "$ref": "#" } }, { "items": { "$ref": "#" } }] });
    let unevaluated = json!({ "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" } }, "unevaluatedProperties": false });
    let wide = chain(60, |next| json!({ "properties": { "x": next, "y": next } }));
    let text = "a".repeat(200_000);
    let many: Vec<Value> = (0..60_000).map(|n| json!({ "n": n })).collect();
    let options: Vec<u32> = (0..8_000).collect();
    for (name, schema, input) in [
        ("by depth", by_depth, nested(100, |value| json!([value]))),
        ("unevaluated", unevaluated, nested(100, |value| json!({ "a": value }))),
        ("wide", wide, json!({})),
        ("a large automaton", json!({ "pattern": "[ab]*a[ab]{2000}c" }), json!(text)),
        (
            "many automata",
            json!({ "items": { "pattern": r"(\w{1,9}){1,9}b" } }),
            json!(vec![&text[..900]; 200]),
        ),
        ("unique", json!({ "uniqueItems": true }), json!(many)),
        ("a long enum", json!({ "items": { "enum": options } }), json!(vec![8_001; 60_000])),
    ] {
        // Whether it is refused for its work or for what it says: it comes to an end.
        let _ = tokio::time::timeout(PATIENCE, checked(schema, input)).await.expect(name);
    }
}

#[tokio::test]
async fn what_is_put_has_the_schema_that_is_served() {
    let served: Value = serde_json::from_str(crate::http::SAGA_SCHEMA).expect("JSON");
    let examples = include_str!("../../assets/openapi-examples.json");
    let examples: Value = serde_json::from_str(examples).expect("JSON");
    let step = json!({ "id": "a", "endpoint": "http://h/a" });
    for (document, fits) in [
        (examples["SagaRequest"].clone(), true),
        (json!({ "steps": [step] }), true),
        (json!({ "steps": [] }), false),
        (json!({}), false),
        (json!({ "steps": [{ "endpoint": "http://h/a" }] }), false),
        (json!({ "steps": [{ "id": "a" }] }), false),
        (json!({ "steps": [step], "timeout": 5 }), false),
        (json!({ "steps": [{ "id": "a", "endpoint": "http://h/a", "payload": {} }] }), false),
        (json!({ "steps": [{ "id": "a", "endpoint": "http://h/a", "timeout_ms": 1 }] }), false),
    ] {
        assert_eq!(checked(served.clone(), document.clone()).await.is_ok(), fits, "{document}");
        let request = serde_json::from_value::<SagaRequest>(document.clone()).ok();
        let taken = request.is_some_and(|request| {
            tercet_wire::check_saga(&request, &tercet_wire::Limits::default()).is_ok()
        });
        assert_eq!(taken, fits, "{document}");
    }
}
