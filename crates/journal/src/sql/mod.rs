//! What is the same for every SQL database: the exactly-once protocol of a batch as a machine
//! without IO (`commit`), the rows a batch writes (`write`), reads through sea-orm. What a
//! database says in words of its own is its `Dialect`; what drives the machine and opens
//! connections is its store.

pub(crate) mod audit;
mod commit;
mod dialect;
mod entities;
pub(crate) mod holds;
mod jobs;
mod key;
mod lenient_rows;
pub(crate) mod list;
pub(crate) mod list_query;
mod list_walk;
mod load;
pub(crate) mod pauses;
pub(crate) mod read;
pub(crate) mod retention;
mod rows;
mod sagas;
mod sizes;
mod store;
pub(crate) mod summary;
mod within;
mod write;

pub(crate) use self::commit::{
    Answer, ChunkMachine, CommitMachine, Fault, Field, LeaveMachine, Machine, Row, Step,
};
pub(crate) use self::dialect::{Dialect, SharedDialect, driven_by_nobody, words};
pub(crate) use self::entities::{
    audit as act, branch, detail, event, hold, job, node, options, outcome, own_options, pause,
    result, saga, tick, transaction,
};
pub(crate) use self::key::{NARROW, column_of, key_in, rows_key};
pub(crate) use self::sizes::padded;
pub(crate) use self::store::{OWN_READS, Pools, SqlStore, bounded, discard};
pub(crate) use self::summary::{FinishedCounts, LifeOfNode, NODES, lives};
pub(crate) use self::write::{WriteKind, WriteRows, write_rows};
