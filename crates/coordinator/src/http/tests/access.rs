//! Every route with every role, and without a token.

use http::{Method, Request};
use serde_json::Value;

use super::face::Face;
use crate::access::{NamedToken, Role, TokenDigest};
use crate::config::Settings;

/// What each route takes, as the contract has it; none: nothing.
const TABLE: &[(&str, &str, Option<Role>)] = &[
    ("get", "/livez", None),
    ("get", "/readyz", None),
    ("get", "/metrics", Some(Role::Viewer)),
    ("get", "/v1/transactions", Some(Role::Viewer)),
    ("get", "/v1/transactions/{gid}", Some(Role::Viewer)),
    ("get", "/v1/transactions/{gid}/events", Some(Role::Viewer)),
    ("get", "/v1/participants", Some(Role::Viewer)),
    ("post", "/v1/participants/{participant}/pause", Some(Role::Operator)),
    ("post", "/v1/participants/{participant}/resume", Some(Role::Operator)),
    ("get", "/v1/stats", Some(Role::Viewer)),
    ("post", "/v1/transactions", Some(Role::Client)),
    ("post", "/v1/transactions/{gid}/branches", Some(Role::Client)),
    ("post", "/v1/transactions/{gid}/confirm", Some(Role::Client)),
    ("post", "/v1/transactions/{gid}/cancel", Some(Role::Client)),
    ("post", "/v1/transactions/{gid}/retry", Some(Role::Operator)),
    ("post", "/v1/transactions/{gid}/branches/{id}/resolve", Some(Role::Operator)),
    ("post", "/v1/retry", Some(Role::Operator)),
    ("post", "/v1/restored/release", Some(Role::Operator)),
    ("get", "/v1/audit", Some(Role::Operator)),
    ("post", "/v1/jobs", Some(Role::Operator)),
    ("get", "/v1/jobs", Some(Role::Viewer)),
    ("get", "/v1/jobs/{id}", Some(Role::Viewer)),
    ("delete", "/v1/jobs/{id}", Some(Role::Operator)),
    ("get", "/v1/sagas", Some(Role::Viewer)),
    ("get", "/v1/sagas/{name}", Some(Role::Viewer)),
    ("put", "/v1/sagas/{name}", Some(Role::Operator)),
    ("delete", "/v1/sagas/{name}", Some(Role::Operator)),
    ("post", "/v1/sagas/{name}/runs", Some(Role::Client)),
];

fn token(role: Role) -> String {
    format!("token-of-a-{role}")
}

/// Rules with one token of each role, named like it.
fn settings() -> Settings {
    let mut settings = Settings::built_in().expect("the defaults fit");
    let named = |role: Role| NamedToken {
        name: role.to_string(),
        sha256: TokenDigest::of(token(role).as_bytes()),
        role,
    };
    settings.auth.tokens = Role::ALL.map(named).to_vec();
    settings
}

/// The status and the problem's code of what a request without a body is answered.
async fn asked(
    face: &Face,
    method: &str,
    path: &str,
    authorization: Option<&str>,
) -> (u16, String) {
    let path = path.replace("{gid}", "order-1").replace("{id}", "b1").replace("{name}", "trip");
    let path = path.replace("{participant}", "pay:80");
    let method: Method = method.to_ascii_uppercase().parse().expect("a method");
    let mut request = Request::builder().method(method).uri(path);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let answer = face.send(request.body(axum::body::Body::empty()).expect("a request")).await;
    let code = serde_json::from_str::<Value>(&answer.text).unwrap_or_default()["code"].clone();
    if answer.status == 401 {
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{answer:?}");
    }
    (answer.status.as_u16(), code.as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_route_takes_the_role_that_the_table_says() {
    let face = Face::with_rules(&settings()).await;
    let contract = face.get("/openapi.json").await.json();
    let mut count = 0;
    for (path, item) in contract["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            let takes = TABLE.iter().find(|(of, at, _)| (*of, *at) == (method, path));
            let (.., takes) =
                takes.unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            let name = format!("{method} {path}");
            let operation = &item[method];
            let security = operation["security"].as_array().expect("it says whether it takes one");
            assert_eq!(!security.is_empty(), takes.is_some(), "{name}");
            let said = |status: &str, code: &str| {
                let said = operation["responses"][status]["description"].as_str();
                said.is_some_and(|said| said.contains(&format!("`{code}`")))
            };
            assert_eq!(said("401", "unauthorized"), takes.is_some(), "{name}");
            // What branches are sent is shown to operators alone.
            let shows_payloads = name == "get /v1/transactions/{gid}";
            let takes_more = *takes > Some(Role::Viewer) || shows_payloads;
            assert_eq!(said("403", "forbidden"), takes_more, "{name}");
            assert!(said("403", "host-not-allowed"), "{name}");
            assert_eq!(said("403", "cross-origin"), method != "get", "{name}");
            let (status, code) = asked(&face, method, path, None).await;
            assert_eq!(code == "unauthorized", takes.is_some(), "{name}: {status} {code}");
            for role in Role::ALL {
                let bearer = format!("Bearer {}", token(role));
                let (status, code) = asked(&face, method, path, Some(&bearer)).await;
                let is_refused = takes.is_some_and(|takes| role < takes);
                assert_eq!(code == "forbidden", is_refused, "{name} as {role}: {status} {code}");
                assert!(status != 401, "{name} as {role}: {code}");
            }
            count += 1;
        }
    }
    assert_eq!(contract["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(count, TABLE.len(), "the table has routes that the contract has not");
}

#[tokio::test]
async fn pages_are_open_and_what_nothing_answers_says_so() {
    let face = Face::with_rules(&settings()).await;
    for path in ["/docs", "/openapi.json", "/problems", "/problems/gid-reused"] {
        assert_eq!(asked(&face, "get", path, None).await.0, 200, "{path}");
        assert_eq!(asked(&face, "head", path, None).await.0, 200, "{path}");
    }
    // A HEAD says as much as a GET.
    assert_eq!(asked(&face, "head", "/v1/transactions", None).await.0, 401);
    for method in ["delete", "put", "patch", "options"] {
        assert_eq!(asked(&face, method, "/v1/transactions", None).await.0, 405, "{method}");
    }
    assert_eq!(asked(&face, "get", "/nowhere", None).await.0, 404);
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_unauthorized() {
    let face = Face::with_rules(&settings()).await;
    let right = token(Role::Operator);
    for wrong in [
        "",
        "Bearer",
        &right,
        &format!("Basic {right}"),
        &format!("Bearer {}", &right[..right.len() - 1]),
        &format!("Bearer {right}x"),
        &format!("Bearer {}", right.to_uppercase()),
        &format!("Bearer {}", TokenDigest::of(right.as_bytes()).to_hex()),
        "Bearer operator",
    ] {
        let (status, code) = asked(&face, "get", "/v1/stats", Some(wrong)).await;
        assert_eq!((status, code.as_str()), (401, "unauthorized"), "{wrong:?}");
    }
    let (status, _) = asked(&face, "get", "/v1/stats", Some(&format!("bearer {right}"))).await;
    assert_ne!(status, 401, "the scheme is of any case");
}

#[tokio::test]
async fn metrics_can_be_opened_and_nothing_else_is() {
    let mut settings = settings();
    settings.auth.open_metrics = true;
    let face = Face::with_rules(&settings).await;
    assert_eq!(asked(&face, "get", "/metrics", None).await.0, 200);
    assert_eq!(asked(&face, "get", "/v1/stats", None).await.0, 401);
}

#[tokio::test]
async fn without_rules_nobody_is_asked_for_a_token() {
    let face = Face::gone().await;
    for (method, path, _) in TABLE {
        for authorization in [None, Some("Bearer of-somebody-else")] {
            let (status, code) = asked(&face, method, path, authorization).await;
            assert!(!matches!(status, 401 | 403), "{method} {path}: {code}");
        }
    }
}
