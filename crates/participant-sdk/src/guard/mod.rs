//! What makes a participant right under calls that repeat, come late, or come after
//! their opposite.
//!
//! ```text
//!   call ──▶ turn (one call of a branch at a time) ──▶ write queue (on SQLite) ──▶ SQL transaction
//!                                                        │ guard's row: insert, else read
//!                                                        │ table: run, record, repeat, refuse
//!                                                        │ business change, if it is to run
//!                                                        ▼
//!                                                      commit ──▶ answer
//! ```
//!
//! With [`Store::group_commit`](crate::Store::group_commit) the calls that wait in the write queue have one SQL transaction
//! together, and a savepoint each (`group`).

#[cfg(feature = "sea-orm")]
pub(crate) mod books;
#[cfg(feature = "sea-orm")]
mod call;
#[cfg(feature = "sea-orm")]
pub(crate) mod contention;
#[cfg(feature = "sea-orm")]
mod group;
#[cfg(feature = "sea-orm")]
pub(crate) mod miscounted;
#[cfg(feature = "sea-orm")]
pub(crate) mod patience;
#[cfg(feature = "sea-orm")]
pub(crate) mod purge;
#[cfg(feature = "sea-orm")]
mod row;
#[cfg(feature = "sea-orm")]
pub(crate) mod schema;
#[cfg(feature = "sea-orm")]
mod statements;
#[cfg(feature = "sea-orm")]
pub(crate) mod store;
pub(crate) mod table;
#[cfg(feature = "sea-orm")]
pub(crate) mod turn;
#[cfg(feature = "sea-orm")]
pub(crate) mod write_queue;
