//! What PostgreSQL is told when a batch is written. The rows of a statement go as one array for
//! each column: one text serves all batches, whatever their size.

use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement, Value};
use tercet_engine::{Chunk, LifeState};
use tercet_wire::{Gid, Incarnation, NODE_PROTOCOL, Status, Wall};

use crate::sql::{Dialect, SharedDialect, WriteKind, WriteRows, driven_by_nobody, key_in, words};
use crate::store::{Life, NOBODY, PurgeBatch};

/// PostgreSQL's words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PostgresDialect;

/// A node's row with the last of its batches, which have rows of their own. That a life is fenced
/// stands under the number of the batch that it will not write.
const NODES: &str = "SELECT n.incarnation, n.node_id, n.url, \
     COALESCE(b.state, n.state) AS state, \
     COALESCE(b.batch_no - CASE WHEN b.state = 'fenced' THEN 1 ELSE 0 END, n.batch_no) \
     AS batch_no, \
     n.protocol, n.started_at, COALESCE(b.written_at, n.written_at) AS written_at \
     FROM nodes AS n LEFT JOIN LATERAL (SELECT state, batch_no, written_at FROM node_batches \
     WHERE incarnation = n.incarnation ORDER BY batch_no DESC LIMIT 1) AS b ON TRUE \
     ORDER BY n.node_id";

impl Dialect for PostgresDialect {
    /// A column is bound as one value, so that any number would do: a batch is to have its end.
    const MAX_BINDS: usize = 26_000;

    /// Each batch has a row of its own, which follows that of the batch before: a row updated
    /// time and again leaves a dead version of it each time, and while anybody reads an old
    /// moment, every update walks all of them.
    ///
    /// Two that write the same batch wait for each other's key. Whoever fences this life takes
    /// the key of its next batch, and holds the row before it meanwhile, as a batch does: so that
    /// row is not deleted under either. By its key alone is a row found and deleted, so that no
    /// dead entries of the index are walked.
    fn fence(self, own: Incarnation, number: i64, written_at: Wall) -> Statement {
        batch(own, number, LifeState::Live, written_at)
    }

    fn look(self, own: Incarnation) -> Statement {
        let look = "SELECT state, batch_no - CASE WHEN state = 'fenced' THEN 1 ELSE 0 END \
                    FROM node_batches WHERE incarnation = $1 ORDER BY batch_no DESC LIMIT 1";
        statement(look, vec![own.0.into()])
    }

    fn holders(self, gids: Vec<Value>) -> Statement {
        let ask = "SELECT gid, instance FROM global_transactions WHERE gid = ANY ($1::text[])";
        statement(ask, vec![array(ArrayType::String, gids)])
    }

    fn write(self, kind: WriteKind, rows: WriteRows, own: Incarnation) -> Statement {
        let WriteRows { values, width, .. } = rows;
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); width];
        for (place, value) in values.into_iter().enumerate() {
            columns[place % width].push(value);
        }
        let types: Vec<ArrayType> = columns.iter().map(|column| type_of(column)).collect();
        let sql = text(kind, &unnest(&types));
        let mut values: Vec<Value> =
            types.into_iter().zip(columns).map(|(of, column)| array(of, column)).collect();
        if matches!(kind, WriteKind::Advance | WriteKind::Stay) {
            values.push(own.0.into());
        }
        statement(sql, values)
    }

    fn nodes(self) -> Statement {
        statement(NODES, Vec::new())
    }

    fn delete(self, table: &str, due: &PurgeBatch) -> Statement {
        let key = key_in(table, "g");
        let delete = format!(
            "DELETE FROM {table} WHERE gid IN (SELECT {key} FROM global_transactions AS g \
             WHERE g.gid = ANY ($1::text[]) AND g.finished_at < $2)"
        );
        let gids = due.gids.iter().map(|gid| gid.as_str().into()).collect();
        statement(delete, vec![array(ArrayType::String, gids), due.finished_before.0.into()])
    }
}

impl SharedDialect for PostgresDialect {
    fn leave(self, own: Incarnation, number: i64, written_at: Wall) -> Statement {
        batch(own, number, LifeState::Left, written_at)
    }

    fn take(self, own: Incarnation, chunk: &Chunk) -> Statement {
        let take = "UPDATE global_transactions SET owner = $1 WHERE gid = ANY ($2::text[])";
        let mut values = vec![own.0.into(), texts(&chunk.gids)];
        if chunk.dead == NOBODY {
            return statement(format!("{take} AND {}", driven_by_nobody()), values);
        }
        values.push(chunk.dead.0.into());
        statement(format!("{take} AND owner = $3"), values)
    }

    fn taken(self, own: Incarnation, gids: &[Gid]) -> Statement {
        let ask = "SELECT gid FROM global_transactions WHERE gid = ANY ($2::text[]) AND owner = $1";
        statement(ask, vec![own.0.into(), texts(gids)])
    }

    fn register(self, life: &Life, written_at: Option<Wall>) -> Vec<Statement> {
        let (own, written_at) = (life.incarnation.0, written_at.map(|at| at.0));
        vec![
            statement(
                "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, protocol, \
                 started_at, written_at) VALUES ($1, $2, $3, 'live', 0, $4, $5, $6)",
                vec![
                    own.into(),
                    life.node_id.as_str().into(),
                    life.node_url.as_str().into(),
                    NODE_PROTOCOL.into(),
                    life.started_at.0.into(),
                    written_at.into(),
                ],
            ),
            statement(
                "INSERT INTO node_batches (incarnation, batch_no, state, written_at) \
                 VALUES ($1, 0, 'live', $2)",
                vec![own.into(), written_at.into()],
            ),
        ]
    }

    /// The row of the batch that the life would write next. While it is made the row before is
    /// held, as a batch holds it.
    fn mark(self, dead: Incarnation, seen: i64) -> Statement {
        let mark = "INSERT INTO node_batches (incarnation, batch_no, state, written_at) \
                    SELECT incarnation, batch_no + 1, 'fenced', written_at FROM node_batches \
                    WHERE incarnation = $1 AND batch_no = $2 AND state = 'live' FOR UPDATE \
                    ON CONFLICT (incarnation, batch_no) DO NOTHING";
        statement(mark, vec![dead.0.into(), seen.into()])
    }

    fn remove(self, dead: Incarnation) -> Statement {
        let remove = "WITH gone AS (DELETE FROM nodes WHERE incarnation = $1 \
                      AND COALESCE((SELECT state FROM node_batches WHERE incarnation = $1 \
                      ORDER BY batch_no DESC LIMIT 1), state) <> 'live' \
                      AND NOT EXISTS (SELECT 1 FROM global_transactions WHERE owner = $1) \
                      RETURNING incarnation) \
                      DELETE FROM node_batches WHERE incarnation IN (SELECT incarnation FROM gone)";
        statement(remove, vec![dead.0.into()])
    }

    fn keep_setting(self, name: &str, value: &str) -> Statement {
        let keep =
            "INSERT INTO cluster_settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        statement(keep, vec![name.into(), value.into()])
    }

    fn unowned(self) -> Statement {
        // It takes nulls to be as frequent among the unfinished as among all, and would look through
        // the whole table for the first. In the order of the index of statuses it goes by that.
        let unfinished = Status::ALL.iter().filter(|status| !status.is_finished());
        let of_status = unfinished.map(|status| {
            format!(
                "(SELECT 1 FROM global_transactions WHERE status = '{status}' AND owner IS NULL \
                 ORDER BY created_at, gid LIMIT 1)"
            )
        });
        let ask = of_status.collect::<Vec<_>>().join(" UNION ALL ");
        statement(format!("{ask} LIMIT 1"), Vec::new())
    }
}

/// The row of a batch of this life's, if it follows the one before.
fn batch(own: Incarnation, number: i64, state: LifeState, written_at: Wall) -> Statement {
    let (own, before, gone) = (own.0, number - 1, number - 2);
    let (state, written_at) = (state.as_str(), written_at.0);
    // Numbers alone, and a word of ours, so that it can be sent together with BEGIN.
    let fence = format!(
        "WITH gone AS (DELETE FROM node_batches WHERE incarnation = {own} AND batch_no = {gone}) \
         INSERT INTO node_batches (incarnation, batch_no, state, written_at) \
         SELECT {own}, {number}, '{state}', {written_at} FROM node_batches \
         WHERE incarnation = {own} AND batch_no = {before} AND state = 'live' FOR UPDATE \
         ON CONFLICT (incarnation, batch_no) DO NOTHING"
    );
    statement(fence, Vec::new())
}

fn texts(gids: &[Gid]) -> Value {
    array(ArrayType::String, gids.iter().map(|gid| gid.as_str().into()).collect())
}

/// Whether a row is this life's to write, whose number is bound as this: by its owner; what has
/// finished has none and is everybody's. One that has lost its owner is nobody's until it is
/// taken over.
fn is_mine(own: &str) -> String {
    format!("COALESCE(g.owner = {own}, g.status IN ({}))", words(Status::is_finished))
}

fn text(kind: WriteKind, rows: &str) -> String {
    let into = kind.inserted_into().unwrap_or_default();
    match kind {
        WriteKind::Begin => {
            format!("INSERT INTO {into} SELECT * FROM {rows} ON CONFLICT (gid) DO NOTHING")
        }
        WriteKind::Advance => format!(
            "UPDATE global_transactions AS g SET \
             status = COALESCE(v.c4, g.status), \
             owner = CASE WHEN v.c8 IS NULL THEN g.owner END, \
             reason = COALESCE(v.c5, g.reason), \
             parked = COALESCE(v.c6, g.parked), \
             decided_at = COALESCE(v.c7, g.decided_at), \
             finished_at = COALESCE(v.c8, g.finished_at) \
             FROM {rows} WHERE g.gid = v.c1 AND g.instance = v.c2 \
             AND g.status = COALESCE(v.c3, g.status) AND {}",
            is_mine("$9")
        ),
        WriteKind::Stay => format!(
            "SELECT COUNT(*) AS found FROM {rows} JOIN global_transactions AS g ON g.gid = v.c1 \
             AND g.instance = v.c2 AND g.status = COALESCE(v.c3, g.status) \
             AND {}",
            is_mine("$4")
        ),
        WriteKind::Reasons => format!(
            "UPDATE global_details AS d SET reason_detail = v.c2 FROM {rows} WHERE d.gid = v.c1"
        ),
        WriteKind::Addresses => format!(
            "UPDATE branch_transactions AS b SET participant = v.c3, try_url = v.c4, \
             confirm_url = v.c5, cancel_url = v.c6, headers = v.c7 FROM {rows} \
             WHERE b.gid = v.c1 AND b.branch_id = v.c2"
        ),
        WriteKind::Outcomes => format!(
            "INSERT INTO {into} SELECT * FROM {rows} ON CONFLICT (gid, branch_id) DO UPDATE SET \
             status = excluded.status, try_attempts = excluded.try_attempts, \
             confirm_attempts = excluded.confirm_attempts, \
             cancel_attempts = excluded.cancel_attempts, parked = excluded.parked, \
             last_error = excluded.last_error, answer_status = excluded.answer_status, \
             answer_body = excluded.answer_body, resolved_as = excluded.resolved_as, \
             acknowledged_at = excluded.acknowledged_at, last_answer = excluded.last_answer, \
             pending_resolution = excluded.pending_resolution, \
             contradicted = excluded.contradicted"
        ),
        WriteKind::Pauses => format!(
            "INSERT INTO {into} SELECT * FROM {rows} ON CONFLICT (participant) DO UPDATE SET \
             paused = excluded.paused, at = excluded.at, who = excluded.who, note = excluded.note"
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
        | WriteKind::Audit => {
            format!("INSERT INTO {into} SELECT * FROM {rows}")
        }
    }
}

/// The rows as a table `v` of columns `c1` and so on.
fn unnest(types: &[ArrayType]) -> String {
    let numbered = || types.iter().zip(1..);
    let arrays: Vec<String> = numbered()
        .map(|(of, number)| {
            let name = match of {
                ArrayType::Bool => "bool",
                ArrayType::BigInt => "bigint",
                _ => "text",
            };
            format!("${number}::{name}[]")
        })
        .collect();
    let names: Vec<String> = numbered().map(|(_, number)| format!("c{number}")).collect();
    format!("unnest({}) AS v ({})", arrays.join(", "), names.join(", "))
}

/// Of which kind a column's values are; whole numbers are all bound alike.
fn type_of(column: &[Value]) -> ArrayType {
    match column.first() {
        Some(Value::Bool(_)) => ArrayType::Bool,
        Some(Value::BigInt(_) | Value::Int(_) | Value::Unsigned(_)) => ArrayType::BigInt,
        Some(_) | None => ArrayType::String,
    }
}

fn array(of: ArrayType, values: Vec<Value>) -> Value {
    Value::Array(of, Some(Box::new(values)))
}

fn statement(sql: impl Into<String>, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}
