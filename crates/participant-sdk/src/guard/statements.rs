//! The guard's SQL, one text per database. docs/guard-sql.md tells other languages the same; a test
//! runs what stands there.
//!
//! Nothing here needs more than what compatible databases really honour: writes of single rows by
//! their key, and a lock on one row that is there. Ids compare by byte everywhere, so that `A`
//! and `a` are two transactions.

use sea_orm::DbBackend;

/// The guard's statements, in the words of one database.
#[derive(Debug)]
pub(super) struct Statements {
    /// Make the table and its index where they are missing.
    pub(super) create: &'static [&'static str],
    /// `(gid, branch_id, instance, legs, state, updated_at)`: the row, unless there is one.
    pub(super) insert: &'static str,
    /// `(gid, branch_id)`: the row, locked.
    pub(super) find: &'static str,
    /// `(state, updated_at, gid, branch_id, state before)`: the next state.
    pub(super) replace: &'static str,
    /// `(updated_at, gid, branch_id)`: the row was called again.
    pub(super) touch: &'static str,
    /// `(updated_at, limit)`: keys of rows older than that which may go.
    pub(super) expired: &'static str,
    /// `(gid, branch_id, updated_at)`: one of them, if it was not called meanwhile.
    pub(super) delete: &'static str,
    /// `(gid, branch_id, instance, result)`: what its Try is answered with.
    pub(super) keep_result: &'static str,
    /// `(gid, branch_id, instance)`: the same, if there is any.
    pub(super) find_result: &'static str,
    /// `(gid, branch_id)`: it goes with its row.
    pub(super) delete_result: &'static str,
    /// `(updated_at)`: how many older rows are kept, because their transactions are not decided.
    pub(super) undecided: &'static str,
    /// `(gid, gid, branch_id, limit)`: rows that come after this key, in the order of their keys.
    pub(super) page: &'static str,
}

impl Statements {
    /// Those for this database.
    pub(super) fn of(backend: DbBackend) -> &'static Self {
        match backend {
            DbBackend::Postgres => &POSTGRES,
            DbBackend::MySql => &MYSQL,
            // sea-orm keeps the right to add databases; the plainest SQL is the best guess.
            DbBackend::Sqlite | _ => &SQLITE,
        }
    }
}

/// The values of `insert` and `find`: a row without an instance if it was written, and then what is there. For SQLite
/// alone, where nobody waits for a row; what goes to a connection's thread in one piece takes one turn of it.
macro_rules! insert_and_find {
    ($before:literal) => {
        concat!(
            $before,
            "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (gid, branch_id) DO NOTHING \
             RETURNING NULL AS instance; \
             SELECT instance, state, updated_at FROM tercet_guard \
             WHERE gid = ? AND branch_id = ?"
        )
    };
}

/// In an SQL transaction of the call's own.
pub(super) const INSERT_AND_FIND: &str = insert_and_find!("");
/// The first in one that it shares: what it writes can be taken back by itself.
pub(super) const INSERT_AND_FIND_FIRST: &str = insert_and_find!("SAVEPOINT tercet_call; ");
/// Behind another one there. The savepoint of that is still there as long as the SQL transaction is the same.
pub(super) const INSERT_AND_FIND_NEXT: &str =
    insert_and_find!("RELEASE tercet_call; SAVEPOINT tercet_call; ");
/// Takes back what the last call has written.
pub(super) const TAKE_BACK: &str = "ROLLBACK TO tercet_call";
/// Behind the last call; fails if the SQL transaction is not the same any more.
pub(super) const RELEASE: &str = "RELEASE tercet_call";

const SQLITE: Statements = Statements {
    create: &[
        "CREATE TABLE IF NOT EXISTS tercet_guard ( \
           gid VARCHAR(128) NOT NULL, \
           branch_id VARCHAR(64) NOT NULL, \
           instance CHAR(36) NOT NULL, \
           legs VARCHAR(18) NOT NULL, \
           state VARCHAR(9) NOT NULL, \
           updated_at BIGINT NOT NULL, \
           PRIMARY KEY (gid, branch_id))",
        "CREATE INDEX IF NOT EXISTS tercet_guard_updated_at ON tercet_guard (updated_at)",
        "CREATE TABLE IF NOT EXISTS tercet_guard_results ( \
           gid VARCHAR(128) NOT NULL, \
           branch_id VARCHAR(64) NOT NULL, \
           instance CHAR(36) NOT NULL, \
           result TEXT NOT NULL, \
           PRIMARY KEY (gid, branch_id))",
    ],
    insert: "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (gid, branch_id) DO NOTHING",
    find: "SELECT instance, state, updated_at FROM tercet_guard WHERE gid = ? AND branch_id = ?",
    replace: "UPDATE tercet_guard SET state = ?, updated_at = ? \
              WHERE gid = ? AND branch_id = ? AND state = ?",
    touch: "UPDATE tercet_guard SET updated_at = ? WHERE gid = ? AND branch_id = ?",
    expired: "SELECT gid, branch_id FROM tercet_guard WHERE updated_at < ? \
              AND (state <> 'tried' OR legs <> 'try,confirm,cancel') ORDER BY updated_at LIMIT ?",
    delete: "DELETE FROM tercet_guard WHERE gid = ? AND branch_id = ? AND updated_at < ?",
    keep_result: "INSERT INTO tercet_guard_results (gid, branch_id, instance, result) \
                  VALUES (?, ?, ?, ?) ON CONFLICT (gid, branch_id) \
                  DO UPDATE SET instance = excluded.instance, result = excluded.result",
    find_result: "SELECT result FROM tercet_guard_results \
                  WHERE gid = ? AND branch_id = ? AND instance = ?",
    delete_result: "DELETE FROM tercet_guard_results WHERE gid = ? AND branch_id = ?",
    undecided: "SELECT COUNT(*) AS kept FROM tercet_guard WHERE updated_at < ? \
                AND state = 'tried' AND legs = 'try,confirm,cancel'",
    page: "SELECT gid, branch_id, instance, state, updated_at FROM tercet_guard \
           WHERE gid >= ? AND (gid > ? OR branch_id > ?) ORDER BY gid, branch_id LIMIT ?",
};

const POSTGRES: Statements = Statements {
    create: &[
        "CREATE TABLE IF NOT EXISTS tercet_guard ( \
           gid VARCHAR(128) COLLATE \"C\" NOT NULL, \
           branch_id VARCHAR(64) COLLATE \"C\" NOT NULL, \
           instance VARCHAR(36) COLLATE \"C\" NOT NULL, \
           legs VARCHAR(18) COLLATE \"C\" NOT NULL, \
           state VARCHAR(9) COLLATE \"C\" NOT NULL, \
           updated_at BIGINT NOT NULL, \
           PRIMARY KEY (gid, branch_id))",
        "CREATE INDEX IF NOT EXISTS tercet_guard_updated_at ON tercet_guard (updated_at)",
        "CREATE TABLE IF NOT EXISTS tercet_guard_results ( \
           gid VARCHAR(128) COLLATE \"C\" NOT NULL, \
           branch_id VARCHAR(64) COLLATE \"C\" NOT NULL, \
           instance VARCHAR(36) COLLATE \"C\" NOT NULL, \
           result TEXT NOT NULL, \
           PRIMARY KEY (gid, branch_id))",
    ],
    insert: "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (gid, branch_id) DO NOTHING",
    find: "SELECT instance, state, updated_at FROM tercet_guard \
           WHERE gid = $1 AND branch_id = $2 FOR UPDATE",
    replace: "UPDATE tercet_guard SET state = $1, updated_at = $2 \
              WHERE gid = $3 AND branch_id = $4 AND state = $5",
    touch: "UPDATE tercet_guard SET updated_at = $1 WHERE gid = $2 AND branch_id = $3",
    expired: "SELECT gid, branch_id FROM tercet_guard WHERE updated_at < $1 \
              AND (state <> 'tried' OR legs <> 'try,confirm,cancel') ORDER BY updated_at LIMIT $2",
    delete: "DELETE FROM tercet_guard WHERE gid = $1 AND branch_id = $2 AND updated_at < $3",
    keep_result: "INSERT INTO tercet_guard_results (gid, branch_id, instance, result) \
                  VALUES ($1, $2, $3, $4) ON CONFLICT (gid, branch_id) \
                  DO UPDATE SET instance = excluded.instance, result = excluded.result",
    find_result: "SELECT result FROM tercet_guard_results \
                  WHERE gid = $1 AND branch_id = $2 AND instance = $3",
    delete_result: "DELETE FROM tercet_guard_results WHERE gid = $1 AND branch_id = $2",
    undecided: "SELECT COUNT(*) AS kept FROM tercet_guard WHERE updated_at < $1 \
                AND state = 'tried' AND legs = 'try,confirm,cancel'",
    page: "SELECT gid, branch_id, instance, state, updated_at FROM tercet_guard \
           WHERE gid >= $1 AND (gid > $2 OR branch_id > $3) ORDER BY gid, branch_id LIMIT $4",
};

const MYSQL: Statements = Statements {
    // The engine is named because one without transactions would guard nothing.
    create: &[
        "CREATE TABLE IF NOT EXISTS tercet_guard ( \
           gid VARCHAR(128) NOT NULL, \
           branch_id VARCHAR(64) NOT NULL, \
           instance CHAR(36) NOT NULL, \
           legs VARCHAR(18) NOT NULL, \
           state VARCHAR(9) NOT NULL, \
           updated_at BIGINT NOT NULL, \
           PRIMARY KEY (gid, branch_id), \
           KEY tercet_guard_updated_at (updated_at)) \
         ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin",
        "CREATE TABLE IF NOT EXISTS tercet_guard_results ( \
           gid VARCHAR(128) NOT NULL, \
           branch_id VARCHAR(64) NOT NULL, \
           instance CHAR(36) NOT NULL, \
           result MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL, \
           PRIMARY KEY (gid, branch_id)) \
         ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin",
    ],
    insert: "INSERT IGNORE INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?)",
    find: "SELECT instance, state, updated_at FROM tercet_guard \
           WHERE gid = ? AND branch_id = ? FOR UPDATE",
    replace: SQLITE.replace,
    touch: SQLITE.touch,
    expired: SQLITE.expired,
    delete: SQLITE.delete,
    keep_result: "INSERT INTO tercet_guard_results (gid, branch_id, instance, result) \
                  VALUES (?, ?, ?, ?) \
                  ON DUPLICATE KEY UPDATE instance = VALUES(instance), result = VALUES(result)",
    find_result: SQLITE.find_result,
    delete_result: SQLITE.delete_result,
    undecided: SQLITE.undecided,
    page: SQLITE.page,
};
