//! Rows in PostgreSQL, or what speaks its protocol.

mod checks;
mod connect;
mod dialect;
mod session;
#[cfg(all(test, feature = "databases"))]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DatabaseConnection;

use self::dialect::PostgresDialect;
use self::session::PostgresSession;
use crate::error::JournalError;
use crate::shared::{Address, Form, Server, Session};

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

/// PostgreSQL's kind of server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postgres;

#[async_trait]
impl Server for Postgres {
    type Dialect = PostgresDialect;
    type Session = PostgresSession;

    const FORM: &'static Form = &FORM;
    const DIALECT: PostgresDialect = PostgresDialect;
    const BEGIN: &'static str = "BEGIN";
    const MAKE_SCHEMA_LOCK: [&'static str; 2] = [
        "CREATE TABLE IF NOT EXISTS schema_lock \
         (id INT PRIMARY KEY, holder BIGINT NOT NULL, beat BIGINT NOT NULL)",
        "INSERT INTO schema_lock (id, holder, beat) VALUES (1, 0, 0) ON CONFLICT DO NOTHING",
    ];
    const RANDOM: &'static str = "SELECT 1 + floor(random() * 9007199254740991)::bigint";

    fn check_address(at: &Address) -> Result<(), JournalError> {
        connect::options(at).map(drop)
    }

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
