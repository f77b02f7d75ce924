//! What can go wrong when the journal is opened, asked or closed. Writing never fails: it
//! is tried until it works.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sea_orm::DbErr;
use thiserror::Error;

/// Why the journal could not be opened, could not answer, or could not be closed in order.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The URL names a kind of database there is no journal for.
    #[error(
        "databases of scheme {scheme:?} are not supported; use sqlite://PATH, postgres://… or mysql://…"
    )]
    UnsupportedScheme {
        /// The scheme, the only part of the URL that holds no secret.
        scheme: String,
    },
    /// The URL is not of the form `sqlite://PATH`.
    #[error("the database URL must be sqlite://PATH with the path of a file: {why}")]
    InvalidUrl {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The URL of a database server makes no sense.
    #[error("the database URL must be {form}: {why}")]
    InvalidServerUrl {
        /// What such a URL looks like.
        form: &'static str,
        /// What is wrong with it; nothing of what it says.
        why: String,
    },
    /// A database server cannot be reached, or does not let us in.
    #[error("cannot use the database at {place}")]
    Unreachable {
        /// Where it is, without user and password.
        place: String,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// A database server is set up in a way that the journal cannot stand on.
    #[error("the database has {setting} = {found}: {mend}")]
    Setting {
        /// What is looked at.
        setting: &'static str,
        /// Its value.
        found: String,
        /// Why that will not do, and what to do.
        mend: &'static str,
    },
    /// A database server does not do what it is asked.
    #[error("the database refuses what it is asked, or has gone")]
    Server(#[from] sqlx::Error),
    /// What all nodes share is not in the database.
    #[error("the database has lost the secret that nodes share: start again")]
    NoSecret,
    /// A database that is to be copied is used by a node.
    #[error("the node at {url} uses one of the databases: stop it first")]
    NotOffline {
        /// Where it listens.
        url: String,
    },
    /// A database that is to be copied into has rows.
    #[error("the database to copy into is not empty")]
    NotEmpty,
    /// A database is being copied into.
    #[error(
        "another process copies everything into this database (tercet migrate copy): wait until it is done"
    )]
    BeingFilled,
    /// A copy is not what was copied.
    #[error(
        "the copy of {table} differs from what was copied: is one of the databases in use? Do not use the copy"
    )]
    CopyDiffers {
        /// Which table.
        table: &'static str,
    },
    /// Another life of a node of this name is at work.
    #[error(
        "a node named {node_id:?} is at work at {url}: each node on one database needs a name of its own. Give this one another, by [node] id"
    )]
    NodeIdTaken {
        /// The name.
        node_id: String,
        /// Where the other is reached.
        url: String,
    },
    /// Somebody else took the lock of the schema while this process held it.
    #[error("another process has begun to change the schema meanwhile; start again")]
    SchemaLockLost,
    /// Another process holds the lock beside the database.
    #[error("another process is using {path}: one process per SQLite file")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file is another program's. It was left as it was.
    #[error("{path} is not Tercet's ({why}): it is left as it was. Is the path right?")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that is known.
        why: &'static str,
    },
    /// The file has several names, each of which would have a log of its own.
    #[error(
        "{path} is one file by {names} names (hard links): two processes would write it. Copy it instead"
    )]
    Linked {
        /// The name it was given by.
        path: PathBuf,
        /// How many it has.
        names: u64,
    },
    /// What must be a file beside the database is none.
    #[error("{path} must be a file of its own, and no link, directory or device")]
    NoFile {
        /// What was found.
        path: PathBuf,
    },
    /// The log beside the database is another database's.
    #[error(
        "{wal} does not belong to {path}: {why}. If a backup was restored, move the log and the -shm file away first; else put back the database that the log belongs to"
    )]
    StrangeLog {
        /// The database.
        path: PathBuf,
        /// The log.
        wal: PathBuf,
        /// How that is known.
        why: &'static str,
    },
    /// The file system refused the database or the lock beside it.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// A backup is to be made where there is a file already.
    #[error("{path} is there already: it is replaced only if you say so")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A backup is to be made into the database itself, or the database restored from itself.
    #[error("{path} is the database itself, or belongs to it")]
    OntoItself {
        /// The file.
        path: PathBuf,
    },
    /// A database, or a copy of one, is not whole.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says of it.
        why: String,
    },
    /// The database would forget what it acknowledged.
    #[error("the database keeps {setting} = {found}, which could lose acknowledged writes")]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the schema up to date")]
    Migration(#[source] DbErr),
    /// A statement failed.
    #[error("the database does not answer")]
    Database(#[from] DbErr),
    /// A statement of SQLite's writer failed.
    #[error("the database does not take what is written")]
    Writing(#[from] rusqlite::Error),
    /// The files were moved or deleted beneath the process.
    #[error("{why}")]
    Moved {
        /// Which, and what to do.
        why: String,
    },
    /// A read for people took longer than it may.
    #[error("the database does not answer within {within:?}")]
    TooSlow {
        /// As long as that.
        within: Duration,
    },
    /// What an operator did was made of what is no longer the newest: somebody else was first.
    #[error("something else was written first")]
    Overtaken,
    /// A job is damaged in the database.
    #[error("the row of a job makes no sense: {why}")]
    UnreadableJob {
        /// What is wrong with it.
        why: String,
    },
    /// The definition of a saga is damaged in the database.
    #[error("the row of a saga's definition makes no sense: {why}")]
    UnreadableSaga {
        /// What is wrong with it.
        why: String,
    },
    /// The journal's thread could not be started.
    #[error("cannot start the journal's thread")]
    Thread(#[source] io::Error),
    /// The journal was closed, or its thread has ended.
    #[error("the journal is closed")]
    Closed,
    /// The time to close was up before all that was queued was durable.
    #[error("{records} records were not written before the journal was closed")]
    NotFlushed {
        /// How many.
        records: usize,
    },
}
