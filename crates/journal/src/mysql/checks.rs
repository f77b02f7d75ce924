//! What is asked of a server before anything is written to it.

use super::session::MySqlSession;
use crate::error::JournalError;
use crate::shared::Session;
use crate::sql::Field;

/// The smallest message that a batch, and the largest of single records, surely fit into.
const PACKET: i64 = 16 << 20;

pub(super) async fn check(session: &mut MySqlSession) -> Result<(), JournalError> {
    let version = ask(session, "version").await?.unwrap_or_default();
    if !is_new_enough(&version) {
        return Err(JournalError::Setting {
            setting: "version",
            found: version,
            mend: "MariaDB 10.6, MySQL 8.0 or later is needed",
        });
    }
    let durable = "it would forget what it acknowledged: set it to 1 in the server's configuration";
    expect(session, "innodb_flush_log_at_trx_commit", &["1"], durable).await?;
    if ask(session, "log_bin").await?.as_deref() == Some("1") {
        expect(session, "sync_binlog", &["1"], durable).await?;
    }
    let primary = "nothing can be written to it: the URL must lead to the primary";
    for setting in ["read_only", "super_read_only"] {
        expect(session, setting, &["0", "OFF"], primary).await?;
    }
    expect(
        session,
        "tidb_txn_mode",
        &["pessimistic"],
        "two nodes could write as one: pessimistic transactions are needed",
    )
    .await?;
    let found = ask(session, "max_allowed_packet").await?.unwrap_or_default();
    let bytes = found.parse::<i64>().ok();
    if let Some(bytes) = bytes {
        session.takes(bytes);
    }
    if bytes.is_some_and(|bytes| bytes < PACKET) {
        return Err(JournalError::Setting {
            setting: "max_allowed_packet",
            found,
            mend: "a batch may not fit into it: set it to 16M or more in the server's configuration",
        });
    }
    engines(session).await
}

/// Tables of another engine have no transactions.
async fn engines(session: &mut MySqlSession) -> Result<(), JournalError> {
    let others = "SELECT CONCAT(table_name, ': ', engine) FROM information_schema.tables \
                  WHERE table_schema = DATABASE() AND engine <> 'InnoDB' \
                  AND table_name IN ('nodes', 'global_transactions', 'global_details', \
                  'branch_transactions', 'branch_outcomes', 'branch_options', 'branch_results', \
                  'transaction_options', 'transaction_events', 'schema_lock', 'audit', 'sagas', \
                  'participant_pauses', 'jobs', 'job_ticks', 'holds') LIMIT 1";
    match session.value(others).await? {
        Some(Field::Text(found)) => Err(JournalError::Setting {
            setting: "ENGINE",
            found,
            mend: "there are no transactions in it: ALTER TABLE … ENGINE=InnoDB",
        }),
        Some(Field::Integer(_) | Field::Other) | None => Ok(()),
    }
}

/// MariaDB says `10.11.19-MariaDB-0+deb12u1`, MySQL `8.0.36`, TiDB `8.0.11-TiDB-v7.5.0`.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    let oldest = if version.contains("MariaDB") { (10, 6) } else { (8, 0) };
    (major, minor) >= oldest
}

/// A variable of the server's; nothing if it has none of that name.
async fn ask(session: &mut MySqlSession, setting: &str) -> Result<Option<String>, JournalError> {
    Ok(match session.value(&format!("SELECT @@{setting}")).await? {
        Some(Field::Text(text)) => Some(text),
        Some(Field::Integer(number)) => Some(number.to_string()),
        Some(Field::Other) | None => None,
    })
}

async fn expect(
    session: &mut MySqlSession,
    setting: &'static str,
    allowed: &[&str],
    mend: &'static str,
) -> Result<(), JournalError> {
    match ask(session, setting).await? {
        Some(found) if !allowed.contains(&&*found) => {
            Err(JournalError::Setting { setting, found, mend })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_are_told_apart() {
        for (version, is_enough) in [
            ("10.11.19-MariaDB-0+deb12u1", true),
            ("10.6.0-MariaDB", true),
            ("11.4.2-MariaDB", true),
            ("10.5.28-MariaDB", false),
            ("5.5.5-10.11.2-MariaDB", false),
            ("8.0.36", true),
            ("9.1.0", true),
            ("8.0.11-TiDB-v7.5.0", true),
            ("5.7.44-log", false),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), is_enough, "{version}");
        }
    }
}
