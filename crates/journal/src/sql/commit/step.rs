//! What the machine and its driver say to each other: small values of their own, so that neither
//! depends on how a database is spoken to.

use sea_orm::Statement;

use crate::store::CommitError;
use tercet_engine::TransactionKey;

/// What is to be done next, on the one connection that writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step<T = Vec<TransactionKey>> {
    /// Begin a transaction that writes, and execute this as its first statement: together, where
    /// a database takes both in one message.
    Begin(Statement),
    /// Execute this, and say how many rows it changed.
    Execute(Statement),
    /// Ask for these rows.
    Query(Statement),
    /// Commit the transaction.
    Commit,
    /// Roll the transaction back, in which nothing was written.
    Rollback,
    /// What was to be written is durable: a batch but for these lives, whose gids belong to
    /// others. Or it is not, or nobody knows: then the connection is to be discarded.
    Done(Result<T, CommitError>),
}

/// What is written in one transaction, without the IO: whoever drives it does each step and hands
/// back what came of it.
pub(crate) trait Machine {
    /// What is known once it is written.
    type Done;

    /// The first step.
    fn start(&mut self) -> Step<Self::Done>;

    /// The step that follows from the answer to the last.
    fn next(&mut self, answer: Answer) -> Step<Self::Done>;
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// So many rows were changed.
    Changed(u64),
    /// These rows were found.
    Found(Vec<Row>),
    /// The transaction has ended as asked.
    Ended,
    /// It did not work, or nobody knows whether it did.
    Failed(Fault),
}

/// How the store judges an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It may pass, or nobody knows what happened.
    Again(String),
    /// Another transaction was in the way, and this one is undone: repeated at once it goes through.
    Conflict(String),
    /// The values are at fault, so that they will never be taken.
    Rejected(String),
    /// A row with that key is there already, and the statement has written nothing. It is said by
    /// databases that cannot leave such rows out by themselves.
    Taken(String),
}

/// A row that was asked for.
pub(crate) type Row = Vec<Field>;

/// A value in such a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Anything else, null included: nothing that is asked for.
    Other,
}
