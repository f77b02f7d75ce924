//! What is there beside transactions: health, metrics, the contract as OpenAPI.

use http::Method;
use serde_json::json;
use tercet_testing::{Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, branch};

#[tokio::test]
async fn after_the_first_transaction_every_metric_is_there_and_counts() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.next("stock", Op::Try, [Reaction::status(503)]);
    let query = format!("{}?secret=s3cret", participant.url("/stock"));
    let stock = json!({ "id": "stock", "try": query, "confirm": participant.url("/stock/c") });
    client.begin("", &begin("order-1", &[stock])).await;
    participant.always("sold-out", Op::Try, Reaction::status(409));
    client.begin("", &begin("order-2", &[branch(&participant, "sold-out")])).await;
    let metrics = client.send(Method::GET, "/metrics", None).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for name in [
        "transactions_total",
        "transactions_active",
        "transaction_duration_seconds",
        "phase_duration_seconds",
        "branch_calls_total",
        "branch_call_duration_seconds",
        "branches_parked",
        "transactions_oldest_age_seconds",
        "participant_queue",
        "journal_commit_duration_seconds",
        "journal_batch_records",
        "journal_statements_total",
        "journal_commits_total",
        "journal_queue_records",
        "transactions_recovered_total",
        "http_requests_total",
        "http_request_duration_seconds",
        "build_info",
    ] {
        assert!(metrics.text.contains(&format!("# TYPE tercet_{name} ")), "{name}");
        let sample = |line: &str| line.starts_with(&format!("tercet_{name}"));
        assert!(metrics.text.lines().any(sample), "{name} has no value");
    }
    for counter in ["journal_statements_total", "journal_commits_total"] {
        let nothing = format!("tercet_{counter} 0");
        assert!(!metrics.text.lines().any(|line| line == nothing), "{counter}");
    }
    let value = |name: &str, labels: &[&str]| {
        let is = |line: &&str| {
            line.starts_with(&format!("tercet_{name}{{")) && labels.iter().all(|l| line.contains(l))
        };
        let line = metrics.text.lines().find(is);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let confirmed = value("transactions_total", &[r#"outcome="confirmed""#]);
    let refused = value("transactions_total", &[r#"reason="try-refused""#]);
    assert_eq!((confirmed, refused), (Some(1.0), Some(1.0)), "{}", metrics.text);
    let host_port = format!(r#"participant="{}""#, participant.host_port());
    let tries = [host_port.as_str(), r#"op="confirm""#];
    assert_eq!(value("branch_calls_total", &tries), Some(1.0), "{}", metrics.text);
    let begins = [r#"route="/v1/transactions""#, r#"status="201""#];
    assert_eq!(value("http_requests_total", &begins), Some(2.0), "{}", metrics.text);
    for unbounded in ["order-1", "s3cret", "/stock"] {
        assert!(!metrics.text.contains(unbounded), "{unbounded} in a label");
    }
}

#[tokio::test]
async fn recovered_transactions_are_counted_and_said_once() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    for gid in ["order-1", "order-2"] {
        let body = json!({ "gid": gid, "open": true, "branches": [branch(&participant, "stock")] });
        tercet.client().begin("", &body.to_string()).await;
    }
    tercet.kill().await;
    tercet.restart().await;
    let metrics = tercet.client().send(Method::GET, "/metrics", None).await;
    assert!(metrics.text.contains("tercet_transactions_recovered_total 2"), "{}", metrics.text);
    let ready = tercet.log().lines().filter(|line| line.contains("ready")).count();
    assert_eq!(ready, 2, "one line each time: {}", tercet.log());
}

#[tokio::test]
async fn the_contract_is_served_as_openapi_and_as_a_page() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    let openapi = client.send(Method::GET, "/openapi.json", None).await;
    assert!(openapi.word("openapi").starts_with("3.1"), "{}", openapi.word("openapi"));
    for (path, method) in [
        ("/v1/transactions", "post"),
        ("/v1/transactions", "get"),
        ("/v1/transactions/{gid}", "get"),
        ("/v1/transactions/{gid}/branches", "post"),
        ("/v1/transactions/{gid}/confirm", "post"),
        ("/v1/transactions/{gid}/cancel", "post"),
        ("/v1/transactions/{gid}/events", "get"),
        ("/v1/audit", "get"),
        ("/livez", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    ] {
        assert!(openapi.json["paths"][path][method].is_object(), "{method} {path}");
    }
    let docs = client.send(Method::GET, "/docs", None).await;
    assert_eq!(docs.status, 200);
    assert!(docs.header("content-type").starts_with("text/html"));
    assert!(docs.text.contains("/v1/transactions/{gid}/confirm"));
    for (path, status) in [("/livez", 200), ("/readyz", 200)] {
        assert_eq!(client.send(Method::GET, path, None).await.status, status, "{path}");
    }
}
