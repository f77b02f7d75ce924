//! A small participant on a real SQLite file, and calls as the coordinator makes them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, Statement,
};
use serde::Deserialize;
use serde_json::Value;
use tercet_participant::{Context, Failure, Op, Participant, Store};
use tokio::sync::{Notify, RwLock};
use tower::ServiceExt;

/// One life of a gid.
pub(crate) const LIFE: &str = "0193b6a0-0000-7000-8000-000000000001";
/// Another life of the same gid.
pub(crate) const OTHER_LIFE: &str = "0193b6a0-0000-7000-8000-000000000002";

/// An amount at which the business code panics.
pub(crate) const PANICS: i64 = 13;

/// Counts what was run, per gid, without asking whether it should have been.
pub(crate) struct Counter {
    /// A Try passes here, so that a test can hold it open.
    gate: Arc<RwLock<()>>,
    /// Told when a Try has come to the gate.
    at_gate: Arc<Notify>,
    /// The next call that is run fails after it has written.
    fail_next: Arc<AtomicBool>,
}

/// What calls carry.
#[derive(Deserialize)]
pub(crate) struct Payload {
    amount: i64,
}

impl Counter {
    async fn add(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        payload: Payload,
    ) -> Result<(), Failure> {
        assert_ne!(payload.amount, PANICS, "as it was told to");
        if payload.amount < 0 {
            return Err(Failure::refused("negative", "the amount is negative"));
        }
        let gid = context.gid.as_str();
        let column = match context.op {
            Op::Try => "tries",
            Op::Confirm => "confirms",
            Op::Cancel => "cancels",
        };
        let sql = format!(
            "INSERT INTO runs (gid, {column}) VALUES (?, 1) \
             ON CONFLICT (gid) DO UPDATE SET {column} = {column} + 1"
        );
        db.execute_raw(Statement::from_sql_and_values(
            db.get_database_backend(),
            sql,
            [gid.into()],
        ))
        .await?;
        if self.fail_next.swap(false, Ordering::SeqCst) {
            return Err(Failure::retry("failed after it had written"));
        }
        Ok(())
    }
}

impl Participant for Counter {
    type Payload = Payload;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        payload: Payload,
    ) -> Result<(), Failure> {
        self.at_gate.notify_one();
        let _passed = self.gate.read().await;
        self.add(db, context, payload).await
    }

    async fn confirm(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        payload: Payload,
    ) -> Result<(), Failure> {
        self.add(db, context, payload).await
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        payload: Payload,
    ) -> Result<(), Failure> {
        self.add(db, context, payload).await
    }
}

/// The counter as a service.
pub(crate) struct Service {
    /// Its routes.
    pub(crate) router: Router,
    /// Held (for writing) by tests that hold a Try open.
    pub(crate) gate: Arc<RwLock<()>>,
    /// Told when a Try has come to the gate.
    pub(crate) at_gate: Arc<Notify>,
    /// The next call that is run fails after it has written.
    pub(crate) fail_next: Arc<AtomicBool>,
    db: DatabaseConnection,
}

impl Service {
    /// One process of the service on this file; a second one shares nothing but the file.
    pub(crate) async fn start(file: &Path, connections: u32) -> Self {
        let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
        options.max_connections(connections).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
            options.journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
        });
        let db = Database::connect(options).await.expect("a database");
        db.execute_unprepared(
            "CREATE TABLE IF NOT EXISTS runs (gid TEXT PRIMARY KEY, tries INTEGER DEFAULT 0, \
             confirms INTEGER DEFAULT 0, cancels INTEGER DEFAULT 0)",
        )
        .await
        .expect("a table");
        let store = Store::new(db.clone());
        store.migrate().await.expect("the guard's table");
        store.migrate().await.expect("migrating again changes nothing");
        let gate: Arc<RwLock<()>> = Arc::default();
        let at_gate: Arc<Notify> = Arc::default();
        let fail_next: Arc<AtomicBool> = Arc::default();
        let counter = Counter {
            gate: Arc::clone(&gate),
            at_gate: Arc::clone(&at_gate),
            fail_next: Arc::clone(&fail_next),
        };
        Self { router: tercet_participant::router(counter, store), gate, at_gate, fail_next, db }
    }

    /// Makes a call as the coordinator would.
    pub(crate) async fn call(&self, call: Call<'_>) -> Answer {
        let mut request = Request::post(format!("/{}", call.op))
            .header("content-type", "application/json")
            .header("tercet-gid", call.gid)
            .header("tercet-branch", "b1")
            .header("tercet-instance", call.instance)
            .header("tercet-legs", call.legs)
            .header("tercet-op", call.op.as_str())
            .header("tercet-attempt", "1");
        if let Some(deadline) = call.deadline {
            request = request.header("tercet-deadline", deadline);
        }
        let request = request.body(Body::from(call.body.to_owned())).expect("a request");
        Answer::read(self.router.clone().oneshot(request).await.expect("infallible")).await
    }

    /// A call with everything usual.
    pub(crate) async fn usual(&self, gid: &str, op: Op) -> Answer {
        self.call(Call::usual(gid, op)).await
    }

    /// How often Try, Confirm and Cancel of a gid have had their effect.
    pub(crate) async fn runs(&self, gid: &str) -> (i64, i64, i64) {
        let statement = Statement::from_sql_and_values(
            self.db.get_database_backend(),
            "SELECT tries, confirms, cancels FROM runs WHERE gid = ?",
            [gid.into()],
        );
        match self.db.query_one_raw(statement).await.expect("a query") {
            None => (0, 0, 0),
            Some(row) => (
                row.try_get("", "tries").expect("tries"),
                row.try_get("", "confirms").expect("confirms"),
                row.try_get("", "cancels").expect("cancels"),
            ),
        }
    }
}

/// One call.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) gid: &'a str,
    pub(crate) op: Op,
    pub(crate) instance: &'a str,
    pub(crate) legs: &'a str,
    pub(crate) deadline: Option<&'a str>,
    pub(crate) body: &'a str,
}

impl<'a> Call<'a> {
    /// A call with everything usual.
    pub(crate) fn usual(gid: &'a str, op: Op) -> Self {
        let body = r#"{"amount":1}"#;
        Self { gid, op, instance: LIFE, legs: "try,confirm,cancel", deadline: None, body }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    async fn read(response: axum::response::Response) -> Self {
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().expect("ASCII").to_owned());
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let body = serde_json::from_slice(&body).expect("JSON");
        Self { status: head.status, retry_after, body }
    }

    /// `200 tried`, `200 tried again`, `409 branch-cancelled`: an answer in two words.
    pub(crate) fn words(&self) -> String {
        let status = self.status.as_u16();
        match (&self.body["code"], &self.body["state"]) {
            (Value::String(code), _) => format!("{status} {code}"),
            (_, Value::String(state)) if self.body["repeated"] == true => {
                format!("{status} {state} again")
            }
            (_, Value::String(state)) => format!("{status} {state}"),
            _ => format!("{status} {}", self.body),
        }
    }
}
