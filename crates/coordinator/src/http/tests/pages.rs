//! The contract as tools and people see it, and what is counted.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde::Serialize;
use serde_json::Value;
use tercet_engine::{Refusal, Reply};
use tercet_wire::{
    Action, BranchStatus, BreakerState, CallOp, EventKind, JobAction, JobState, Op, Pattern,
    ProblemCode, Reason, ResolvedAs, Status, TryBy,
};

use super::face::Face;

#[tokio::test]
async fn the_contract_is_openapi_3_1_and_names_every_route() {
    let answer = Face::gone().await.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let contract = answer.json();
    assert!(contract["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    for (path, methods) in [
        ("/v1/transactions", &["get", "post"][..]),
        ("/v1/transactions/{gid}", &["get"]),
        ("/v1/transactions/{gid}/branches", &["post"]),
        ("/v1/transactions/{gid}/confirm", &["post"]),
        ("/v1/transactions/{gid}/cancel", &["post"]),
        ("/v1/transactions/{gid}/events", &["get"]),
        ("/livez", &["get"]),
        ("/readyz", &["get"]),
        ("/metrics", &["get"]),
    ] {
        let found = contract["paths"][path].as_object().unwrap_or_else(|| panic!("{path}"));
        assert!(found.keys().eq(methods), "{path}: {:?}", found.keys());
    }
    let begin = &contract["components"]["schemas"]["BeginRequest"]["properties"];
    for field in ["gid", "branches", "open", "timeout_ms", "metadata"] {
        assert!(begin[field].is_object(), "{field}");
    }
}

/// Every enumeration of the contract, and its words on the wire.
#[tokio::test]
async fn every_enumeration_has_the_words_that_are_on_the_wire() {
    fn on_the_wire<T: Serialize>(all: &[T]) -> Vec<Value> {
        all.iter().map(|one| serde_json::to_value(one).expect("JSON")).collect()
    }
    let contract = Face::gone().await.get("/openapi.json").await.json();
    let schemas = contract["components"]["schemas"].as_object().expect("schemas");
    let described = schemas.iter().filter_map(|(name, schema)| {
        Some((name.as_str(), schema.get("enum")?.as_array()?.clone()))
    });
    let expected = [
        ("Action", on_the_wire(Action::ALL)),
        ("BranchStatus", on_the_wire(BranchStatus::ALL)),
        ("BreakerState", on_the_wire(BreakerState::ALL)),
        ("CallOp", on_the_wire(&CallOp::ALL)),
        ("EventKind", on_the_wire(EventKind::ALL)),
        ("JobAction", on_the_wire(JobAction::ALL)),
        ("JobState", on_the_wire(JobState::ALL)),
        ("Op", on_the_wire(&Op::ALL)),
        ("Pattern", on_the_wire(Pattern::ALL)),
        ("ProblemCode", on_the_wire(ProblemCode::ALL)),
        ("Reason", on_the_wire(Reason::ALL)),
        ("ResolvedAs", on_the_wire(ResolvedAs::ALL)),
        ("Status", on_the_wire(Status::ALL)),
        ("TryBy", on_the_wire(TryBy::ALL)),
    ];
    assert_eq!(described.collect::<Vec<_>>(), expected);
    for (name, schema) in schemas {
        let is_variant = |word: &Value| {
            word.as_str().is_some_and(|word| word.chars().any(|c| c.is_ascii_uppercase()))
        };
        let words = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        assert!(!words.into_iter().any(is_variant), "{name} names values of the code's");
    }
}

/// Generators of clients name their functions so; two of one name are one.
#[tokio::test]
async fn every_operation_has_a_name_of_its_own() {
    let contract = Face::gone().await.get("/openapi.json").await.json();
    let mut names = BTreeSet::new();
    for item in contract["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("methods").values() {
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            assert!(names.insert(name.clone()), "two are called {name}");
        }
    }
}

#[tokio::test]
async fn every_route_has_examples_and_says_what_can_go_wrong() {
    let contract = Face::gone().await.get("/openapi.json").await.json();
    let paths = contract["paths"].as_object().expect("paths");
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("methods") {
            let name = format!("{method} {path}");
            let responses = operation["responses"].as_object().expect("responses");
            for status in ["400", "431", "500", "503"] {
                assert!(responses.contains_key(status), "{name}: {status}");
            }
            if method == "post" {
                assert!(responses.contains_key("413") && responses.contains_key("415"), "{name}");
            }
            for (status, response) in responses {
                let content = response["content"].as_object();
                assert_eq!(content.is_none(), status == "204", "{name} {status}");
                for (kind, content) in content.into_iter().flatten() {
                    let example = &content["example"];
                    assert!(!example.is_null(), "{name} {status} {kind} has no example");
                    if kind == "application/problem+json" {
                        assert_eq!(example["status"].to_string(), *status, "{name}");
                    }
                }
            }
            let body = &operation["requestBody"]["content"]["application/json"];
            assert_eq!(body.is_null(), body["example"].is_null(), "{name}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let is_cursor = parameter["name"] == "cursor";
                assert!(is_cursor || !parameter["example"].is_null(), "{name}: {parameter}");
                let words = parameter["schema"]["enum"].as_array();
                let is_one = words.is_none_or(|words| words.contains(&parameter["example"]));
                assert!(is_one, "{name}: {parameter}");
            }
        }
    }
    let begin = &contract["paths"]["/v1/transactions"]["post"]["responses"]["201"]["headers"];
    assert!(begin["Location"].is_object() && begin["Tercet-Status"].is_object(), "{begin}");
    let attempts = &contract["components"]["schemas"]["Attempts"]["properties"]["try"];
    assert_eq!(attempts["type"], "integer", "{attempts}");
}

#[tokio::test]
async fn a_jobs_filter_is_described_as_that_of_a_list() {
    let contract = Face::gone().await.get("/openapi.json").await.json();
    let schemas = &contract["components"]["schemas"];
    let filter = schemas["JobRequest"]["properties"]["filter"].to_string();
    assert!(filter.contains("#/components/schemas/JobFilter"), "{filter}");
    let described = &schemas["JobFilter"]["properties"];
    let retry = &contract["paths"]["/v1/retry"]["post"]["parameters"];
    let of_a_list: BTreeSet<&str> = retry
        .as_array()
        .expect("parameters")
        .iter()
        .filter_map(|parameter| parameter["name"].as_str())
        .collect();
    let names: BTreeSet<&str> =
        described.as_object().expect("fields").keys().map(String::as_str).collect();
    assert_eq!(names, of_a_list);
    for (name, field) in described.as_object().expect("fields") {
        assert!(field["description"].is_string() || name == "pattern", "{name}: {field}");
    }
    assert!(!schemas["JobFilter"]["additionalProperties"].is_null(), "metadata.KEY");
}

/// The descriptions of refusals are lists of codes, which people and the examples go by.
#[tokio::test]
async fn every_refusal_is_described_by_codes_of_its_status_once() {
    let contract = Face::gone().await.get("/openapi.json").await.json();
    let described = |path: &str, method: &str, status: &str| {
        let response = &contract["paths"][path][method]["responses"][status];
        response["description"].as_str().unwrap_or_default().to_owned()
    };
    let mut count = 0;
    for (path, item) in contract["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            for (status, response) in operation["responses"].as_object().expect("responses") {
                if response["content"]["application/problem+json"].is_null() {
                    continue;
                }
                let text = described(path, method, status);
                let name = format!("{method} {path} {status}: {text}");
                let codes: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
                let between: Vec<&str> = text.split('`').step_by(2).collect();
                assert!(!codes.is_empty(), "{name}");
                for (at, code) in codes.iter().enumerate() {
                    let code: ProblemCode = code.parse().unwrap_or_else(|_| panic!("{name}"));
                    assert_eq!(code.status().to_string(), *status, "{name}");
                    assert!(!codes[..at].contains(&code.as_str()), "{name} is doubled");
                    let before = match at {
                        0 => "",
                        _ if at + 1 == codes.len() => " or ",
                        _ => ", ",
                    };
                    assert_eq!(between[at], before, "{name}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 100, "{count}");
    for (path, method, text) in [
        ("/livez", "get", "`not-live`"),
        ("/readyz", "get", "`not-ready`, `not-live`, `shutting-down` or `journal-unavailable`"),
        ("/metrics", "get", "`not-ready`"),
        ("/v1/participants", "get", "`journal-unavailable`, `not-ready` or `not-accepted`"),
        ("/v1/stats", "get", "`journal-unavailable`, `not-ready` or `not-accepted`"),
        (
            "/v1/transactions",
            "post",
            "`journal-unavailable`, `owner-unreachable`, `not-accepted`, `shutting-down` or `not-ready`",
        ),
        (
            "/v1/transactions/{gid}/retry",
            "post",
            "`journal-unavailable`, `owner-unreachable`, `shutting-down`, `not-ready` or `not-accepted`",
        ),
    ] {
        assert_eq!(described(path, method, "503"), text, "{method} {path}");
    }
}

#[tokio::test]
async fn every_reference_in_the_contract_leads_somewhere() {
    let contract = Face::gone().await.get("/openapi.json").await.json();
    let text = contract.to_string();
    let names = text.split("#/components/schemas/").skip(1);
    let names = names.map(|rest| rest.split('"').next().unwrap_or_default());
    let mut count = 0;
    for name in names {
        assert!(contract["components"]["schemas"][name].is_object(), "{name} is nowhere");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[tokio::test]
async fn the_readable_page_shows_what_the_contract_says_and_loads_nothing() {
    let page = Face::gone().await.get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for shown in [
        "POST /v1/transactions/{gid}/branches",
        "at most 4 KiB",
        "<code>wait_ms</code>",
        "From 0 to 60000. Default 10000.",
        "id=\"TransactionView\"",
        "<code>tries-outstanding</code>",
    ] {
        assert!(page.text.contains(shown), "{shown}");
    }
    for loaded in ["<script", "src=", "@import", "url(", "<link"] {
        assert!(!page.text.contains(loaded), "{loaded}");
    }
}

#[tokio::test]
async fn every_route_has_a_label_of_its_own() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let face = Face::gone().await;
    let contract = face.get("/openapi.json").await.json();
    let mut routes: Vec<&str> =
        contract["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    routes.extend(["/openapi.json", "/docs", "/problems", "/problems/{code}"]);
    for route in &routes {
        face.get(&route.replace(['{', '}'], "")).await;
    }
    let text = handle.render();
    for route in routes {
        let counted = format!("tercet_http_requests_total{{route=\"{route}\",status=");
        assert!(text.contains(&counted), "{route} is missing in\n{text}");
    }
    assert!(!text.contains("requests_total{route=\"unmatched\""), "{text}");
}

/// Keeps P9.
#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Tests run on a thread each, and so does this test's runtime.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let face = Face::new(|_| Some(Reply::Refused(Refusal::NotFound))).await;
    face.get("/v1/transactions/order-1").await;
    face.get("/v1/transactions/order-2?wait=decided").await;
    face.get("/nowhere/order-3").await;
    face.post("/livez", "").await;
    let text = handle.render();
    for line in [
        "tercet_http_requests_total{route=\"/v1/transactions/{gid}\",status=\"404\"} 2",
        "tercet_http_requests_total{route=\"unmatched\",status=\"404\"} 1",
        "tercet_http_requests_total{route=\"/livez\",status=\"405\"} 1",
        "tercet_http_request_duration_seconds_count{route=\"/v1/transactions/{gid}\"} 2",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("order-"), "{text}");
}

#[tokio::test]
async fn a_browser_takes_of_a_page_its_own_style_and_nothing_else() {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use sha2::{Digest as _, Sha256};

    let face = Face::gone().await;
    for path in ["/docs", "/problems", "/problems/gid-reused"] {
        let request = Request::get(path).header("accept", "text/html");
        let page = face.send(request.body(Body::empty()).expect("a request")).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{path}: {policy}");
        assert!(!policy.contains("unsafe-") && !policy.contains("script-src"), "{path}: {policy}");
        let style = page.text.split_once("<style>").expect("a style").1;
        let style = style.split_once("</style>").expect("its end").0;
        let digest = BASE64_STANDARD.encode(Sha256::digest(style));
        assert!(policy.contains(&format!("style-src 'sha256-{digest}'")), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{path}: {name}");
        }
        assert!(!page.text.contains("style="), "{path}: a style that the policy forbids");
    }
    for path in ["/openapi.json", "/problems", "/problems/gid-reused"] {
        assert_eq!(face.get(path).await.header("x-content-type-options"), "nosniff", "{path}");
    }
}
