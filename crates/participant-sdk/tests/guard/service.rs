//! A small participant on a real database, and calls as the coordinator makes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    Statement,
};
use serde::Deserialize;
use serde_json::Value;
use tercet_participant::{Context, Failure, Op, Participant, Store};
use tokio::sync::{Barrier, Notify, RwLock};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::database::Database;

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
    /// Two calls that name rows meet between their first and their second, once.
    meeting: Arc<Barrier>,
    met: Arc<AtomicU32>,
}

/// What calls carry.
#[derive(Deserialize)]
pub(crate) struct Payload {
    amount: i64,
    /// Rows that are counted up as well, in this order.
    #[serde(default)]
    rows: Vec<String>,
    /// What a Try is answered with, beside how often it was run.
    #[serde(default)]
    answer: Option<Value>,
    /// A statement fails, and nobody asks whether it did.
    #[serde(default)]
    swallows: bool,
    /// On MariaDB and MySQL the transaction is gone, as after a deadlock of which nobody asks either.
    #[serde(default)]
    loses: bool,
    /// The branch whose result a Try is answered with.
    #[serde(default)]
    passed_on: Option<String>,
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
        let column = match context.op {
            Op::Try => "tries",
            Op::Confirm => "confirms",
            Op::Cancel => "cancels",
        };
        count(db, context.gid.as_str(), column).await?;
        if payload.swallows {
            drop(db.execute_unprepared("UPDATE no_such_table SET x = 1").await);
        }
        if payload.loses && db.get_database_backend() == DbBackend::MySql {
            db.execute_unprepared("ROLLBACK").await?;
        }
        for (number, row) in payload.rows.iter().enumerate() {
            if number == 1 && self.met.fetch_add(1, Ordering::SeqCst) < 2 {
                self.meeting.wait().await;
            }
            count(db, row, column).await?;
        }
        if self.fail_next.swap(false, Ordering::SeqCst) {
            return Err(Failure::retry("failed after it had written"));
        }
        Ok(())
    }
}

/// Counts a row up, from nothing if it is not there.
pub(crate) async fn count(db: &DatabaseTransaction, row: &str, column: &str) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let (place, known) = match backend {
        DbBackend::Postgres => ("$1", "ON CONFLICT (gid) DO UPDATE SET"),
        DbBackend::MySql => ("?", "ON DUPLICATE KEY UPDATE"),
        _ => ("?", "ON CONFLICT (gid) DO UPDATE SET"),
    };
    let sql = format!(
        "INSERT INTO runs (gid, {column}) VALUES ({place}, 1) {known} {column} = runs.{column} + 1"
    );
    db.execute_raw(Statement::from_sql_and_values(backend, sql, [row.into()])).await.map(drop)
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
        if let Some(answer) = &payload.answer {
            context.answer(answer)?;
        }
        if let Some(branch) = &payload.passed_on {
            context.answer(&context.result::<Value>(branch)?)?;
        }
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

/// One whose Trys have effects outside of the database, so that its Cancels are run though
/// no Try was recorded. It counts those as cancels, and the others as confirms.
pub(crate) struct Outside;

impl Participant for Outside {
    type Payload = Payload;
    const CANCELS_EMPTY: bool = true;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        _: Payload,
    ) -> Result<(), Failure> {
        Ok(count(db, context.gid.as_str(), "tries").await?)
    }

    async fn confirm(
        &self,
        _: &DatabaseTransaction,
        _: &Context,
        _: Payload,
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        context: &Context,
        _: Payload,
    ) -> Result<(), Failure> {
        let column = if context.empty { "cancels" } else { "confirms" };
        Ok(count(db, context.gid.as_str(), column).await?)
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
    /// Its guard.
    pub(crate) store: Store,
    /// Its connections.
    pub(crate) db: DatabaseConnection,
}

impl Service {
    /// One process of the service; a second one shares nothing but the database.
    pub(crate) async fn start(database: &Database, connections: u32) -> Self {
        Self::start_at(database, connections, None).await
    }

    /// The same at an isolation level.
    pub(crate) async fn start_at(
        database: &Database,
        connections: u32,
        level: Option<IsolationLevel>,
    ) -> Self {
        let gate: Arc<RwLock<()>> = Arc::default();
        let at_gate: Arc<Notify> = Arc::default();
        let fail_next: Arc<AtomicBool> = Arc::default();
        let counter = Counter {
            gate: Arc::clone(&gate),
            at_gate: Arc::clone(&at_gate),
            fail_next: Arc::clone(&fail_next),
            meeting: Arc::new(Barrier::new(2)),
            met: Arc::default(),
        };
        let service = Self::start_as(database, connections, level, counter).await;
        Self { gate, at_gate, fail_next, ..service }
    }

    /// The same with other business code.
    pub(crate) async fn start_as(
        database: &Database,
        connections: u32,
        level: Option<IsolationLevel>,
        participant: impl Participant,
    ) -> Self {
        let db = database.connect(connections).await;
        Self::start_on(db, database, level, participant).await
    }

    /// The same on these connections.
    pub(crate) async fn start_on(
        db: DatabaseConnection,
        database: &Database,
        level: Option<IsolationLevel>,
        participant: impl Participant,
    ) -> Self {
        let bytewise = match db.get_database_backend() {
            DbBackend::MySql => "CHARACTER SET ascii COLLATE ascii_bin",
            _ => "",
        };
        db.execute_unprepared(&format!(
            "CREATE TABLE IF NOT EXISTS runs (gid VARCHAR(128) {bytewise} PRIMARY KEY, \
             tries BIGINT DEFAULT 0, confirms BIGINT DEFAULT 0, cancels BIGINT DEFAULT 0)",
        ))
        .await
        .expect("a table");
        let store = Store::new(db.clone());
        let store = if database.has_group_commit() { store.group_commit() } else { store };
        let store = match level {
            Some(level) => store.isolation(level),
            None => store,
        };
        store.migrate().await.expect("the guard's table");
        store.migrate().await.expect("migrating again changes nothing");
        let router = tercet_participant::router(participant, store.clone());
        let (gate, at_gate, fail_next) = Default::default();
        Self { router, gate, at_gate, fail_next, store, db }
    }

    /// Starts a Try and comes back when its business code is running. The gate must be held.
    pub(crate) async fn hold_try(self: &Arc<Self>, gid: &'static str) -> JoinHandle<String> {
        let held = tokio::spawn({
            let service = Arc::clone(self);
            async move { service.usual(gid, Op::Try).await.words() }
        });
        self.at_gate.notified().await;
        held
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
        if call.results {
            request = request.header("tercet-results", "true");
        }
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

    /// The first placeholder, as this database writes it.
    fn place(&self) -> &'static str {
        if self.db.get_database_backend() == DbBackend::Postgres { "$1" } else { "?" }
    }

    /// How often Try, Confirm and Cancel of a gid have had their effect.
    pub(crate) async fn runs(&self, gid: &str) -> (i64, i64, i64) {
        let statement = Statement::from_sql_and_values(
            self.db.get_database_backend(),
            format!("SELECT tries, confirms, cancels FROM runs WHERE gid = {}", self.place()),
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
    /// Whether its body says that it brings results.
    pub(crate) results: bool,
}

impl<'a> Call<'a> {
    /// A call with everything usual.
    pub(crate) fn usual(gid: &'a str, op: Op) -> Self {
        let body = r#"{"amount":1}"#;
        let legs = "try,confirm,cancel";
        Self { gid, op, instance: LIFE, legs, deadline: None, body, results: false }
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
