//! An initiator with work of its own, and a coordinator that asks for it.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, IsolationLevel, Statement,
    TransactionTrait,
};
use tercet_participant::{Checked, Gid, NotRecorded};
use tower::ServiceExt;

use crate::database::Database;

/// One process of an initiator.
#[derive(Clone)]
pub(crate) struct Initiator {
    pub(crate) db: DatabaseConnection,
    pub(crate) checked: Checked,
    router: Router,
}

pub(crate) fn gid(text: &str) -> Gid {
    text.parse().expect("a gid")
}

impl Initiator {
    pub(crate) async fn start(database: &Database) -> Self {
        let db = database.connect(4).await;
        let checked = Checked::new(db.clone());
        checked.migrate().await.expect("the table");
        let deeds = "CREATE TABLE IF NOT EXISTS deeds (gid VARCHAR(128) NOT NULL)";
        db.execute_unprepared(deeds).await.expect("a table");
        let router = Router::new().nest("/check", checked.router());
        Self { db, checked, router }
    }

    /// Begins the work, and writes that it was done if it commits.
    pub(crate) async fn works(
        &self,
        gid: &str,
        level: Option<IsolationLevel>,
    ) -> Result<DatabaseTransaction, NotRecorded> {
        let tx = self.db.begin_with_config(level, None).await?;
        tx.execute_unprepared(&format!("INSERT INTO deeds (gid) VALUES ('{gid}')")).await?;
        self.checked.record(&tx, &self::gid(gid)).await?;
        Ok(tx)
    }

    /// How often the work was done.
    pub(crate) async fn deeds(&self, gid: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM deeds WHERE gid = '{gid}'");
        let count = Statement::from_string(self.db.get_database_backend(), sql);
        let row = self.db.query_one_raw(count).await.expect("an answer").expect("a row");
        row.try_get_by_index(0).expect("a count")
    }

    /// What the coordinator is told.
    pub(crate) async fn asked(&self, gid: &str) -> u16 {
        self.asked_with(&[("tercet-gid", gid), ("tercet-op", "check")]).await
    }

    pub(crate) async fn asked_with(&self, headers: &[(&str, &str)]) -> u16 {
        let request = Request::post("/check").header("content-type", "application/json");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::from("{}")).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let asks_again = answer.headers().get("retry-after").map(|value| value.as_bytes());
        assert_eq!(status == 202, asks_again == Some(b"1"), "{status}");
        status
    }

    /// The same until it is an answer.
    pub(crate) async fn told(&self, gid: &str) -> u16 {
        loop {
            match self.asked(gid).await {
                202 => {}
                told => return told,
            }
        }
    }
}
