//! Connections to PostgreSQL, and what their sessions are set to.

use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::session::PostgresSession;
use crate::error::JournalError;
use crate::shared::{Address, CONNECT_WITHIN, IDLE, LIFETIME, Session, ignore_refused};
use crate::sql::Field;

/// What the session that writes stands on. Who is frozen in the middle of a batch must let go of
/// its rows soon: somebody may wait for one of its gids.
const WRITER: [&str; 4] = [
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET lock_timeout = '1s'",
    "SET statement_timeout = '10s'",
    "SET idle_in_transaction_session_timeout = '1s'",
];

/// Plans are made while the tables are small and kept: they must stay by the keys when the tables
/// have grown. Databases that only speak PostgreSQL's protocol need not have these.
const PLANNER: [&str; 4] = [
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
];

/// For whoever reads: each transaction sees one moment and writes nothing.
const READER: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, \
     READ ONLY; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'";

/// For starting: what waits for a row must see it as it is afterwards.
const STARTING: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, \
     READ WRITE; SET lock_timeout = '10s'; SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; SET synchronous_commit = on";

/// How the server is reached.
pub(super) fn options(at: &Address) -> Result<PgConnectOptions, JournalError> {
    let refused = |error: sqlx::Error| JournalError::InvalidServerUrl {
        form: super::FORM.example,
        // Of the values only those of parameters are read here, none of which is secret.
        why: error.to_string(),
    };
    let mut options = PgConnectOptions::from_url(at.url()).map_err(refused)?;
    if let Some(address) = at.ipv6() {
        options = options.host(&address);
    }
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("tercet"),
    };
    Ok(options.disable_statement_logging())
}

pub(super) async fn session(at: &Address) -> Result<PostgresSession, JournalError> {
    let options = options(at)?;
    let unreachable = |source| JournalError::Unreachable { place: at.place().to_owned(), source };
    match tokio::time::timeout(CONNECT_WITHIN, options.connect()).await {
        Ok(connected) => connected.map(PostgresSession::new).map_err(unreachable),
        Err(_) => Err(unreachable(sqlx::Error::PoolTimedOut)),
    }
}

pub(super) async fn prepare_writer(session: &mut PostgresSession) -> Result<(), JournalError> {
    for set in WRITER {
        session.batch(set.to_owned()).await?;
    }
    for set in PLANNER {
        ignore_refused(session.batch(set.to_owned()).await)?;
    }
    // Whoever has set it to more than this machine's disk has done so with reason.
    let found = session.value("SELECT current_setting('synchronous_commit')").await?;
    if matches!(found, Some(Field::Text(found)) if found == "off") {
        session.batch("SET synchronous_commit = on".to_owned()).await?;
    }
    Ok(())
}

pub(super) fn starting(at: &Address) -> Result<DatabaseConnection, JournalError> {
    pool(at, 1, STARTING)
}

pub(super) fn readers(at: &Address, most: u32) -> Result<DatabaseConnection, JournalError> {
    pool(at, most, READER)
}

/// Connections that are made when they are needed, each of which is told this first.
fn pool(at: &Address, most: u32, first: &'static str) -> Result<DatabaseConnection, JournalError> {
    let pool = PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(CONNECT_WITHIN)
        // One that the server has ended meanwhile must not cost anybody a read.
        .test_before_acquire(true)
        .idle_timeout(IDLE)
        // Plans that were made while the tables were small go with it.
        .max_lifetime(LIFETIME)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(first))).await.map(|_| ())
            })
        })
        .connect_lazy_with(options(at)?);
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}
