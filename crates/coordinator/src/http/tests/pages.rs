//! The contract as tools and people see it, and what is counted.

use metrics_exporter_prometheus::PrometheusBuilder;
use tercet_engine::{Refusal, Reply};

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
