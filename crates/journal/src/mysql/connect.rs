//! Connections to MariaDB and MySQL, and what their sessions are set to.

use std::time::Duration;

use sea_orm::{DatabaseConnection, SqlxMySqlConnector};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::session::MySqlSession;
use crate::error::JournalError;
use crate::shared::{Address, CONNECT_WITHIN, IDLE, LIFETIME, Session, ignore_refused};

/// Statements kept compiled: the kinds of them times the sizes they come in.
const STATEMENTS_KEPT: usize = 512;

/// Values that do not fit are refused and not cut.
const STRICT: &str = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";

/// A server may begin a transaction with whatever is asked, which nothing would end.
const AUTOCOMMIT: &str = "SET SESSION autocommit = 1";

const READ_COMMITTED: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// What the session that writes stands on. Who is frozen in the middle of a batch must let go of
/// its rows soon: somebody may wait for one of its gids.
const WRITER: [&str; 4] =
    [AUTOCOMMIT, READ_COMMITTED, STRICT, "SET SESSION innodb_lock_wait_timeout = 1"];

/// Ends a transaction whose client has fallen silent: MariaDB's, and what MySQL has in its place,
/// which ends idle sessions too.
const IDLE_IN_TRANSACTION: [&str; 2] =
    ["SET SESSION idle_write_transaction_timeout = 1", "SET SESSION wait_timeout = 2"];

/// How long a statement of the writer's may take.
pub(super) const STATEMENT: Duration = Duration::from_secs(10);

/// What some of the servers have.
const WRITER_OF_SOME: [&str; 2] =
    ["SET SESSION tidb_txn_mode = 'pessimistic'", "SET SESSION tidb_idle_transaction_timeout = 1"];

/// For whoever reads: each transaction sees one moment and writes nothing.
const READER: [&str; 3] = [
    AUTOCOMMIT,
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION READ ONLY",
];

/// For starting: what waits for a row must see it as it is afterwards.
const STARTING: [&str; 4] =
    [AUTOCOMMIT, READ_COMMITTED, STRICT, "SET SESSION innodb_lock_wait_timeout = 10"];

/// How the server is reached.
pub(super) fn options(at: &Address) -> Result<MySqlConnectOptions, JournalError> {
    let refused = |error: sqlx::Error| JournalError::InvalidServerUrl {
        form: super::FORM.example,
        // Of the values only those of parameters are read here, none of which is secret.
        why: error.to_string(),
    };
    let mut options = MySqlConnectOptions::from_url(at.url()).map_err(refused)?;
    if let Some(address) = at.ipv6() {
        options = options.host(&address);
    }
    Ok(options.statement_cache_capacity(STATEMENTS_KEPT).disable_statement_logging())
}

pub(super) async fn session(at: &Address) -> Result<MySqlSession, JournalError> {
    let options = options(at)?;
    let unreachable = |source| JournalError::Unreachable { place: at.place().to_owned(), source };
    match tokio::time::timeout(CONNECT_WITHIN, options.connect()).await {
        Ok(connected) => connected.map(MySqlSession::new).map_err(unreachable),
        Err(_) => Err(unreachable(sqlx::Error::PoolTimedOut)),
    }
}

/// Sets how long a statement may take, where the server is MariaDB.
pub(super) fn statements_within(each: Duration) -> String {
    format!("SET SESSION max_statement_time = {:.3}", each.as_secs_f64())
}

pub(super) async fn prepare_writer(session: &mut MySqlSession) -> Result<(), JournalError> {
    for set in WRITER {
        session.batch(set.to_owned()).await?;
    }
    let [of_mariadb, of_mysql] = IDLE_IN_TRANSACTION;
    match session.batch(of_mariadb.to_owned()).await {
        Err(sqlx::Error::Database(_)) => session.batch(of_mysql.to_owned()).await?,
        set => set?,
    };
    ignore_refused(session.batch(statements_within(STATEMENT)).await)?;
    for set in WRITER_OF_SOME {
        ignore_refused(session.batch(set.to_owned()).await)?;
    }
    Ok(())
}

pub(super) fn starting(at: &Address) -> Result<DatabaseConnection, JournalError> {
    pool(at, 1, &STARTING)
}

pub(super) fn readers(at: &Address, most: u32) -> Result<DatabaseConnection, JournalError> {
    pool(at, most, &READER)
}

/// Connections that are made when they are needed, each of which is told this first.
fn pool(
    at: &Address,
    most: u32,
    first: &'static [&'static str],
) -> Result<DatabaseConnection, JournalError> {
    let pool = MySqlPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(CONNECT_WITHIN)
        // One that the server has ended meanwhile must not cost anybody a read.
        .test_before_acquire(true)
        .idle_timeout(IDLE)
        .max_lifetime(LIFETIME)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for set in first {
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(*set))).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options(at)?);
    Ok(SqlxMySqlConnector::from_sqlx_mysql_pool(pool))
}
