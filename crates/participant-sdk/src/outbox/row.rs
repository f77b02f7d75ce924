//! The table of the outbox.

use sea_orm::DbBackend;

/// The table. `due_at` is when a relay is to see to the row next, and of what has ended, when that was; `owner` is
/// a number that a relay draws for each claim. Times are the database's own.
pub(super) fn create(backend: DbBackend) -> &'static [&'static str] {
    const INDEX: &str =
        "CREATE INDEX IF NOT EXISTS tercet_outbox_due ON tercet_outbox (state, due_at)";
    match backend {
        DbBackend::MySql => &["CREATE TABLE IF NOT EXISTS tercet_outbox ( \
               gid VARCHAR(128) NOT NULL PRIMARY KEY, \
               request LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, \
               traceparent VARCHAR(255), \
               state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, due_at BIGINT NOT NULL, \
               attempts INT NOT NULL, written_at BIGINT NOT NULL, \
               reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
               KEY tercet_outbox_due (state, due_at)) \
             ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"],
        DbBackend::Postgres => &[
            "CREATE TABLE IF NOT EXISTS tercet_outbox ( \
               gid VARCHAR(128) COLLATE \"C\" NOT NULL PRIMARY KEY, \
               request TEXT NOT NULL, traceparent VARCHAR(255), \
               state VARCHAR(9) COLLATE \"C\" NOT NULL, owner BIGINT NOT NULL, \
               due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL, \
               reason TEXT)",
            INDEX,
        ],
        DbBackend::Sqlite | _ => &[
            "CREATE TABLE IF NOT EXISTS tercet_outbox ( \
               gid VARCHAR(128) NOT NULL PRIMARY KEY, \
               request TEXT NOT NULL, traceparent VARCHAR(255), \
               state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, \
               due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL, \
               reason TEXT)",
            INDEX,
        ],
    }
}
