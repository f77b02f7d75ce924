//! What is asked of a server before anything is written to it.

use super::connect;
use super::session::PostgresSession;
use crate::error::JournalError;
use crate::shared::{Address, Session};
use crate::sql::Field;

/// The oldest major version that is known to work.
const OLDEST: i64 = 13;

pub(super) async fn check(at: &Address, session: &mut PostgresSession) -> Result<(), JournalError> {
    let version = ask(session, "SELECT current_setting('server_version_num')").await?;
    if let Some(found) = version.and_then(|version| version.parse::<i64>().ok())
        && found / 10_000 < OLDEST
    {
        return Err(JournalError::Setting {
            setting: "server_version_num",
            found: found.to_string(),
            mend: "PostgreSQL 13 or later is needed",
        });
    }
    let durable = "it would forget what it acknowledged: set it to on in postgresql.conf";
    for (setting, mend) in [("fsync", durable), ("full_page_writes", durable)] {
        // Databases that only speak the protocol have no such thing.
        let ask_it = format!("SELECT current_setting('{setting}', true)");
        expect(setting, ask(session, &ask_it).await?, &["on"], mend)?;
    }
    expect(
        "server_encoding",
        ask(session, "SELECT current_setting('server_encoding', true)").await?,
        &["UTF8"],
        "texts in any language could not be kept: make the database with ENCODING 'UTF8'",
    )?;
    expect(
        "transaction_read_only",
        ask(session, "SELECT current_setting('transaction_read_only', true)").await?,
        &["off"],
        "nothing can be written to it: the URL must lead to the primary, as a user and to a \
         database that may be written to",
    )?;
    needs_direct_connection(at, session).await
}

/// A pooler that gives each transaction another connection would give one what was set for
/// another. Two sessions whose connections are their own never have the same process, however
/// they take turns.
async fn needs_direct_connection(
    at: &Address,
    session: &mut PostgresSession,
) -> Result<(), JournalError> {
    const PROCESS: &str = "SELECT pg_backend_pid()";
    const SETTING: &str = "SELECT current_setting('lock_timeout')";
    let own = session.value(PROCESS).await?;
    let mut other = connect::session(at).await?;
    other.batch("BEGIN".to_owned()).await?;
    let others = other.value(PROCESS).await?;
    let (again, setting) = (session.value(PROCESS).await?, session.value(SETTING).await?);
    other.batch("ROLLBACK".to_owned()).await?;
    other.end().await;
    let is_kept = matches!(setting, Some(Field::Text(setting)) if setting == "1s");
    if own == others || own != again || !is_kept {
        return Err(JournalError::Setting {
            setting: "pg_backend_pid()",
            found: "another in each transaction".to_owned(),
            mend: "the journal needs a direct connection: a pooler between (pgbouncer in \
                   transaction mode, say) mixes up what is set for one session with another",
        });
    }
    Ok(())
}

async fn ask(session: &mut PostgresSession, sql: &str) -> Result<Option<String>, JournalError> {
    Ok(match session.value(sql).await? {
        Some(Field::Text(text)) => Some(text),
        Some(Field::Integer(number)) => Some(number.to_string()),
        Some(Field::Other) | None => None,
    })
}

fn expect(
    setting: &'static str,
    found: Option<String>,
    allowed: &[&str],
    mend: &'static str,
) -> Result<(), JournalError> {
    match found {
        Some(found) if !allowed.contains(&&*found) => {
            Err(JournalError::Setting { setting, found, mend })
        }
        Some(_) | None => Ok(()),
    }
}
