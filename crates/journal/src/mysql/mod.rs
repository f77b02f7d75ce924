//! Rows in MariaDB or MySQL, or what speaks their protocol.

mod checks;
mod connect;
mod dialect;
mod session;
#[cfg(all(test, feature = "databases"))]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DatabaseConnection;

use self::dialect::MySqlDialect;
use self::session::MySqlSession;
use crate::error::JournalError;
use crate::shared::{Address, Form, Server, Session, ignore_refused};

/// What its URL looks like.
static FORM: Form = Form {
    example: "mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE",
    parameters: &[
        "socket", "ssl-ca", "ssl-cert", "ssl-key", "ssl-mode", "sslca", "sslcert", "sslkey",
        "sslmode",
    ],
};

/// MySQL's kind of server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MySql;

#[async_trait]
impl Server for MySql {
    type Dialect = MySqlDialect;
    type Session = MySqlSession;

    const FORM: &'static Form = &FORM;
    const DIALECT: MySqlDialect = MySqlDialect;
    const BEGIN: &'static str = "START TRANSACTION";
    const MAKE_SCHEMA_LOCK: [&'static str; 2] = [
        "CREATE TABLE IF NOT EXISTS schema_lock \
         (id INT PRIMARY KEY, holder BIGINT NOT NULL, beat BIGINT NOT NULL) ENGINE=InnoDB",
        "INSERT IGNORE INTO schema_lock (id, holder, beat) VALUES (1, 0, 0)",
    ];
    const RANDOM: &'static str = "SELECT CAST(1 + FLOOR(RAND() * 9007199254740991) AS SIGNED)";

    fn check_address(at: &Address) -> Result<(), JournalError> {
        connect::options(at).map(drop)
    }

    async fn connect(at: &Address) -> Result<MySqlSession, JournalError> {
        connect::session(at).await
    }

    async fn prepare_writer(session: &mut MySqlSession) -> Result<(), JournalError> {
        connect::prepare_writer(session).await
    }

    async fn begin_brief(session: &mut MySqlSession, each: Duration) -> Result<(), sqlx::Error> {
        // MySQL itself knows no end for what writes.
        ignore_refused(session.batch(connect::statements_within(each)).await)?;
        session.batch(Self::BEGIN.to_owned()).await.map(|_| ())
    }

    async fn end_brief(session: &mut MySqlSession) -> Result<(), sqlx::Error> {
        let usual = connect::statements_within(connect::STATEMENT);
        ignore_refused(session.batch(usual).await).map(|_| ())
    }

    async fn check(_: &Address, session: &mut MySqlSession) -> Result<(), JournalError> {
        checks::check(session).await
    }

    fn starting(at: &Address) -> Result<DatabaseConnection, JournalError> {
        connect::starting(at)
    }

    fn readers(at: &Address, most: u32) -> Result<DatabaseConnection, JournalError> {
        connect::readers(at, most)
    }
}
