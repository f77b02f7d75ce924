//! Definitions of sagas: versions, runs of them, and what becomes of runs when a definition changes.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet};
use tercet_wire::Op;

use crate::bodies::with;
use crate::expected::{problem, transaction};

/// A definition of these steps, one after the other.
pub(crate) fn definition(at: &Participant, steps: &[&str]) -> Value {
    let step = |id: &&str| {
        json!({
            "id": id, "action": at.url(&format!("/{id}/book")),
            "compensate": at.url(&format!("/{id}/release")), "timeout_ms": 25_000,
        })
    };
    json!({ "steps": steps.iter().map(step).collect::<Vec<Value>>() })
}

pub(crate) async fn put(client: &Client, name: &str, document: &Value) -> Response {
    let path = format!("/v1/sagas/{name}");
    client.send(Method::PUT, &path, Some(&document.to_string())).await
}

pub(crate) async fn run(client: &Client, name: &str, query: &str, body: &str) -> Response {
    client.send(Method::POST, &format!("/v1/sagas/{name}/runs{query}"), Some(body)).await
}

async fn get(client: &Client, path: &str) -> Response {
    client.send(Method::GET, path, None).await
}

async fn retire(client: &Client, name: &str) -> Response {
    client.send(Method::DELETE, &format!("/v1/sagas/{name}"), None).await
}

/// Whether an answer shows this version.
fn version(response: &Response, status: u16, version: u64) {
    let found = (response.status, response.field("version").as_u64());
    assert_eq!(found, (status, Some(version)), "{}", response.text);
}

/// The steps that were called, in their order.
fn called(at: &Participant) -> Vec<String> {
    at.calls().iter().map(|call| format!("{} {}", call.branch, call.op)).collect()
}

#[tokio::test]
async fn a_put_is_a_version_unless_nothing_changed() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let one = definition(&participant, &["flight"]);
    let two = definition(&participant, &["flight", "hotel"]);
    version(&put(&client, "trip", &one).await, 201, 1);
    version(&put(&client, "trip", &one).await, 200, 1);
    let told = with(one.clone(), json!({ "timeout_ms": 3_600_000, "input_schema": null }));
    version(&put(&client, "trip", &told).await, 200, 1);
    version(&put(&client, "trip", &two).await, 201, 2);
    // As it was before the last is another change.
    version(&put(&client, "trip", &one).await, 201, 3);
    version(&put(&client, "Trip", &one).await, 201, 1);
    version(&get(&client, "/v1/sagas/trip").await, 200, 3);
    let second = get(&client, "/v1/sagas/trip?version=2").await;
    version(&second, 200, 2);
    assert_eq!(second.json["steps"], two["steps"]);
    for path in ["/v1/sagas/tour", "/v1/sagas/trip?version=4"] {
        problem(&get(&client, path).await, "saga-not-found", None);
    }
    for path in ["/v1/sagas/-", "/v1/sagas/trip?version=0", "/v1/sagas/trip?versions=1"] {
        problem(&get(&client, path).await, "invalid-request", None);
    }
    let listed = get(&client, "/v1/sagas?limit=1").await;
    let item =
        |name: &str, version: u64| json!({ "name": name, "version": version, "retired_at": null });
    assert_eq!(listed.json["items"], json!([item("Trip", 1)]));
    let cursor = listed.word("next_cursor");
    let rest = get(&client, &format!("/v1/sagas?cursor={cursor}")).await;
    assert_eq!(rest.json, json!({ "items": [item("trip", 3)], "next_cursor": null }));
    problem(&get(&client, "/v1/sagas?cursor=x").await, "invalid-request", None);
}

#[tokio::test]
async fn what_is_wrong_with_a_document_has_a_pointer() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let one = definition(&participant, &["flight"]);
    let schema = |schema: Value| with(one.clone(), json!({ "input_schema": schema }));
    for (document, pointer) in [
        (json!({ "step": [] }), "/step"),
        (json!({}), "/steps"),
        (json!({ "steps": [{ "id": "a", "action": "x" }] }), "/steps/0/action"),
        (json!({ "steps": [{ "action": "http://h/" }] }), "/steps/0/id"),
        (schema(json!({ "type": "strin" })), "/input_schema/type"),
        (
            schema(json!({ "properties": { "a": { "$ref": "http://h/" } } })),
            "/input_schema/properties/a/$ref",
        ),
        (schema(json!([])), "/input_schema"),
        (schema(json!("x")), "/input_schema"),
    ] {
        let refused = put(&client, "trip", &document).await;
        problem(&refused, "invalid-request", None);
        assert_eq!(refused.word("pointer"), pointer, "{}", refused.text);
    }
    assert_eq!(get(&client, "/v1/sagas").await.json["items"], json!([]));
    let served = get(&client, "/schemas/saga.json").await;
    assert_eq!(served.header("content-type"), "application/schema+json");
    assert_eq!(served.json["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[tokio::test]
async fn an_input_goes_to_each_step_and_must_fit() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let schema = json!({
        "type": "object", "required": ["seats"],
        "properties": { "seats": { "type": "integer", "maximum": 9 } },
    });
    let document = with(definition(&participant, &["flight"]), json!({ "input_schema": schema }));
    let document = with(document, json!({ "timeout_ms": 60_000 }));
    put(&client, "trip", &document).await;
    for (body, pointer) in [
        (r#"{"input":{"seats":"two"}}"#, "/input/seats"),
        (r#"{"input":{"seats":10}}"#, "/input/seats"),
        (r#"{"input":{}}"#, "/input/seats"),
        ("{}", "/input/seats"),
        (r#"{"input":null}"#, "/input"),
        (r#"{"inputs":{}}"#, "/inputs"),
        (r#"{"gid":"-","input":{"seats":1}}"#, "/gid"),
        (r#"{"version":0,"input":{"seats":1}}"#, "/version"),
    ] {
        let refused = run(&client, "trip", "", body).await;
        problem(&refused, "invalid-request", None);
        assert_eq!(refused.word("pointer"), pointer, "{}", refused.text);
    }
    assert_eq!(participant.calls().len(), 0);
    let body = r#"{"gid":"t-1","input": {"seats": 2 ,"note":"\u00e9"},"metadata":{"a":1}}"#;
    let confirmed = run(&client, "trip", "", body).await;
    transaction(&confirmed, 201, "confirmed");
    assert_eq!(confirmed.field("saga"), &json!({ "name": "trip", "version": 1 }));
    assert_eq!((confirmed.word("pattern"), confirmed.word("gid")), ("saga", "t-1"));
    assert_eq!(confirmed.field("metadata"), &json!({ "a": 1 }));
    assert_eq!(confirmed.header("location"), "../../transactions/t-1");
    assert!(participant.calls()[0].body.contains(r#"{"seats": 2 ,"note":"\u00e9"}"#));
    assert_eq!(client.get("t-1").await.field("saga"), &json!({ "name": "trip", "version": 1 }));
    // Without a schema anything goes, and nothing is an empty object.
    put(&client, "any", &definition(&participant, &["car"])).await;
    transaction(&run(&client, "any", "", "{}").await, 201, "confirmed");
    transaction(&run(&client, "any", "", r#"{"input":[7]}"#).await, 201, "confirmed");
    problem(&run(&client, "tour", "", "{}").await, "saga-not-found", None);
    problem(&run(&client, "any", "", r#"{"version":2}"#).await, "saga-not-found", None);
}

/// Keeps P2, P5.
#[tokio::test]
async fn a_run_goes_on_with_its_version_whatever_is_put() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    let client = tercet.client();
    put(&client, "trip", &definition(&participant, &["flight", "hotel"])).await;
    let never = Gate::closed();
    participant.next("hotel", Op::Try, [Reaction::status(200).behind(&never)]);
    let body = r#"{"gid":"old","input":{"a":1}}"#;
    transaction(&run(&client, "trip", "?wait=accepted", body).await, 201, "trying");
    participant.called("hotel", Op::Try, 1).await;
    version(&put(&client, "trip", &definition(&participant, &["car"])).await, 201, 2);
    let newer = run(&client, "trip", "", r#"{"gid":"new"}"#).await;
    transaction(&newer, 201, "confirmed");
    assert_eq!(newer.field("saga")["version"], 2);
    let repeat = run(&client, "trip", "?wait=accepted", body).await;
    transaction(&repeat, 200, "trying");
    assert_eq!(repeat.field("saga")["version"], 1);
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    let finished = client.finished("old").await;
    transaction(&finished, 200, "confirmed");
    assert_eq!(finished.field("saga"), &json!({ "name": "trip", "version": 1 }));
    assert_eq!(called(&participant), ["flight try", "hotel try", "car try", "hotel try"]);
    version(&get(&client, "/v1/sagas/trip").await, 200, 2);
}

/// Keeps P2.
#[tokio::test]
async fn a_repeat_is_compared_with_the_version_it_runs_with() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let needs = |what: &str| json!({ "input_schema": { "required": [what] } });
    let first = with(definition(&participant, &["flight"]), needs("a"));
    let second = with(definition(&participant, &["flight"]), needs("b"));
    put(&client, "trip", &first).await;
    let body = r#"{"gid":"t-1","input":{"a":1}}"#;
    transaction(&run(&client, "trip", "", body).await, 201, "confirmed");
    put(&client, "trip", &second).await;
    // What the newest takes does not matter to it.
    transaction(&run(&client, "trip", "", body).await, 200, "confirmed");
    let with_version = |version: u32, input: &str| {
        format!(r#"{{"gid":"t-1","version":{version},"input":{input}}}"#)
    };
    let one = r#"{"a":1}"#;
    transaction(&run(&client, "trip", "", &with_version(1, one)).await, 200, "confirmed");
    let other = r#"{"a":1,"b":2}"#;
    for body in [with_version(2, other), format!(r#"{{"gid":"t-1","input":{other}}}"#)] {
        problem(&run(&client, "trip", "", &body).await, "gid-reused", Some("t-1"));
    }
    // Another saga, and none.
    put(&client, "tour", &first).await;
    problem(&run(&client, "tour", "", body).await, "gid-reused", Some("t-1"));
    let plain = json!({ "gid": "t-1", "pattern": "saga", "branches": first["steps"] });
    problem(&client.begin("", &plain.to_string()).await, "gid-reused", Some("t-1"));
    assert_eq!(retire(&client, "trip").await.status, 204);
    transaction(&run(&client, "trip", "", body).await, 200, "confirmed");
    transaction(&run(&client, "trip", "", &with_version(1, one)).await, 200, "confirmed");
    assert_eq!(participant.calls_of("flight", Op::Try).len(), 1);
}

#[tokio::test]
async fn what_is_retired_begins_no_more_and_what_runs_goes_on() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    let client = tercet.client();
    let one = definition(&participant, &["flight"]);
    put(&client, "trip", &one).await;
    let gate = Gate::closed();
    participant.next("flight", Op::Try, [Reaction::status(200).behind(&gate)]);
    run(&client, "trip", "?wait=accepted", r#"{"gid":"runs"}"#).await;
    participant.called("flight", Op::Try, 1).await;
    assert_eq!(retire(&client, "trip").await.status, 204);
    assert_eq!(retire(&client, "trip").await.status, 204, "it is safe to repeat");
    problem(&retire(&client, "tour").await, "saga-not-found", None);
    for body in ["{}", r#"{"version":1}"#, r#"{"gid":"other"}"#] {
        problem(&run(&client, "trip", "", body).await, "saga-retired", None);
    }
    gate.open();
    transaction(&client.finished("runs").await, 200, "confirmed");
    let shown = get(&client, "/v1/sagas/trip").await;
    version(&shown, 200, 1);
    assert!(shown.field("retired_at").is_string(), "{}", shown.text);
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    problem(&run(&client, "trip", "", "{}").await, "saga-retired", None);
    // Anew, with the next version, although nothing changed.
    version(&put(&client, "trip", &one).await, 201, 2);
    transaction(&run(&client, "trip", "", "{}").await, 201, "confirmed");
    problem(&run(&client, "trip", "", r#"{"version":1}"#).await, "saga-retired", None);
    let audit = get(&client, "/v1/audit").await;
    let entries = audit.json["items"].as_array().expect("items").iter();
    let entries: Vec<(&Value, &Value)> =
        entries.map(|entry| (&entry["action"], &entry["detail"])).collect();
    let of = |version: u32| json!({ "saga": "trip", "version": version });
    let expected =
        [(json!("saga-put"), of(2)), (json!("saga-retire"), of(1)), (json!("saga-put"), of(1))];
    let expected: Vec<(&Value, &Value)> =
        expected.iter().map(|(action, detail)| (action, detail)).collect();
    assert_eq!(entries, expected);
}

#[tokio::test]
async fn headers_of_steps_are_sent_and_never_shown() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let step = json!({
        "id": "flight", "action": participant.url("/book"), "headers": { "X-Key": "s3cret" },
    });
    let document = json!({ "steps": [step] });
    let told = put(&client, "trip", &document).await;
    for shown in [told, get(&client, "/v1/sagas/trip").await] {
        assert_eq!(shown.json["steps"][0]["headers"], json!(["X-Key"]));
        assert!(!shown.text.contains("s3cret"), "{}", shown.text);
    }
    transaction(&run(&client, "trip", "", "{}").await, 201, "confirmed");
    assert_eq!(participant.calls()[0].headers["x-key"], "s3cret");
    assert!(!get(&client, "/v1/audit").await.text.contains("s3cret"));
    assert!(!tercet.log().contains("s3cret"));
    let metrics = get(&client, "/metrics").await.text;
    let counted =
        "tercet_saga_steps_total{saga=\"trip\",step=\"flight\",op=\"try\",result=\"done\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    let timed = "tercet_saga_step_duration_seconds_count{saga=\"trip\",step=\"flight\"} 1";
    assert!(metrics.contains(timed), "{metrics}");
}

#[tokio::test]
async fn writers_at_once_lose_nothing_and_make_no_version_twice() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let mut putting = tokio::task::JoinSet::new();
    for n in 0..16 {
        let client = client.clone();
        let document =
            with(definition(&participant, &["flight"]), json!({ "timeout_ms": 60_000 + n }));
        putting.spawn(async move { put(&client, "trip", &document).await });
    }
    let mut versions: Vec<u64> = Vec::new();
    for told in putting.join_all().await {
        assert_eq!(told.status, 201, "{}", told.text);
        versions.push(told.field("version").as_u64().expect("a number"));
        let of_it = format!("/v1/sagas/trip?version={}", told.field("version"));
        assert_eq!(get(&client, &of_it).await.json, told.json);
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=16).collect::<Vec<u64>>());
}
