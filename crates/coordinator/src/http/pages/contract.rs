//! The contract as it is served: what the handlers say, and what is so of every route.
//!
//! The handlers describe what is their own. What every request can meet (a fault of ours, a node
//! that starts, a body that is no JSON), how ids look, and what an example is, stands here once.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::http::extract::params::choice;
use crate::http::response::problem::PROBLEM_JSON;

/// An example of each body; a test reads each as what it is.
const EXAMPLES: &str = include_str!("../../../assets/openapi-examples.json");

/// What every answer to a request can be, beside what its handler says.
const ALWAYS: &[(&str, &str)] = &[
    ("400", "`invalid-request`"),
    ("431", "`headers-too-large`"),
    ("500", "`internal`"),
    ("503", "`not-ready` or `not-accepted`"),
];

/// What an answer to a request with a body can be.
const WITH_BODY: &[(&str, &str)] =
    &[("413", "`payload-too-large`"), ("415", "`unsupported-media-type`")];

/// What an answer about one transaction can be.
const ABOUT_ONE: &[(&str, &str)] = &[("404", "`transaction-not-found`"), ("421", "`not-owner`")];

/// The whole contract.
pub(in crate::http) fn complete(contract: &OpenApi) -> Value {
    // What was made of plain data always becomes JSON.
    let mut contract = serde_json::to_value(contract).unwrap_or_default();
    // It was read by a test, and is no secret of the moment.
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    contract["servers"] =
        json!([{ "url": "http://127.0.0.1:7200", "description": "Where it listens by default." }]);
    for (path, item) in fields(contract.get_mut("paths")) {
        for (method, operation) in fields(Some(item)) {
            complete_operation(path, method, operation, &examples);
        }
    }
    for (name, schema) in fields(contract.pointer_mut("/components/schemas")) {
        if let Some(of) = name.strip_prefix("Page_") {
            let items = &mut schema["properties"]["items"]["items"];
            *items = json!({ "$ref": format!("#/components/schemas/{of}") });
        }
        if let Some(example) = examples.get(name) {
            schema["examples"] = json!([example]);
        }
    }
    contract
}

fn complete_operation(
    path: &str,
    method: &str,
    operation: &mut Value,
    examples: &Map<String, Value>,
) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        complete_parameter(parameter);
    }
    let takes_body = operation.get("requestBody").is_some();
    let about_one = path.contains("{gid}");
    let mut answers: Vec<_> = ALWAYS.to_vec();
    // A body where none is described is read all the same.
    answers.extend_from_slice(if takes_body || method == "post" { WITH_BODY } else { &[] });
    answers.extend_from_slice(if about_one { ABOUT_ONE } else { &[] });
    for (status, description) in answers {
        let known = operation["responses"].get(status).is_some();
        if !known {
            operation["responses"][status] = problem(description);
        } else if status == "503" {
            let description = operation["responses"][status]["description"].as_str();
            let both = format!(
                "{}, `not-ready` or `not-accepted`",
                description.unwrap_or_default().replace(" or ", ", ")
            );
            operation["responses"][status]["description"] = both.into();
        }
    }
    for (status, response) in fields(operation.get_mut("responses")) {
        complete_response(path, status, response, examples);
    }
    for (_, content) in fields(operation.pointer_mut("/requestBody/content")) {
        let name = schema_name(&content["schema"]).to_owned();
        if let Some(example) = examples.get(&name) {
            content["example"] = example.clone();
        }
    }
}

fn complete_parameter(parameter: &mut Value) {
    let pattern = parameter["schema"]["pattern"].as_str();
    if let Some(words) = pattern.and_then(choice) {
        // Made clients get a type of it.
        parameter["schema"] = json!({ "type": "string", "enum": words });
    }
    let example = match parameter["name"].as_str().unwrap_or_default() {
        "gid" => {
            parameter["schema"] = id(128);
            json!("order-1001")
        }
        "id" => {
            parameter["schema"] = id(64);
            json!("payment")
        }
        "code" => json!("gid-reused"),
        "status" => json!("confirming,cancelling"),
        "parked" => json!(true),
        "participant" => json!("127.0.0.1:7302"),
        "created_after" | "created_before" => {
            parameter["schema"]["format"] = "date-time".into();
            json!("2026-11-20T12:00:00Z")
        }
        "limit" => json!(50),
        "wait_ms" => json!(10_000),
        "wait" => json!("decided"),
        "if_unknown" => json!("refuse"),
        "traceparent" => {
            parameter["schema"] = json!({ "type": "string" });
            json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        }
        _ => return,
    };
    parameter["example"] = example;
}

fn id(longest: u32) -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": longest,
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
    })
}

fn problem(description: &str) -> Value {
    json!({
        "description": description,
        "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn complete_response(
    path: &str,
    status: &str,
    response: &mut Value,
    examples: &Map<String, Value>,
) {
    if matches!(status, "429" | "503") {
        response["headers"]["Retry-After"] = json!({
            "description": "Seconds after which to ask again.",
            "required": true,
            "schema": { "type": "integer", "minimum": 1 },
            "example": 1,
        });
    }
    let description = response["description"].as_str().unwrap_or_default();
    let code = description.split('`').nth(1).unwrap_or_default().to_owned();
    let mut shows_transaction = false;
    for (kind, content) in fields(response.get_mut("content")) {
        let name = schema_name(&content["schema"]).to_owned();
        shows_transaction |= matches!(name.as_str(), "TransactionView" | "BranchView");
        if kind == PROBLEM_JSON {
            content["example"] = example_of(&code, status, path);
        } else if let Some(example) = examples.get(&name) {
            content["example"] = example.clone();
        } else if kind == "text/plain" {
            content["example"] = "ok\n".into();
        }
    }
    if shows_transaction {
        response["headers"]["Tercet-Status"] = json!({
            "description": "The transaction's status.",
            "required": true,
            "schema": { "$ref": "#/components/schemas/Status" },
            "example": "confirmed",
        });
    }
    if shows_transaction && path == "/v1/transactions" {
        response["headers"]["Location"] = json!({
            "description": "Where the transaction is found, relative to this request's address (RFC 3986).",
            "required": true,
            "schema": { "type": "string", "format": "uri-reference" },
            "example": "transactions/order-1001",
        });
    }
}

/// A problem of this code.
fn example_of(code: &str, status: &str, path: &str) -> Value {
    let Ok(code) = code.parse::<tercet_wire::ProblemCode>() else { return Value::Null };
    let mut problem = tercet_wire::Problem::new(code, code.title());
    debug_assert_eq!(problem.status.to_string(), status, "{path}: {code}");
    if path.contains("{gid}") {
        problem.gid = "order-1001".parse().ok();
    }
    serde_json::to_value(problem).unwrap_or_default()
}

fn schema_name(schema: &Value) -> &str {
    let direct = schema["$ref"].as_str();
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let name = direct.or_else(|| choices.filter_map(|choice| choice["$ref"].as_str()).next());
    name.and_then(|name| name.rsplit('/').next()).unwrap_or_default()
}

fn fields(value: Option<&mut Value>) -> impl Iterator<Item = (&str, &mut Value)> {
    let fields = value.and_then(Value::as_object_mut).into_iter().flatten();
    fields.map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use tercet_wire::{
        BeginRequest, BranchRequest, BranchView, CancelRequest, EventView, Page, ParticipantsView,
        ResolveRequest, RetriedView, StatsView, SummaryView, TransactionView,
    };

    use super::*;

    /// What is read and written again is the same, so it has no field too many and none too few.
    #[track_caller]
    fn is_one<T: DeserializeOwned + Serialize>(name: &str) {
        let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).expect("JSON");
        let example = examples[name].clone();
        let read: T = serde_json::from_str(&example.to_string()).expect(name);
        assert_eq!(serde_json::to_value(read).expect("JSON"), example, "{name}");
    }

    #[test]
    fn each_example_is_what_it_is_an_example_of() {
        is_one::<BeginRequest>("BeginRequest");
        is_one::<BranchRequest>("BranchRequest");
        is_one::<CancelRequest>("CancelRequest");
        is_one::<ResolveRequest>("ResolveRequest");
        is_one::<TransactionView>("TransactionView");
        is_one::<BranchView>("BranchView");
        is_one::<SummaryView>("SummaryView");
        is_one::<EventView>("EventView");
        is_one::<Page<SummaryView>>("Page_SummaryView");
        is_one::<Page<EventView>>("Page_EventView");
        is_one::<ParticipantsView>("ParticipantsView");
        is_one::<StatsView>("StatsView");
        is_one::<RetriedView>("RetriedView");
    }
}
