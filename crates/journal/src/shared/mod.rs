//! Rows on a database server: PostgreSQL's and MySQL's kinds alike. One driver for both: it does
//! what the commit machine says on one connection, which is discarded after any error. What a
//! kind of server needs of its own is its [`Server`] and its dialect.

mod address;
mod cluster;
mod commit;
mod database;
mod offline;
mod opening;
mod rows_under;
mod schema;
mod server;
mod store;
#[cfg(all(test, feature = "databases"))]
mod tests;
mod work;

pub(crate) use self::address::{Address, Form};
pub(crate) use self::database::SharedDatabase;
use self::offline::{end_lives, fill, offline};
use self::schema::{migrate_up, migration_status};
pub(crate) use self::server::{
    CONNECT_WITHIN, IDLE, LIFETIME, Liveness, Server, Session, ignore_refused,
};
