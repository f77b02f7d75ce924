//! What SQLite is told when a batch is written. A statement that fails takes the batch with it,
//! so that SQLite need not remember how to take back that statement alone.

use sea_orm::{DbBackend, Statement, Value};
use tercet_engine::{ApplyError, Record};
use tercet_wire::{Incarnation, Wall};

use crate::batch_plan::deltas;
use crate::sql::{Dialect, NODES, WriteKind, WriteRows, key_in, padded, write_rows};
use crate::store::PurgeBatch;

/// SQLite's words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sqlite;

impl Dialect for Sqlite {
    /// Within the 32 766 that SQLite takes in one statement, even with a quarter more of them to
    /// pad it.
    const MAX_BINDS: usize = 26_000;

    fn fence(self, own: Incarnation, number: i64, written_at: Wall) -> Statement {
        statement(
            "UPDATE nodes SET batch_no = ?, written_at = ? \
             WHERE incarnation = ? AND state = 'live' AND batch_no = ?",
            vec![number.into(), written_at.0.into(), own.0.into(), (number - 1).into()],
        )
    }

    fn look(self, own: Incarnation) -> Statement {
        let look = "SELECT state, batch_no FROM nodes WHERE incarnation = ?";
        statement(look, vec![own.0.into()])
    }

    fn holders(self, gids: Vec<Value>) -> Statement {
        let marks = marks(gids.len());
        let ask = format!("SELECT gid, instance FROM global_transactions WHERE gid IN ({marks})");
        statement(ask, gids)
    }

    fn write(self, kind: WriteKind, rows: WriteRows, own: Incarnation) -> Statement {
        match kind {
            WriteKind::Begin => inserted(kind, rows, " ON CONFLICT (gid) DO NOTHING"),
            WriteKind::Advance => between(
                "UPDATE OR ROLLBACK global_transactions AS g SET \
                 status = COALESCE(v.column4, g.status), \
                 owner = CASE WHEN v.column8 IS NULL THEN g.owner END, \
                 reason = COALESCE(v.column5, g.reason), \
                 parked = COALESCE(v.column6, g.parked), \
                 decided_at = COALESCE(v.column7, g.decided_at), \
                 finished_at = COALESCE(v.column8, g.finished_at) \
                 FROM (VALUES ",
                rows,
                ") AS v WHERE g.gid = v.column1 AND g.instance = v.column2 \
                 AND g.status = COALESCE(v.column3, g.status) AND COALESCE(g.owner = ?, TRUE)",
                Some(own),
            ),
            WriteKind::Stay => between(
                "SELECT COUNT(*) AS found FROM (VALUES ",
                rows,
                ") AS v JOIN global_transactions AS g ON g.gid = v.column1 \
                 AND g.instance = v.column2 AND g.status = COALESCE(v.column3, g.status) \
                 AND COALESCE(g.owner = ?, TRUE)",
                Some(own),
            ),
            WriteKind::Reasons => between(
                "UPDATE OR ROLLBACK global_details AS d SET reason_detail = v.column2 FROM (VALUES ",
                rows,
                ") AS v WHERE d.gid = v.column1",
                None,
            ),
            WriteKind::Addresses => between(
                "UPDATE OR ROLLBACK branch_transactions AS b SET participant = v.column3, \
                 try_url = v.column4, confirm_url = v.column5, cancel_url = v.column6, \
                 headers = v.column7 FROM (VALUES ",
                rows,
                ") AS v WHERE b.gid = v.column1 AND b.branch_id = v.column2",
                None,
            ),
            WriteKind::Outcomes => inserted(
                kind,
                rows,
                " ON CONFLICT (gid, branch_id) DO UPDATE SET status = excluded.status, \
                 try_attempts = excluded.try_attempts, \
                 confirm_attempts = excluded.confirm_attempts, \
                 cancel_attempts = excluded.cancel_attempts, parked = excluded.parked, \
                 last_error = excluded.last_error, answer_status = excluded.answer_status, \
                 answer_body = excluded.answer_body, resolved_as = excluded.resolved_as, \
                 acknowledged_at = excluded.acknowledged_at, last_answer = excluded.last_answer, \
                 pending_resolution = excluded.pending_resolution, \
                 contradicted = excluded.contradicted",
            ),
            WriteKind::Pauses => inserted(
                kind,
                rows,
                " ON CONFLICT (participant) DO UPDATE SET paused = excluded.paused, \
                 at = excluded.at, who = excluded.who, note = excluded.note",
            ),
            WriteKind::Details
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
        }
    }

    fn nodes(self) -> Statement {
        statement(NODES, Vec::new())
    }

    fn delete(self, table: &str, due: &PurgeBatch) -> Statement {
        let (marks, key) = (marks(due.gids.len()), key_in(table, "g"));
        let delete = format!(
            "DELETE FROM {table} WHERE gid IN \
             (SELECT {key} FROM global_transactions AS g WHERE g.gid IN ({marks}) AND g.finished_at < ?)"
        );
        let mut values: Vec<Value> = due.gids.iter().map(|gid| gid.as_str().into()).collect();
        values.push(due.finished_before.0.into());
        statement(delete, values)
    }
}

/// Puts together the statements that write these records as one batch, and says how many
/// there are. It is the part of the journal's work that no database takes part in, so that
/// what it costs can be counted.
///
/// # Errors
/// A record does not fit the one before it.
pub fn put_together(records: &[Record], owner: Incarnation) -> Result<usize, ApplyError> {
    let deltas = deltas(records)?;
    let kinds = [WriteKind::Begin].into_iter().chain(WriteKind::AFTER_BEGIN.iter().copied());
    let written = |kind: WriteKind| {
        write_rows(kind, &deltas, &[], owner).map(|rows| Sqlite.write(kind, rows, owner))
    };
    Ok(kinds.filter_map(written).map(std::hint::black_box).count())
}

fn statement(sql: impl Into<String>, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}

/// The statement made of what comes before the rows and after. Rows of nothing but nulls
/// follow the others, and must mean nothing to it.
fn between(before: &str, rows: WriteRows, after: &str, own: Option<Incarnation>) -> Statement {
    let WriteRows { mut values, width, rows } = rows;
    let rows = padded(rows);
    // What is bound last must not make the values move.
    values.reserve_exact(rows * width + 1 - values.len());
    values.resize(rows * width, Value::Int(None));
    values.extend(own.map(|own| Value::from(own.0)));
    let row = format!(",(?{})", ",?".repeat(width - 1));
    let sql = format!("{before}{}{after}", &row.repeat(rows)[1..]);
    statement(sql, values)
}

/// The same, for rows that are inserted. Their first column is never null.
fn inserted(kind: WriteKind, rows: WriteRows, after: &str) -> Statement {
    let into = kind.inserted_into().unwrap_or_default();
    let before = format!("INSERT OR ROLLBACK INTO {into} SELECT * FROM (VALUES ");
    between(&before, rows, &format!(") WHERE column1 IS NOT NULL{after}"), None)
}
