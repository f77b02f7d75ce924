//! What can happen to rows: any column gets any value, any row is lost.

use std::fmt::Write as _;

use crate::choices::Choices;

/// The tables of a transaction, and of each the columns that a read looks at.
const TABLES: [(&str, &[&str]); 8] = [
    (
        "global_transactions",
        &[
            "gid",
            "instance",
            "pattern",
            "status",
            "owner",
            "open",
            "reason",
            "parked",
            "created_at",
            "deadline_at",
            "decided_at",
            "finished_at",
        ],
    ),
    ("global_details", &["gid", "fingerprint", "metadata", "traceparent", "reason_detail"]),
    ("transaction_options", &["gid", "options"]),
    ("holds", &["number", "held_to", "at", "who"]),
    (
        "branch_transactions",
        &[
            "gid",
            "branch_id",
            "position",
            "stage",
            "registered",
            "try_url",
            "confirm_url",
            "cancel_url",
            "headers",
            "payload",
            "timeout_ms",
            "try_by",
            "fingerprint",
        ],
    ),
    ("branch_options", &["gid", "branch_id", "options"]),
    (
        "branch_outcomes",
        &[
            "gid",
            "branch_id",
            "status",
            "try_attempts",
            "confirm_attempts",
            "cancel_attempts",
            "parked",
            "last_error",
            "answer_status",
            "answer_body",
            "resolved_as",
            "acknowledged_at",
            "last_answer",
            "pending_resolution",
            "contradicted",
        ],
    ),
    ("branch_results", &["gid", "branch_id", "result", "body_bytes"]),
    (
        "transaction_events",
        &["gid", "number", "at", "kind", "branch_id", "op", "attempt", "detail"],
    ),
];

/// Values that mean something somewhere.
const VALUES: [&str; 34] = [
    "NULL",
    "''",
    "'!'",
    "0",
    "1",
    "-1",
    "2",
    "7",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967295",
    "4294967296",
    "1763640000000",
    "253402207200000",
    "0.5",
    "x'ff00'",
    "'trying'",
    "'confirming'",
    "'cancelling'",
    "'confirmed'",
    "'cancelled'",
    "'registered'",
    "'tried'",
    "'refused'",
    "'deadline'",
    "'requested'",
    "'initiator'",
    "'coordinator'",
    "'b1'",
    "'b2'",
    "'http://h/x'",
    "'{}'",
    "'[1]'",
    "'01980000-0000-7000-8000-00000000000f'",
];

/// The statements that keep a copy of the rows there are now.
pub(crate) fn keep() -> String {
    let copy =
        |(table, _): (&str, _)| format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
    TABLES.map(copy).join(";")
}

/// The statements that put everything back as it was kept.
pub(crate) fn put_back() -> String {
    let back = |(table, _): (&str, _)| {
        format!("DELETE FROM {table};INSERT INTO {table} SELECT * FROM kept_{table}")
    };
    TABLES.map(back).join(";")
}

/// Statements that damage the rows of this transaction.
pub(crate) fn of(gid: &str, choices: &mut Choices<'_>) -> String {
    let mut sql = String::from("SELECT 1");
    for _ in 0..=choices.below(4) {
        let (table, columns) = choices.pick(&TABLES);
        let nth = choices.below(3);
        let row = format!(
            "rowid = (SELECT rowid FROM {table} WHERE gid = '{gid}' ORDER BY rowid LIMIT 1 OFFSET {nth})"
        );
        // Writing to a string cannot fail.
        let _ = match choices.byte() {
            0..16 => write!(sql, ";DELETE FROM {table} WHERE {row}"),
            _ => {
                let column = choices.pick(columns);
                let value = value(choices);
                write!(sql, ";UPDATE OR IGNORE {table} SET {column} = {value} WHERE {row}")
            }
        };
    }
    sql
}

fn value(choices: &mut Choices<'_>) -> String {
    match choices.below(VALUES.len() + 6) {
        known if known < VALUES.len() => VALUES[known].to_owned(),
        other if other < VALUES.len() + 2 => choices.number().to_string(),
        _ => {
            let hex = tercet_wire::hex(choices.piece(40));
            format!("CAST(x'{hex}' AS TEXT)")
        }
    }
}
