//! What a kind of database server needs of its own.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{DatabaseConnection, Statement};

use super::address::{Address, Form};
use crate::error::JournalError;
use crate::sql::{Fault, Field, Row, SharedDialect};

/// How long a connection may take to be made.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection that reads is kept unused: shorter than what lies between forgets one.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// How long it is kept at all.
pub(crate) const LIFETIME: Duration = Duration::from_secs(1_800);

/// A kind of database server.
#[async_trait]
pub(crate) trait Server: Copy + std::fmt::Debug + Send + Sync + 'static {
    /// How it is spoken to.
    type Dialect: SharedDialect;
    /// A connection to it.
    type Session: Session;

    /// What its URLs look like.
    const FORM: &'static Form;
    const DIALECT: Self::Dialect;
    /// Begins a transaction that writes.
    const BEGIN: &'static str;
    /// Makes the table of the schema's lock, and its one row.
    const MAKE_SCHEMA_LOCK: [&'static str; 2];
    /// Asks for a number that nobody else has been given.
    const RANDOM: &'static str;

    /// Refuses what the driver makes no sense of. It connects to nothing.
    fn check_address(at: &Address) -> Result<(), JournalError>;

    /// Opens a connection of which nothing is set.
    async fn connect(at: &Address) -> Result<Self::Session, JournalError>;

    /// Sets what the session that writes stands on.
    async fn prepare_writer(session: &mut Self::Session) -> Result<(), JournalError>;

    /// Begins a transaction that writes, each of whose statements the server ends after this long.
    async fn begin_brief(session: &mut Self::Session, each: Duration) -> Result<(), sqlx::Error>;

    /// After its end: what comes next may take as long as before.
    async fn end_brief(session: &mut Self::Session) -> Result<(), sqlx::Error>;

    /// Refuses a server that would forget what it acknowledges, or that nothing can be written to.
    /// `session` is the one that writes.
    async fn check(at: &Address, session: &mut Self::Session) -> Result<(), JournalError>;

    /// The one connection to start with. It is made when it is used.
    fn starting(at: &Address) -> Result<DatabaseConnection, JournalError>;

    /// Connections that read, each made when it is needed, on the runtime that needs it. What
    /// one transaction reads by them is of one moment.
    fn readers(at: &Address, most: u32) -> Result<DatabaseConnection, JournalError>;
}

/// A connection to a database server. Dropped, it ends, with whatever is half done on it.
#[async_trait]
pub(crate) trait Session: Send + Sized + 'static {
    /// Executes statements without values, in one message. Says how many rows they changed
    /// together.
    async fn batch(&mut self, sql: String) -> Result<u64, sqlx::Error>;

    /// Executes a statement, and says how many rows it changed.
    async fn execute(&mut self, statement: &Statement) -> Result<u64, sqlx::Error>;

    /// Asks for rows.
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, sqlx::Error>;

    /// Says good-bye.
    async fn end(self);

    /// Whether the server still had this connection when it was used last.
    fn liveness(&mut self) -> &mut Liveness;

    /// What an error says of the values.
    fn fault(error: &sqlx::Error) -> Fault;

    /// Asks for one value; nothing if the server does not know what is asked for.
    async fn value(&mut self, sql: &str) -> Result<Option<Field>, sqlx::Error>;
}

/// Whether a connection that nobody had used for a while was still there when it was used again.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    answered: bool,
    gone: bool,
}

impl Liveness {
    /// What comes next is the first message after a while.
    pub(crate) fn begin_turn(&mut self) {
        *self = Self::default();
    }

    /// Whether that first message found nobody, so that nothing was done.
    pub(crate) fn was_gone(&self) -> bool {
        self.gone
    }

    /// What became of a message. `is_end` tells the server's own words for the end of a session.
    pub(crate) fn note<T>(
        &mut self,
        result: Result<T, sqlx::Error>,
        is_end: impl Fn(&dyn sqlx::error::DatabaseError) -> bool,
    ) -> Result<T, sqlx::Error> {
        let ended = match &result {
            Err(sqlx::Error::Io(_)) => true,
            Err(sqlx::Error::Database(said)) => is_end(said.as_ref()),
            Ok(_) | Err(_) => false,
        };
        self.gone |= ended && !self.answered;
        self.answered = true;
        result
    }
}

/// The number that was asked for.
pub(crate) fn expect_number(found: Option<Field>) -> Result<i64, JournalError> {
    match found {
        Some(Field::Integer(number)) => Ok(number),
        Some(Field::Text(_) | Field::Other) | None => {
            let why = "the database answers a question for a number otherwise".into();
            Err(JournalError::Server(sqlx::Error::Protocol(why)))
        }
    }
}

/// What the server itself refuses is let be: not every server has every setting.
pub(crate) fn ignore_refused(set: Result<u64, sqlx::Error>) -> Result<(), sqlx::Error> {
    match set {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
        Err(other) => Err(other),
    }
}
