//! What MariaDB and MySQL are told when a batch is written.

use sea_orm::{DbBackend, Statement, Value};
use tercet_engine::{Chunk, LifeState};
use tercet_wire::{Gid, Incarnation, NODE_PROTOCOL, Status, Wall};

use crate::sql::{
    Dialect, NARROW, NODES, SharedDialect, WriteKind, WriteRows, driven_by_nobody, key_in, padded,
    words,
};
use crate::store::{Life, NOBODY, PurgeBatch};

/// Their words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MySqlDialect;

/// Rows come as a derived table, whose texts have the connection's character set. Where they are
/// compared with an identifier's they must have its own, or the two collations are a mixture
/// that is refused.
const FIND_BY_GID: &str = "g.gid = CONVERT(v.c1 USING ascii) COLLATE ascii_bin";

impl Dialect for MySqlDialect {
    /// Well within the 65 535 that may be bound in one statement: what a statement of so many
    /// costs grows faster than they do.
    const MAX_BINDS: usize = 26_000;

    fn fence(self, own: Incarnation, number: i64, written_at: Wall) -> Statement {
        batch(own, number, LifeState::Live, written_at)
    }

    fn look(self, own: Incarnation) -> Statement {
        // As it is now: without this it could be the row of an older moment.
        let look = "SELECT state, batch_no FROM nodes WHERE incarnation = ? FOR UPDATE";
        statement(look, vec![own.0.into()])
    }

    fn holders(self, mut gids: Vec<Value>) -> Statement {
        let marks = marks(&mut gids);
        let ask = format!("SELECT gid, instance FROM global_transactions WHERE gid IN ({marks})");
        statement(ask, gids)
    }

    fn write(self, kind: WriteKind, rows: WriteRows, own: Incarnation) -> Statement {
        match kind {
            // What is taken is refused: words that leave out such rows count them as inserted, or
            // cut values that do not fit.
            WriteKind::Begin
            | WriteKind::Details
            | WriteKind::OwnOptions
            | WriteKind::Branches
            | WriteKind::Options
            | WriteKind::Results
            | WriteKind::Events
            | WriteKind::Sagas
            | WriteKind::Jobs
            | WriteKind::Ticks
            | WriteKind::Holds
            | WriteKind::Audit => inserted(kind, rows, ""),
            WriteKind::Advance => between(
                "UPDATE global_transactions AS g JOIN (",
                rows,
                &format!(
                    ") AS v ON {FIND_BY_GID} AND {} \
                     SET g.status = COALESCE(v.c4, g.status), \
                     g.owner = CASE WHEN v.c8 IS NULL THEN g.owner END, \
                     g.reason = COALESCE(v.c5, g.reason), \
                     g.parked = COALESCE(v.c6, g.parked), \
                     g.decided_at = COALESCE(v.c7, g.decided_at), \
                     g.finished_at = COALESCE(v.c8, g.finished_at)",
                    is_as_expected()
                ),
                Some(own),
            ),
            WriteKind::Stay => between(
                "SELECT COUNT(*) AS found FROM (",
                rows,
                &format!(
                    ") AS v JOIN global_transactions AS g ON {FIND_BY_GID} AND {}",
                    is_as_expected()
                ),
                Some(own),
            ),
            WriteKind::Reasons => between(
                "UPDATE global_details AS g JOIN (SELECT gid AS c1, reason_detail AS c2 \
                 FROM global_details WHERE FALSE UNION ALL ",
                rows,
                &format!(") AS v ON {FIND_BY_GID} SET g.reason_detail = v.c2"),
                None,
            ),
            WriteKind::Addresses => between(
                "UPDATE branch_transactions AS g JOIN (SELECT gid AS c1, branch_id AS c2, \
                 participant AS c3, try_url AS c4, confirm_url AS c5, cancel_url AS c6, \
                 headers AS c7 FROM branch_transactions WHERE FALSE UNION ALL ",
                rows,
                &format!(
                    ") AS v ON {FIND_BY_GID} \
                     AND g.branch_id = CONVERT(v.c2 USING ascii) COLLATE ascii_bin \
                     SET g.participant = v.c3, g.try_url = v.c4, g.confirm_url = v.c5, \
                     g.cancel_url = v.c6, g.headers = v.c7"
                ),
                None,
            ),
            WriteKind::Outcomes => inserted(
                kind,
                rows,
                " ON DUPLICATE KEY UPDATE status = VALUES(status), \
                 try_attempts = VALUES(try_attempts), \
                 confirm_attempts = VALUES(confirm_attempts), \
                 cancel_attempts = VALUES(cancel_attempts), parked = VALUES(parked), \
                 last_error = VALUES(last_error), answer_status = VALUES(answer_status), \
                 answer_body = VALUES(answer_body), resolved_as = VALUES(resolved_as), \
                 acknowledged_at = VALUES(acknowledged_at), last_answer = VALUES(last_answer), \
                 pending_resolution = VALUES(pending_resolution), \
                 contradicted = VALUES(contradicted)",
            ),
            WriteKind::Pauses => inserted(
                kind,
                rows,
                " ON DUPLICATE KEY UPDATE paused = VALUES(paused), at = VALUES(at), \
                 who = VALUES(who), note = VALUES(note)",
            ),
        }
    }

    fn counts_rows_of(self, kind: WriteKind) -> bool {
        // A row that is replaced counts as two, and one that stays the same as one or as none.
        !matches!(kind, WriteKind::Outcomes | WriteKind::Pauses)
    }

    fn nodes(self) -> Statement {
        statement(NODES, Vec::new())
    }

    fn delete(self, table: &str, due: &PurgeBatch) -> Statement {
        let mut values: Vec<Value> = due.gids.iter().map(|gid| gid.as_str().into()).collect();
        let marks = marks(&mut values);
        values.push(due.finished_before.0.into());
        // A table cannot be asked about itself while rows are deleted from it.
        let delete = match table {
            NARROW => format!("DELETE FROM {table} WHERE gid IN ({marks}) AND finished_at < ?"),
            _ => format!(
                "DELETE p FROM {table} AS p JOIN global_transactions AS g ON p.gid = {} \
                 WHERE g.gid IN ({marks}) AND g.finished_at < ?",
                key_in(table, "g")
            ),
        };
        statement(delete, values)
    }
}

impl SharedDialect for MySqlDialect {
    fn leave(self, own: Incarnation, number: i64, written_at: Wall) -> Statement {
        batch(own, number, LifeState::Left, written_at)
    }

    fn take(self, own: Incarnation, chunk: &Chunk) -> Statement {
        let mut gids = texts(&chunk.gids);
        let marks = marks(&mut gids);
        let take = format!("UPDATE global_transactions SET owner = ? WHERE gid IN ({marks})");
        let mut values = vec![own.0.into()];
        values.append(&mut gids);
        if chunk.dead == NOBODY {
            return statement(format!("{take} AND {}", driven_by_nobody()), values);
        }
        values.push(chunk.dead.0.into());
        statement(format!("{take} AND owner = ?"), values)
    }

    fn taken(self, own: Incarnation, gids: &[Gid]) -> Statement {
        let mut values = texts(gids);
        let marks = marks(&mut values);
        values.push(own.0.into());
        let ask =
            format!("SELECT gid FROM global_transactions WHERE gid IN ({marks}) AND owner = ?");
        statement(ask, values)
    }

    fn register(self, life: &Life, written_at: Option<Wall>) -> Vec<Statement> {
        vec![statement(
            "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, protocol, started_at, \
             written_at) VALUES (?, ?, ?, 'live', 0, ?, ?, ?)",
            vec![
                life.incarnation.0.into(),
                life.node_id.as_str().into(),
                life.node_url.as_str().into(),
                NODE_PROTOCOL.into(),
                life.started_at.0.into(),
                written_at.map(|at| at.0).into(),
            ],
        )]
    }

    fn mark(self, dead: Incarnation, seen: i64) -> Statement {
        let mark = "UPDATE nodes SET state = 'fenced' \
                    WHERE incarnation = ? AND state = 'live' AND batch_no = ?";
        statement(mark, vec![dead.0.into(), seen.into()])
    }

    fn remove(self, dead: Incarnation) -> Statement {
        let remove = "DELETE FROM nodes WHERE incarnation = ? AND state <> 'live' \
                      AND NOT EXISTS (SELECT 1 FROM global_transactions WHERE owner = ?)";
        statement(remove, vec![dead.0.into(), dead.0.into()])
    }

    fn keep_setting(self, name: &str, value: &str) -> Statement {
        let keep = "INSERT INTO cluster_settings (name, value) VALUES (?, ?) \
                    ON DUPLICATE KEY UPDATE name = name";
        statement(keep, vec![name.into(), value.into()])
    }

    fn unowned(self) -> Statement {
        // The index of owners has all that have finished under null.
        let unfinished = words(|status| !status.is_finished());
        let ask = format!(
            "SELECT 1 FROM global_transactions FORCE INDEX (global_transactions_status) \
             WHERE status IN ({unfinished}) AND owner IS NULL LIMIT 1"
        );
        statement(ask, Vec::new())
    }
}

/// Moves this life's row on to a batch, if it follows the one before.
fn batch(own: Incarnation, number: i64, state: LifeState, written_at: Wall) -> Statement {
    // Numbers alone, and a word of ours, so that it can be sent together with START TRANSACTION.
    let state = match state {
        LifeState::Live => String::new(),
        LifeState::Left | LifeState::Fenced => format!(", state = '{}'", state.as_str()),
    };
    let fence = format!(
        "UPDATE nodes SET batch_no = {number}, written_at = {}{state} \
         WHERE incarnation = {} AND state = 'live' AND batch_no = {}",
        written_at.0,
        own.0,
        number - 1
    );
    statement(fence, Vec::new())
}

/// Whether a row is as a change starts from, and this life's to write: by its owner; what has
/// finished has none and is everybody's. One that has lost its owner is nobody's until it is
/// taken over.
fn is_as_expected() -> String {
    format!(
        "g.instance = CONVERT(v.c2 USING ascii) COLLATE ascii_bin \
         AND g.status = COALESCE(v.c3, g.status) AND COALESCE(g.owner = ?, g.status IN ({}))",
        words(Status::is_finished)
    )
}

fn texts(gids: &[Gid]) -> Vec<Value> {
    gids.iter().map(|gid| gid.as_str().into()).collect()
}

/// As many question marks as these values are when they are padded by nulls, which nothing
/// equals.
fn marks(values: &mut Vec<Value>) -> String {
    values.resize(padded(values.len()), Value::String(None));
    vec!["?"; values.len()].join(",")
}

/// The statement made of what comes before the rows and after. Rows of nothing but nulls
/// follow the others, and must mean nothing to it.
fn between(before: &str, rows: WriteRows, after: &str, own: Option<Incarnation>) -> Statement {
    let WriteRows { mut values, width, rows } = rows;
    // Nulls of each column's own kind, since a column's kind follows from all of its values.
    let nulls: Vec<Value> = values[..width].iter().map(Value::as_null).collect();
    let padded = padded(rows);
    values.reserve_exact((padded - rows) * width + 1);
    for _ in rows..padded {
        values.extend_from_slice(&nulls);
    }
    values.extend(own.map(|own| Value::from(own.0)));
    let names: Vec<String> = (1..=width).map(|column| format!("? AS c{column}")).collect();
    let row = format!(" UNION ALL SELECT ?{}", ",?".repeat(width - 1));
    let sql = format!("{before}SELECT {}{}{after}", names.join(","), row.repeat(padded - 1));
    statement(sql, values)
}

/// The same, for rows that are inserted. Their first column is never null.
///
/// The derived table has the columns' own types, by a first part of it that has no rows. By the
/// values alone MariaDB makes a column that takes 64 KiB, and cuts what is longer without a word.
fn inserted(kind: WriteKind, rows: WriteRows, after: &str) -> Statement {
    let into = kind.inserted_into().unwrap_or_default();
    let (table, columns) = into.split_once(" (").unwrap_or_default();
    let columns = columns.trim_end_matches(')').split(", ").zip(1..);
    let typed: Vec<String> = columns.map(|(name, at)| format!("{name} AS c{at}")).collect();
    let before = format!(
        "INSERT INTO {into} SELECT * FROM (SELECT {} FROM {table} WHERE FALSE UNION ALL ",
        typed.join(",")
    );
    between(&before, rows, &format!(") AS v WHERE v.c1 IS NOT NULL{after}"), None)
}

fn statement(sql: impl Into<String>, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::MySql, sql, values)
}
