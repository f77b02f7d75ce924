//! Rows in PostgreSQL, or what speaks its protocol.

mod checks;
mod connect;
mod dialect;
mod session;
#[cfg(all(test, feature = "databases"))]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DatabaseConnection;
use tercet_migrations::StepStatus;
use tercet_wire::Wall;
use tokio::runtime::Handle;

use self::dialect::PostgresDialect;
use self::session::PostgresSession;
use crate::error::JournalError;
use crate::settings::JournalSettings;
use crate::shared::{self, Address, Form, Server, Session, SharedStore};
use crate::sql::LifeOfNode;
use crate::store::{Database, Offline, Store};

/// What its URL looks like.
static FORM: Form = Form {
    example: "postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE",
    parameters: &[
        "application_name",
        "dbname",
        "host",
        "hostaddr",
        "options",
        "password",
        "port",
        "ssl-ca",
        "ssl-cert",
        "ssl-key",
        "ssl-mode",
        "ssl-root-cert",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "user",
    ],
};

/// A database in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostgresDatabase(Address);

impl PostgresDatabase {
    /// The database at this URL.
    pub(crate) fn parse(url: &str) -> Result<Self, JournalError> {
        let at = Address::parse(url, &FORM)?;
        connect::options(&at)?;
        Ok(Self(at))
    }
}

/// PostgreSQL's kind of server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postgres;

#[async_trait]
impl Server for Postgres {
    type Dialect = PostgresDialect;
    type Session = PostgresSession;

    const DIALECT: PostgresDialect = PostgresDialect;
    const BEGIN: &'static str = "BEGIN";
    const MAKE_SCHEMA_LOCK: [&'static str; 2] = [
        "CREATE TABLE IF NOT EXISTS schema_lock \
         (id INT PRIMARY KEY, holder BIGINT NOT NULL, beat BIGINT NOT NULL)",
        "INSERT INTO schema_lock (id, holder, beat) VALUES (1, 0, 0) ON CONFLICT DO NOTHING",
    ];
    const RANDOM: &'static str = "SELECT 1 + floor(random() * 9007199254740991)::bigint";

    async fn connect(at: &Address) -> Result<PostgresSession, JournalError> {
        connect::session(at).await
    }

    async fn prepare_writer(session: &mut PostgresSession) -> Result<(), JournalError> {
        connect::prepare_writer(session).await
    }

    async fn begin_brief(session: &mut PostgresSession, each: Duration) -> Result<(), sqlx::Error> {
        let each = each.as_millis().max(1);
        let begin = format!("{}; SET LOCAL statement_timeout = {each}", Self::BEGIN);
        session.batch(begin).await.map(|_| ())
    }

    async fn end_brief(_: &mut PostgresSession) -> Result<(), sqlx::Error> {
        // It was that transaction's alone.
        Ok(())
    }

    async fn check(at: &Address, session: &mut PostgresSession) -> Result<(), JournalError> {
        checks::check(at, session).await
    }

    fn starting(at: &Address) -> Result<DatabaseConnection, JournalError> {
        connect::starting(at)
    }

    fn readers(at: &Address, most: u32) -> Result<DatabaseConnection, JournalError> {
        connect::readers(at, most)
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn open(
        &self,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Arc<dyn Store>, JournalError> {
        let store = SharedStore::<Postgres>::open(&self.0, settings, started_at, readers).await?;
        Ok(Arc::new(store))
    }

    async fn migrate_up(&self) -> Result<(), JournalError> {
        shared::migrate_up::<Postgres>(&self.0).await
    }

    async fn migration_status(&self) -> Result<Vec<StepStatus>, JournalError> {
        shared::migration_status::<Postgres>(&self.0).await
    }

    async fn offline(&self) -> Result<Offline, JournalError> {
        shared::offline::<Postgres>(&self.0).await
    }

    async fn end_lives(&self, seen: &[LifeOfNode]) -> Result<Vec<LifeOfNode>, JournalError> {
        shared::end_lives::<Postgres>(&self.0, seen).await
    }

    fn untrusted_file_system(&self) -> Option<&'static str> {
        // It is on another machine, whose file systems are not ours to see.
        None
    }
}
