//! Bookings before a coordinator that is played here.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Uri;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::{bookings, branch};
use crate::guarding::Guarding;

const INSTANCE: &str = "0193b6a0-0000-7000-8000-000000000001";

/// What was asked of the coordinator: path and body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

fn transaction(status: &str) -> Value {
    json!({
        "gid": "airport-7", "instance": INSTANCE, "pattern": "tcc", "status": status,
        "open": true, "parked": false, "metadata": null, "reason": null,
        "reason_detail": "sold out", "created_at": "2026-11-20T12:00:00.000Z",
        "deadline_at": "2026-11-20T12:00:30.000Z", "decided_at": null, "finished_at": null,
        "branches": []
    })
}

fn registered(id: &str, status: &str) -> Value {
    json!({
        "id": id, "participant": "127.0.0.1:1", "status": status, "parked": false,
        "attempts": {"try": 1, "confirm": 0, "cancel": 0}, "next_attempt_at": null,
        "last_error": null, "answer": null, "resolved_as": null, "finished_at": null
    })
}

/// A coordinator whose branches come out so, and the ride service before it.
async fn service(seat: &'static str, payment: &'static str) -> (TempDir, Router, Asked) {
    let asked = Asked::default();
    let note = Arc::clone(&asked);
    let coordinator = move |uri: Uri, body: String| {
        let body = serde_json::from_str(&body).unwrap_or(Value::Null);
        let path = uri.path().trim_start_matches("/v1/transactions").to_owned();
        let answer = match path.as_str() {
            "" => transaction("trying"),
            "/airport-7/branches" if body["id"] == "seat" => registered("seat", seat),
            "/airport-7/branches" => registered("payment", payment),
            "/airport-7/confirm" => transaction("confirmed"),
            _ => transaction("cancelled"),
        };
        note.lock().expect("asked").push((path, body));
        std::future::ready(Json(answer))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let coordinator = Router::new().fallback(coordinator);
    tokio::spawn(async move { axum::serve(listener, coordinator).await });

    let dir = tempfile::tempdir().expect("a directory");
    let db = crate::database::open(&dir.path().join("ride.db")).await.expect("a file");
    let _calls = branch(&db, Guarding::Off(db.clone())).await.expect("a table");
    let (seats, payment) = ("http://ride/ride".to_owned(), "http://pay/payment".to_owned());
    let router = bookings(db, &url, seats, payment).expect("a client");
    (dir, router, asked)
}

async fn book(router: &Router, booking: &str) -> (u16, Value) {
    let passenger = json!({"booking": booking, "account": "alice"}).to_string();
    let request = Request::post("/rides/airport/book")
        .header("content-type", "application/json")
        .body(Body::from(passenger))
        .expect("a request");
    let Ok(answer) = router.clone().oneshot(request).await;
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 10_000).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

fn paths(asked: &Asked) -> Vec<String> {
    asked.lock().expect("asked").iter().map(|(path, _)| path.clone()).collect()
}

#[tokio::test]
async fn a_booking_holds_the_seat_then_the_money_and_only_then_confirms() {
    let (_dir, router, asked) = service("tried", "tried").await;
    let booked = json!({"status": "booked", "gid": "airport-7"});
    assert_eq!(book(&router, "7").await, (200, booked));
    let branches = "/airport-7/branches";
    assert_eq!(paths(&asked), ["", branches, branches, "/airport-7/confirm"]);
    let asked = asked.lock().expect("asked");
    assert_eq!(asked[0].1["gid"], "airport-7", "a repeat is the same transaction");
    assert_eq!(asked[1].1["payload"], json!({"ride": "airport"}));
    assert_eq!(asked[1].1["endpoint"], "http://ride/ride");
    assert_eq!(asked[2].1["payload"], json!({"account": "alice", "amount": 1_200}));
    assert_eq!(asked[2].1["endpoint"], "http://pay/payment");
}

#[tokio::test]
async fn a_refused_seat_or_payment_is_never_confirmed_and_the_passenger_hears_why() {
    let branches = "/airport-7/branches";
    for (seat, payment, expected) in [
        ("refused", "tried", vec!["", branches, "/airport-7"]),
        ("tried", "refused", vec!["", branches, branches, "/airport-7"]),
        ("registered", "tried", vec!["", branches, "/airport-7/cancel"]),
    ] {
        let (_dir, router, asked) = service(seat, payment).await;
        let told = json!({"code": "not-booked", "status": 409, "detail": "sold out"});
        assert_eq!(book(&router, "7").await, (409, told));
        assert_eq!(paths(&asked), expected, "{seat}, {payment}");
    }
}

#[tokio::test]
async fn a_booking_number_that_cannot_be_part_of_a_gid_is_said_to_be_none() {
    let (_dir, router, asked) = service("tried", "tried").await;
    let (status, told) = book(&router, "a/b").await;
    assert_eq!((status, &told["code"]), (400, &json!("invalid-booking")));
    assert_eq!(paths(&asked), Vec::<String>::new());
}
