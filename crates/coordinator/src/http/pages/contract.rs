//! The contract as it is served: what the handlers say, and what is so of every route.
//!
//! The handlers describe what is their own. What every request can meet (a fault of ours, a node
//! that starts, a body that is no JSON), how ids look, and what an example is, stands here once.

use http::Method;
use serde_json::{Map, Value, json};
use tercet_wire::ProblemCode;
use utoipa::openapi::OpenApi;

use crate::access::Role;
use crate::http::extract::params::choice;
use crate::http::response::problem::PROBLEM_JSON;
use crate::http::route_table::RouteNeeds;

/// An example of each body; a test reads each as what it is.
const EXAMPLES: &str = include_str!("../../../assets/openapi-examples.json");

/// What every request can be refused with, beside what its handler says.
const ALWAYS: &[ProblemCode] =
    &[ProblemCode::InvalidRequest, ProblemCode::HeadersTooLarge, ProblemCode::Internal];

/// What every request can that needs a connection's place.
const WITHOUT_PLACE: &[ProblemCode] = &[ProblemCode::NotReady, ProblemCode::NotAccepted];

/// What work can. Its body is read, also where none is described.
const WORK: &[ProblemCode] =
    &[ProblemCode::PayloadTooLarge, ProblemCode::UnsupportedMediaType, ProblemCode::ShuttingDown];

/// What a request about one transaction can.
const ABOUT_ONE: &[ProblemCode] = &[ProblemCode::TransactionNotFound, ProblemCode::NotOwner];

/// What a browser can be told, whatever it asks for, and what it can that changes something.
const BROWSERS: &[ProblemCode] = &[ProblemCode::HostNotAllowed];
const BROWSERS_THAT_CHANGE: &[ProblemCode] = &[ProblemCode::CrossOrigin];

/// What somebody without a token can be told, and with one whose role is too small.
const STRANGERS: &[ProblemCode] = &[ProblemCode::Unauthorized];
const SMALLER_ROLES: &[ProblemCode] = &[ProblemCode::Forbidden];

/// What a request can be refused with whatever its handler says.
fn refusals(path: &str, method: &str, role: Option<Role>) -> impl Iterator<Item = ProblemCode> {
    let asks_how_it_stands: &[ProblemCode] = match path {
        // These are answered from the first moment, and say themselves what is wrong.
        "/livez" | "/readyz" => &[],
        "/metrics" => &[ProblemCode::NotReady],
        _ => WITHOUT_PLACE,
    };
    let work = if matches!(method, "post" | "put" | "patch") { WORK } else { &[] };
    let about_one = if path.contains("{gid}") { ABOUT_ONE } else { &[] };
    let strangers = if role.is_some() { STRANGERS } else { &[] };
    // Every token has the smallest role.
    let smaller = if role > Some(Role::Viewer) { SMALLER_ROLES } else { &[] };
    let changes = if method == "get" { &[] } else { BROWSERS_THAT_CHANGE };
    let access = [strangers, smaller, changes, BROWSERS];
    let all = [ALWAYS, asks_how_it_stands, work, about_one].into_iter().chain(access);
    all.flatten().copied()
}

/// The whole contract.
pub(in crate::http) fn complete(contract: &OpenApi, needs: &RouteNeeds) -> Value {
    // What was made of plain data always becomes JSON.
    let mut contract = serde_json::to_value(contract).unwrap_or_default();
    // It was read by a test, and is no secret of the moment.
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    contract["servers"] =
        json!([{ "url": "http://127.0.0.1:7200", "description": "Where it listens by default." }]);
    for (path, item) in fields(contract.get_mut("paths")) {
        for (method, operation) in fields(Some(item)) {
            let of = method.to_ascii_uppercase().parse().unwrap_or(Method::POST);
            let role = needs.of(path, &of).role();
            complete_operation((path, method, role), operation, &examples);
        }
    }
    contract["components"]["securitySchemes"] = json!({ "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token that `tercet token new` has made, or of the issuer that the daemon trusts. A \
                        daemon that knows none of either asks nobody for one; one that asks clients for certificates \
                        and knows this one's name needs none.",
    } });
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
    (path, method, role): (&str, &str, Option<Role>),
    operation: &mut Value,
    examples: &Map<String, Value>,
) {
    operation["security"] = match role {
        Some(_) => json!([{ "bearer": [] }]),
        None => json!([]),
    };
    if let Some(role) = role {
        let about = operation["description"].as_str().unwrap_or_default();
        operation["description"] = format!("{about}\n\nTakes the role `{role}`.").trim().into();
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        complete_parameter(parameter);
    }
    for code in refusals(path, method, role) {
        let response = &mut operation["responses"][code.status().to_string()];
        if response.is_null() {
            *response = problem();
        }
        let mut codes = codes_of(response);
        if !codes.iter().any(|known| known == code.as_str()) {
            codes.push(code.as_str().to_owned());
        }
        response["description"] = listed(&codes).into();
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
        let first = words.first().copied().map(Value::from);
        // Made clients get a type of it.
        parameter["schema"] = json!({ "type": "string", "enum": words });
        parameter["example"] = first.unwrap_or_default();
        return;
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
        "name" => {
            parameter["schema"] = id(64);
            json!("trip")
        }
        "version" => json!(1),
        "code" => json!("gid-reused"),
        "status" => json!("confirming,cancelling"),
        "who" => json!("alice"),
        "parked" | "open" | "despite_hold" => json!(true),
        "reason" => json!("try-refused,deadline"),
        "gid_prefix" => json!("order-"),
        "participant" => {
            parameter["schema"] = json!({
                "type": "string", "maxLength": 259, "pattern": "^.+:[0-9]{1,5}$",
            });
            json!("127.0.0.1:7302")
        }
        "created_after" | "created_before" | "since" => {
            parameter["schema"]["format"] = "date-time".into();
            json!("2026-11-20T12:00:00Z")
        }
        "limit" => json!(50),
        "wait_ms" => json!(10_000),
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

/// The codes that a response is described by, each in backticks.
fn codes_of(response: &Value) -> Vec<String> {
    let description = response["description"].as_str().unwrap_or_default();
    description.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// `a`, `b` or `c`.
fn listed(codes: &[String]) -> String {
    let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    match codes.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn problem() -> Value {
    json!({
        "description": "",
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
    if status == "401" {
        response["headers"]["WWW-Authenticate"] = json!({
            "description": "How to say who asks (RFC 6750).",
            "required": true,
            "schema": { "type": "string" },
            "example": "Bearer",
        });
    }
    let code = codes_of(response).into_iter().next().unwrap_or_default();
    let mut shows_transaction = false;
    for (kind, content) in fields(response.get_mut("content")) {
        let name = schema_name(&content["schema"]).to_owned();
        shows_transaction |=
            matches!(name.as_str(), "TransactionView" | "RegisteredView" | "BranchView");
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
    if shows_transaction && matches!(path, "/v1/transactions" | "/v1/sagas/{name}/runs") {
        response["headers"]["Location"] = json!({
            "description": "Where the transaction is found, relative to this request's address (RFC 3986).",
            "required": true,
            "schema": { "type": "string", "format": "uri-reference" },
            "example": match path {
                "/v1/transactions" => "transactions/order-1001",
                _ => "../../transactions/order-1001",
            },
        });
    }
}

/// A problem of this code.
fn example_of(code: &str, status: &str, path: &str) -> Value {
    let Ok(code) = code.parse::<ProblemCode>() else { return Value::Null };
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
        AuditEntryView, BeginRequest, BegunJobView, BranchRequest, BranchView, BranchesView,
        CancelRequest, EventView, JobRequest, JobView, ListedJobView, ListedSagaView, MatchedView,
        Page, ParticipantView, ParticipantsView, PauseRequest, PausedParticipantView,
        ReaddressRequest, RegisterRequest, ResolveRequest, RetriedView, RunRequest, SagaRequest,
        SagaView, StatsView, SummaryView, TransactionView,
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
        is_one::<ReaddressRequest>("ReaddressRequest");
        is_one::<ResolveRequest>("ResolveRequest");
        is_one::<TransactionView>("TransactionView");
        is_one::<BranchView>("BranchView");
        is_one::<BranchesView>("RegisteredView");
        is_one::<RegisterRequest>("RegisterRequest");
        is_one::<SummaryView>("SummaryView");
        is_one::<EventView>("EventView");
        is_one::<Page<SummaryView>>("Page_SummaryView");
        is_one::<Page<EventView>>("Page_EventView");
        is_one::<Page<AuditEntryView>>("Page_AuditEntryView");
        is_one::<ParticipantView>("ParticipantView");
        is_one::<PausedParticipantView>("PausedParticipantView");
        is_one::<ParticipantsView>("ParticipantsView");
        is_one::<PauseRequest>("PauseRequest");
        is_one::<StatsView>("StatsView");
        is_one::<RetriedView>("RetriedView");
        is_one::<SagaRequest>("SagaRequest");
        is_one::<SagaView>("SagaView");
        is_one::<RunRequest>("RunRequest");
        is_one::<Page<ListedSagaView>>("Page_ListedSagaView");
        is_one::<JobRequest>("JobRequest");
        is_one::<MatchedView>("MatchedView");
        is_one::<BegunJobView>("BegunJobView");
        is_one::<JobView>("JobView");
        is_one::<Page<ListedJobView>>("Page_ListedJobView");
    }
}
