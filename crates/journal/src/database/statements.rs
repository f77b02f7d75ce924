//! What SQLite is told when a batch is written: a handful of statements, each with as many
//! rows as the batch has, whatever its size. All values are bound. A statement that fails takes
//! the batch with it, so that SQLite need not remember how to take back that statement alone.

use sea_orm::{DbBackend, Statement, Value};
use tercet_engine::{ApplyError, Decision, Record};
use tercet_wire::{BranchSpec, Gid, Incarnation, Op, Reason};

use super::super::batch_plan::{TransactionDelta, deltas};

/// A statement that changes rows, and how many it must change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    /// For the alarm, should it change fewer.
    pub(super) what: &'static str,
    pub(super) statement: Statement,
    pub(super) rows: u64,
}

/// Puts together the statements that write these records as one batch, and says how many
/// there are. It is the part of the journal's work that no database takes part in, so that
/// what it costs can be counted.
///
/// # Errors
/// A record does not fit the one before it.
pub fn put_together(records: &[Record], owner: Incarnation) -> Result<usize, ApplyError> {
    let deltas = deltas(records)?;
    let first = [begin(&deltas, owner), advance(&deltas), stay(&deltas)];
    Ok(first.into_iter().flatten().chain(rest(&deltas)).count())
}

/// How many rows a statement for this many has: there are few kinds of statements, so that
/// SQLite has nearly always compiled it before. At most a quarter more; up to eight, none.
fn padded(count: usize) -> usize {
    // Four sizes from each power of two to the next.
    let step = (count.next_power_of_two() / 8).max(1);
    count.next_multiple_of(step)
}

/// Rows of bound values, as they follow `VALUES`.
#[derive(Default)]
struct Rows {
    values: Vec<Value>,
    width: usize,
    count: usize,
}

impl Rows {
    fn push<const N: usize>(&mut self, row: [Value; N]) {
        self.values.extend(row);
        self.width = N;
        self.count += 1;
    }

    /// The statement made of what comes before the rows and after; none if there are no rows.
    /// Rows of nothing but nulls follow the others, and must mean nothing to it.
    fn between(self, what: &'static str, before: &str, after: &str) -> Option<Write> {
        let Self { mut values, width, count } = self;
        if count == 0 {
            return None;
        }
        let rows = padded(count);
        values.resize(rows * width, Value::Int(None));
        let row = format!(",(?{})", ",?".repeat(width - 1));
        let sql = format!("{before}{}{after}", &row.repeat(rows)[1..]);
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
        Some(Write { what, statement, rows: u64::try_from(count).unwrap_or(u64::MAX) })
    }

    /// The same, for rows that are inserted. Their first column is never null.
    fn inserted(self, what: &'static str, into: &str, after: &str) -> Option<Write> {
        let before = format!("INSERT OR ROLLBACK INTO {into} SELECT * FROM (VALUES ");
        self.between(what, &before, &format!(") WHERE column1 IS NOT NULL{after}"))
    }
}

/// Inserts the narrow rows of transactions that begin, as they are at the end of the batch.
/// Changes fewer rows where gids are taken.
pub(super) fn begin(deltas: &[TransactionDelta<'_>], owner: Incarnation) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas {
        let (Some(spec), Some(status)) = (deltas.begun, deltas.status) else { continue };
        rows.push([
            text(deltas.gid.as_str()),
            text(&deltas.instance.to_string()),
            text(spec.pattern.as_str()),
            text(status.as_str()),
            (!status.is_finished()).then_some(owner.0).into(),
            spec.open.into(),
            reason(deltas).map(Reason::as_str).map(str::to_owned).into(),
            deltas.parked.unwrap_or(false).into(),
            spec.created_at.0.into(),
            spec.deadline_at.0.into(),
            deltas.decided.map(|decided| decided.at.0).into(),
            deltas.finished_at.map(|at| at.0).into(),
        ]);
    }
    rows.inserted(
        "begin",
        "global_transactions (gid, instance, pattern, status, owner, open, reason, \
         parked, created_at, deadline_at, decided_at, finished_at)",
        " ON CONFLICT (gid) DO NOTHING",
    )
}

/// Which instances hold these gids.
pub(super) fn holders<'a>(gids: impl Iterator<Item = &'a Gid>) -> Statement {
    let gids: Vec<Value> = gids.map(|gid| text(gid.as_str())).collect();
    let marks = vec!["?"; gids.len()].join(",");
    let sql = format!("SELECT gid, instance FROM global_transactions WHERE gid IN ({marks})");
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, gids)
}

/// Moves narrow rows on. Each is found by its gid, and only as the life and with the status
/// that the change starts from.
pub(super) fn advance(deltas: &[TransactionDelta<'_>]) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas.iter().filter(|deltas| deltas.begun.is_none() && deltas.moves()) {
        rows.push([
            text(deltas.gid.as_str()),
            text(&deltas.instance.to_string()),
            deltas.from.map(|from| from.as_str().to_owned()).into(),
            deltas.status.map(|status| status.as_str().to_owned()).into(),
            reason(deltas).map(Reason::as_str).map(str::to_owned).into(),
            deltas.parked.into(),
            deltas.decided.map(|decided| decided.at.0).into(),
            deltas.finished_at.map(|at| at.0).into(),
        ]);
    }
    rows.between(
        "advance",
        "UPDATE OR ROLLBACK global_transactions AS g SET \
         status = COALESCE(v.column4, g.status), \
         owner = CASE WHEN v.column8 IS NULL THEN g.owner END, \
         reason = COALESCE(v.column5, g.reason), \
         parked = COALESCE(v.column6, g.parked), \
         decided_at = COALESCE(v.column7, g.decided_at), \
         finished_at = COALESCE(v.column8, g.finished_at) \
         FROM (VALUES ",
        ") AS v WHERE g.gid = v.column1 AND g.instance = v.column2 \
         AND g.status = COALESCE(v.column3, g.status)",
    )
}

/// Counts the narrow rows that must be there for what else is written of transactions whose
/// narrow row stays as it is. `rows` says what the count must be.
pub(super) fn stay(deltas: &[TransactionDelta<'_>]) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas.iter().filter(|deltas| deltas.begun.is_none() && !deltas.moves()) {
        rows.push([
            text(deltas.gid.as_str()),
            text(&deltas.instance.to_string()),
            deltas.from.map(|from| from.as_str().to_owned()).into(),
        ]);
    }
    rows.between(
        "stay",
        "SELECT COUNT(*) AS found FROM (VALUES ",
        ") AS v JOIN global_transactions AS g ON g.gid = v.column1 AND g.instance = v.column2 \
         AND g.status = COALESCE(v.column3, g.status)",
    )
}

/// Everything beside the narrow rows, in the order in which it must be written.
pub(super) fn rest(deltas: &[TransactionDelta<'_>]) -> Vec<Write> {
    let writes = [
        details(deltas),
        reasons(deltas),
        branches(deltas),
        branch_records(deltas),
        events(deltas),
    ];
    writes.into_iter().flatten().collect()
}

fn details(deltas: &[TransactionDelta<'_>]) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas {
        let Some(spec) = deltas.begun else { continue };
        rows.push([
            text(deltas.gid.as_str()),
            text(spec.fingerprint.as_str()),
            maybe_text(spec.metadata.as_deref()),
            text(&spec.traceparent),
            maybe_text(reason_detail(deltas)),
        ]);
    }
    rows.inserted(
        "details",
        "global_details (gid, fingerprint, metadata, traceparent, reason_detail)",
        "",
    )
}

fn reasons(deltas: &[TransactionDelta<'_>]) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas.iter().filter(|deltas| deltas.begun.is_none()) {
        if let Some(detail) = reason_detail(deltas) {
            rows.push([text(deltas.gid.as_str()), text(detail)]);
        }
    }
    rows.between(
        "reasons",
        "UPDATE OR ROLLBACK global_details AS d SET reason_detail = v.column2 FROM (VALUES ",
        ") AS v WHERE d.gid = v.column1",
    )
}

fn branches(deltas: &[TransactionDelta<'_>]) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas {
        let begun = deltas.begun.iter().flat_map(|spec| &spec.branches).map(|spec| (spec, false));
        let registered = deltas.registered.iter().map(|spec| (*spec, true));
        for (branch, registered) in begun.chain(registered) {
            rows.push([
                text(deltas.gid.as_str()),
                text(branch.id.as_str()),
                branch.position.into(),
                branch.stage.into(),
                registered.into(),
                text(&branch.participant()),
                url(branch, Op::Try),
                url(branch, Op::Confirm),
                url(branch, Op::Cancel),
                text(&headers(branch)),
                text(&branch.payload),
                i64::try_from(branch.timeout.as_millis()).unwrap_or(i64::MAX).into(),
                text(branch.try_by.as_str()),
                text(branch.fingerprint.as_str()),
            ]);
        }
    }
    rows.inserted(
        "branches",
        "branch_transactions (gid, branch_id, position, stage, registered, \
         participant, try_url, confirm_url, cancel_url, headers, payload, timeout_ms, try_by, \
         fingerprint)",
        "",
    )
}

fn branch_records(deltas: &[TransactionDelta<'_>]) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas {
        for outcome in deltas.branch_records.values() {
            let answer = outcome.answer.as_ref();
            rows.push([
                text(deltas.gid.as_str()),
                text(outcome.branch.as_str()),
                text(outcome.status.as_str()),
                outcome.attempts.try_.into(),
                outcome.attempts.confirm.into(),
                outcome.attempts.cancel.into(),
                outcome.parked.into(),
                maybe_text(outcome.last_error.as_deref()),
                answer.and_then(|answer| answer.status).map(i32::from).into(),
                maybe_text(answer.map(|answer| &*answer.body)),
                outcome.resolved_as.map(|resolved| resolved.as_str().to_owned()).into(),
                outcome.acknowledged_at.map(|at| at.0).into(),
            ]);
        }
    }
    rows.inserted(
        "outcomes",
        "branch_outcomes (gid, branch_id, status, try_attempts, confirm_attempts, \
         cancel_attempts, parked, last_error, answer_status, answer_body, resolved_as, \
         acknowledged_at)",
        " ON CONFLICT (gid, branch_id) DO UPDATE SET status = excluded.status, \
         try_attempts = excluded.try_attempts, confirm_attempts = excluded.confirm_attempts, \
         cancel_attempts = excluded.cancel_attempts, parked = excluded.parked, \
         last_error = excluded.last_error, answer_status = excluded.answer_status, \
         answer_body = excluded.answer_body, resolved_as = excluded.resolved_as, \
         acknowledged_at = excluded.acknowledged_at",
    )
}

fn events(deltas: &[TransactionDelta<'_>]) -> Option<Write> {
    let mut rows = Rows::default();
    for deltas in deltas {
        for happening in &deltas.happened {
            rows.push([
                text(deltas.gid.as_str()),
                happening.number.into(),
                happening.at.0.into(),
                text(happening.kind.as_str()),
                maybe_text(happening.branch.as_ref().map(|branch| branch.as_str())),
                maybe_text(happening.op.map(Op::as_str)),
                happening.attempt.into(),
                maybe_text(happening.detail.as_deref()),
            ]);
        }
    }
    rows.inserted(
        "events",
        "transaction_events (gid, number, at, kind, branch_id, op, attempt, detail)",
        "",
    )
}

fn reason(deltas: &TransactionDelta<'_>) -> Option<Reason> {
    match deltas.decided.map(|decided| &decided.decision) {
        Some(Decision::Cancel { reason, .. }) => Some(*reason),
        Some(Decision::Confirm) | None => None,
    }
}

fn reason_detail<'a>(deltas: &TransactionDelta<'a>) -> Option<&'a str> {
    match deltas.decided.map(|decided| &decided.decision) {
        Some(Decision::Cancel { detail, .. }) => detail.as_deref(),
        Some(Decision::Confirm) | None => None,
    }
}

fn url(branch: &BranchSpec, op: Op) -> Value {
    maybe_text(branch.url(op).map(|url| url.as_str()))
}

/// Headers as one JSON object of texts.
fn headers(branch: &BranchSpec) -> String {
    let pairs = branch.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    serde_json::Value::Object(pairs.collect()).to_string()
}

fn text(text: &str) -> Value {
    text.into()
}

fn maybe_text(text: Option<&str>) -> Value {
    text.map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn few_sizes_of_statements_serve_all_batches_with_little_padding() {
        let exact: Vec<usize> = (1..=8).map(padded).collect();
        assert_eq!(exact, [1, 2, 3, 4, 5, 6, 7, 8]);
        for count in 1..=4_096 {
            assert!(padded(count) >= count && padded(count) * 4 <= count * 5, "{count}");
        }
        let mut sizes: Vec<usize> = (1..=512).map(padded).collect();
        sizes.dedup();
        assert_eq!(sizes.len(), 32);
    }
}
