//! A shop whose orders must not be placed twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sea_orm::DatabaseConnection;
use tercet_participant::{Idempotency, IdempotencyKey, KeyStore};
use tokio::sync::{Notify, RwLock};
use tower::ServiceExt;

use crate::database::Database;

/// Where keys are kept.
pub(crate) enum Home {
    Memory(KeyStore),
    Database(Database),
}

impl Home {
    pub(crate) fn memory() -> Self {
        Self::Memory(KeyStore::in_memory(100))
    }

    /// As one process of the service sees it.
    pub(crate) async fn keys(&self) -> KeyStore {
        match self {
            Self::Memory(keys) => keys.clone(),
            Self::Database(database) => keys_in(database).await.0,
        }
    }

    pub(crate) async fn remove(self) {
        match self {
            Self::Memory(_) => {}
            Self::Database(database) => database.remove().await,
        }
    }
}

/// Keys in a database, and a connection to it.
pub(crate) async fn keys_in(database: &Database) -> (KeyStore, DatabaseConnection) {
    let db = database.connect(4).await;
    let keys = KeyStore::in_database(db.clone());
    keys.migrate().await.expect("the table");
    (keys, db)
}

/// One process of the shop.
#[derive(Clone)]
pub(crate) struct Shop {
    router: Router,
    door: Door,
}

/// What a test sees of the handler, and holds.
#[derive(Clone, Default)]
pub(crate) struct Door {
    /// How often an order was placed.
    placed: Arc<AtomicU32>,
    /// Held (for writing) by tests that keep a handler running.
    pub(crate) gate: Arc<RwLock<()>>,
    /// Told when a handler has come to the gate.
    pub(crate) at_gate: Arc<Notify>,
}

impl Shop {
    pub(crate) async fn open(home: &Home) -> Self {
        Self::open_with(Idempotency::new(home.keys().await))
    }

    pub(crate) fn open_with(layer: Idempotency) -> Self {
        let door = Door::default();
        let router = Router::new()
            .route("/orders", post(place).patch(place).get(orders).put(orders))
            .route("/elsewhere", post(place))
            .route("/keyless", get(orders))
            .layer(layer)
            .with_state(door.clone());
        Self { router, door }
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    pub(crate) fn placed(&self) -> u32 {
        self.door.placed.load(Ordering::SeqCst)
    }

    /// `POST /orders` with this key.
    pub(crate) async fn order(&self, key: &str, body: &str) -> Answer {
        self.send(Request::post("/orders").header("idempotency-key", key), body).await
    }

    pub(crate) async fn send(&self, request: axum::http::request::Builder, body: &str) -> Answer {
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (head, body) = response.into_parts();
        let header = |name: &str| {
            head.headers.get(name).map(|value| value.to_str().expect("ASCII").to_owned())
        };
        Answer {
            status: head.status.as_u16(),
            location: header("location"),
            cookie: header("set-cookie"),
            replayed: header("idempotency-replayed").is_some(),
            retry_after: header("retry-after"),
            body: axum::body::to_bytes(body, usize::MAX).await.expect("a body"),
        }
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) replayed: bool,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// `201`, `201 again`, `409 come again`.
    pub(crate) fn words(&self) -> String {
        let again = if self.replayed { " again" } else { "" };
        let come = if self.retry_after.is_some() { " come again" } else { "" };
        format!("{}{again}{come}", self.status)
    }
}

/// Places an order, unless it says `fail` or `panic` and is the first, or `refuse`.
async fn place(
    State(door): State<Door>,
    Extension(key): Extension<IdempotencyKey>,
    body: String,
) -> Response {
    door.at_gate.notify_one();
    let _passed = door.gate.read().await;
    let number = door.placed.fetch_add(1, Ordering::SeqCst) + 1;
    match body.as_str() {
        "fail" if number == 1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "panic" if number == 1 => panic!("as it was told to"),
        "refuse" => (StatusCode::CONFLICT, "sold out").into_response(),
        "long" => "x".repeat(2000).into_response(),
        _ => {
            let location = format!("/orders/{number}");
            let headers = [(header::LOCATION, location), (header::SET_COOKIE, "c=1".to_owned())];
            let text = format!("{} under {}: \u{fc}\0", body, key.as_str());
            (StatusCode::CREATED, headers, text).into_response()
        }
    }
}

async fn orders(State(door): State<Door>) -> String {
    door.placed.fetch_add(1, Ordering::SeqCst).to_string()
}
