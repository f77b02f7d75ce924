//! The guard's rows over HTTP, page by page.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tercet_participant::Op::{Cancel, Confirm, Try};
use tower::ServiceExt;

use crate::database::Database;
use crate::service::{LIFE, Service};

/// Status and body.
async fn page(service: &Service, query: &str) -> (u16, Value) {
    let request = Request::get(format!("/branches{query}")).body(Body::empty());
    let answer = service.router.clone().oneshot(request.expect("a request")).await;
    let (head, body) = answer.expect("infallible").into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    (head.status.as_u16(), serde_json::from_slice(&body).expect("JSON"))
}

/// The gids of a page, and where the next one begins.
async fn gids(service: &Service, query: &str) -> (Vec<String>, Option<String>) {
    let (status, body) = page(service, query).await;
    assert_eq!(status, 200, "{body}");
    let items = body["items"].as_array().expect("a list");
    let gid = |item: &Value| item["gid"].as_str().expect("a gid").to_owned();
    let cursor = body["next_cursor"].as_str().map(str::to_owned);
    (items.iter().map(gid).collect(), cursor)
}

pub(crate) async fn books_say_what_was_done_for_each_branch(database: &Database) {
    let service = Service::start(database, 4).await;
    for (gid, ops) in
        [("tried", &[Try][..]), ("confirmed", &[Try, Confirm]), ("cancelled", &[Cancel])]
    {
        for op in ops {
            service.usual(gid, *op).await;
        }
    }
    let (status, body) = page(&service, "").await;
    assert_eq!((status, &body["next_cursor"]), (200, &Value::Null), "{body}");
    let rows = body["items"].as_array().expect("a list");
    for (row, state) in rows.iter().zip(["cancelled", "confirmed", "tried"]) {
        let expected = json!({"gid": state, "branch": "b1", "instance": LIFE, "state": state,
                              "at": row["at"]});
        assert_eq!(*row, expected);
        assert!(row["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{row}");
    }
    assert_eq!(rows.len(), 3);
    for query in ["?limit=0", "?limit=501", "?limit=x", "?after=a%20b", "?order=newest"] {
        let (status, body) = page(&service, query).await;
        assert_eq!((status, &body["code"]), (400, &json!("invalid-request")), "{query}: {body}");
    }
}

/// Keeps P9.
pub(crate) async fn pages_have_every_row_once_whatever_comes_and_goes(database: &Database) {
    let service = Service::start(database, 4).await;
    let insert = async |gid: &str, branch: &str| {
        let row = format!(
            "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) VALUES \
             ('{gid}', '{branch}', '{LIFE}', 'try,confirm,cancel', 'tried', 1)"
        );
        service.db.execute_unprepared(&row).await.expect("a row");
    };
    // By byte: digits before capitals before small letters, and a prefix before what it begins.
    let mut expected = Vec::new();
    for gid in ["0", "A", "A.b", "Ab", "a", "a:1", "b"] {
        for branch in ["1", "B", "b"] {
            insert(gid, branch).await;
            expected.push(gid.to_owned());
        }
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=4".to_owned());
    let mut pages = 0;
    loop {
        let (gids, next) = gids(&service, &query).await;
        assert!(gids.len() <= 4, "{gids:?}");
        seen.extend(gids);
        pages += 1;
        let Some(next) = next else { break };
        if pages == 2 {
            // The row where the next page begins goes, and one comes that was passed.
            let (gid, branch) = next.split_once('/').expect("a key");
            let gone =
                format!("DELETE FROM tercet_guard WHERE gid = '{gid}' AND branch_id = '{branch}'");
            service.db.execute_unprepared(&gone).await.expect("it goes");
            insert("0", "0").await;
        }
        query = format!("?limit=4&after={next}");
    }
    assert_eq!(seen, expected);
    let (of_one, _) = gids(&service, "?limit=500&after=a/").await;
    assert_eq!(of_one[..3], ["a", "a", "a"], "all of a gid, and what comes behind");
    assert_eq!(gids(&service, "?after=a:1").await, (vec!["b".to_owned(); 3], None));
}
