//! What this library answers for what became of a call.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use sea_orm::{Database, DatabaseTransaction};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tercet_participant::{Context, Failure, Participant, Store};
use tower::ServiceExt;

use crate::cases;

#[derive(Debug, Deserialize)]
struct Case {
    op: String,
    when: String,
    result: Option<Value>,
    code: Option<String>,
    detail: Option<String>,
    after_ms: Option<u64>,
    status: u16,
    retry_after: Option<String>,
    body: Map<String, Value>,
}

/// Does what its payload tells it to.
struct Obedient;

#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    refuse: Option<(String, String)>,
    /// Whether to ask to be called again, and after how long.
    #[serde(default)]
    retry: Option<Pause>,
    #[serde(default)]
    throws: bool,
}

#[derive(Deserialize)]
struct Pause {
    after_ms: Option<u64>,
}

impl Participant for Obedient {
    type Payload = Order;

    async fn try_(
        &self,
        _: &DatabaseTransaction,
        context: &Context,
        order: Order,
    ) -> Result<(), Failure> {
        if let Some((code, detail)) = order.refuse {
            return Err(Failure::refused(code, detail));
        }
        if let Some(Pause { after_ms }) = order.retry {
            let after = after_ms.map(Duration::from_millis);
            return Err(Failure::Retry { source: "a secret".into(), after });
        }
        if let Some(result) = order.result {
            context.answer(&result)?;
        }
        Ok(())
    }

    async fn confirm(
        &self,
        _: &DatabaseTransaction,
        _: &Context,
        order: Order,
    ) -> Result<(), Failure> {
        if order.throws { Err(Failure::retry("a secret")) } else { Ok(()) }
    }

    async fn cancel(&self, _: &DatabaseTransaction, _: &Context, _: Order) -> Result<(), Failure> {
        Ok(())
    }
}

async fn call(app: &Router, op: &str, payload: &str) -> (u16, HeaderMap, Value) {
    let request = Request::post(format!("/{op}"))
        .header("tercet-gid", "order-1")
        .header("tercet-branch", "payment")
        .header("tercet-instance", "0193b6a0-0000-7000-8000-000000000001")
        .header("tercet-op", op)
        .header("tercet-legs", "try,confirm,cancel")
        .body(Body::from(payload.to_owned()))
        .expect("a request");
    let answer = app.clone().oneshot(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, 100_000).await.expect("a body");
    let body = serde_json::from_slice(&body).expect("JSON");
    (head.status.as_u16(), head.headers, body)
}

#[tokio::test]
async fn what_became_of_a_call_is_answered() {
    // Here it needs another process, or a pool that is used up: looked at in the guard's tests.
    let elsewhere = ["another call of the branch is under way", "no connection is to be had"];
    for case in cases::<Case>("participant-answers.json") {
        if elsewhere.contains(&case.when.as_str()) {
            continue;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}?mode=rwc", dir.path().join("service.db").display());
        let store = Store::new(Database::connect(url).await.expect("a database"));
        store.migrate().await.expect("a guard");
        let app = tercet_participant::router(Obedient, store);
        let mut order = json!({});
        let mut before: &[&str] = &[];
        match case.when.as_str() {
            "done" if case.op == "try" => {}
            "done" | "throws" => before = &["try"],
            "empty" => {}
            "repeated" => before = &["try"],
            "repeated after its confirm" => before = &["try", "confirm"],
            "done with a result" => order["result"] = json!(case.result),
            "repeated with a result" => {
                order["result"] = json!(case.result);
                before = &["try"];
            }
            "refused" => order["refuse"] = json!([case.code, case.detail]),
            "a result larger than 16 KiB" => order["result"] = json!("x".repeat(16 * 1024)),
            "the payload cannot be read" => {}
            _ => order["retry"] = json!({ "after_ms": case.after_ms }),
        }
        order["throws"] = json!(case.when == "throws");
        let order = match case.when.as_str() {
            "the payload cannot be read" => "17".to_owned(),
            _ => order.to_string(),
        };
        for op in before {
            assert_eq!(call(&app, op, &order).await.0, 200, "{case:?}");
        }
        let (status, headers, body) = call(&app, &case.op, &order).await;
        assert_eq!(status, case.status, "{case:?}: {body}");
        let retry_after = headers.get("retry-after").map(|value| value.to_str().expect("ASCII"));
        assert_eq!(retry_after, case.retry_after.as_deref(), "{case:?}");
        for (field, expected) in &case.body {
            assert_eq!(&body[field], expected, "{field} of {case:?}");
        }
        if status != 200 {
            assert_eq!(headers["content-type"], "application/problem+json", "{case:?}");
            assert!(!body.to_string().contains("a secret"), "{body}");
        }
    }
}
