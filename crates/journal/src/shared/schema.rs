//! The schema, which one process at a time brings up to date: it holds a lock in a table, since
//! locks of a database's own kind do not mean the same on all that speak its protocol.

use std::time::Duration;

use sea_orm::DatabaseConnection;
use tercet_migrations::StepStatus;

use super::address::Address;
use super::server::{Server, Session, expect_number};
use super::store::writer;
use crate::error::JournalError;
use crate::sql::{Field, discard};

/// How often who holds the lock says that it is still there.
const BEAT: Duration = Duration::from_secs(1);
/// How long nothing is heard of who holds the lock until it is taken from it. It is measured by
/// the time of who waits: no two clocks are compared.
const SILENCE: Duration = Duration::from_secs(10);
/// How often the lock is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often making the lock's table is tried: two that make it at once may both be refused.
const TRIES: u32 = 20;

/// Brings the schema up to date.
pub(crate) async fn migrate_up<S: Server>(at: &Address) -> Result<(), JournalError> {
    // A server that the daemon would refuse gets no tables, and what it says is told as it is.
    writer::<S>(at).await?.end().await;
    let starting = S::starting(at)?;
    let done = up_to_date::<S>(at, &starting).await;
    discard(starting).await;
    done
}

/// Which steps of the schema the database has. Only reads.
pub(crate) async fn migration_status<S: Server>(
    at: &Address,
) -> Result<Vec<StepStatus>, JournalError> {
    // By a pool it would be told that there was no connection in time, and not why.
    S::connect(at).await?.end().await;
    let starting = S::starting(at)?;
    let status = tercet_migrations::status(&starting).await.map_err(JournalError::Migration);
    discard(starting).await;
    status
}

/// The same on a connection to start with. Where nothing is missing, nothing is written: the
/// database's user may have been allowed to write rows alone.
pub(super) async fn up_to_date<S: Server>(
    at: &Address,
    starting: &DatabaseConnection,
) -> Result<(), JournalError> {
    let status = tercet_migrations::status(starting).await.map_err(JournalError::Migration)?;
    if status.iter().all(|step| step.applied) {
        return tercet_migrations::refuse_newer(starting).await.map_err(JournalError::Migration);
    }
    let mut lock = SchemaLock::<S>::take(at).await?;
    let done = tokio::select! {
        // Whoever slept for long finds first that the lock has been taken from it.
        biased;
        lost = lock.keep() => Err(lost),
        done = tercet_migrations::up(starting) => done.map_err(JournalError::Migration),
    };
    lock.release().await;
    done
}

/// The schema's lock, held.
struct SchemaLock<S: Server> {
    session: S::Session,
    holder: i64,
}

impl<S: Server> SchemaLock<S> {
    /// Waits until nobody holds it, or whoever does has fallen silent.
    async fn take(at: &Address) -> Result<Self, JournalError> {
        let mut session = S::connect(at).await?;
        make::<S>(&mut session).await?;
        let holder = expect_number(session.value(S::RANDOM).await?)?;
        // What was seen, and for how long it has been so at least.
        let mut last: Option<((i64, i64), Duration)> = None;
        loop {
            let free = "holder = 0".to_owned();
            if swap::<S>(&mut session, holder, &free).await? {
                return Ok(Self { session, holder });
            }
            let ask = |column| format!("SELECT {column} FROM schema_lock WHERE id = 1");
            // Read one after the other: if they do not belong together, nothing is swapped.
            let beat = expect_number(session.value(&ask("beat")).await?)?;
            let seen = (expect_number(session.value(&ask("holder")).await?)?, beat);
            match last {
                Some((before, silence)) if before == seen => {
                    let silence = silence + LOOK;
                    last = Some((seen, silence));
                    let silent = format!("holder = {} AND beat = {}", seen.0, seen.1);
                    if silence >= SILENCE && swap::<S>(&mut session, holder, &silent).await? {
                        return Ok(Self { session, holder });
                    }
                }
                Some(_) => last = Some((seen, Duration::ZERO)),
                None => {
                    tracing::info!(
                        event = "schema_lock_awaited",
                        "another process is bringing the schema up to date: waiting for it"
                    );
                    last = Some((seen, Duration::ZERO));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Says now and then that it is still held; returns when it is not.
    async fn keep(&mut self) -> JournalError {
        loop {
            tokio::time::sleep(BEAT).await;
            let mine = format!("holder = {}", self.holder);
            match swap::<S>(&mut self.session, self.holder, &mine).await {
                Ok(true) => {}
                Ok(false) => return JournalError::SchemaLockLost,
                Err(error) => return error,
            }
        }
    }

    async fn release(mut self) {
        let free = format!("UPDATE schema_lock SET holder = 0 WHERE holder = {}", self.holder);
        // If it cannot be said, whoever waits will take it for silence.
        let _ = self.session.batch(free).await;
        self.session.end().await;
    }
}

/// Makes the table; two that do so at once may refuse each other.
async fn make<S: Server>(session: &mut S::Session) -> Result<(), JournalError> {
    // It may be there and this user not be allowed to make it.
    if let Ok(Some(Field::Integer(_))) = session.value("SELECT id FROM schema_lock").await {
        return Ok(());
    }
    let mut tries = 0;
    'again: loop {
        tries += 1;
        for sql in S::MAKE_SCHEMA_LOCK {
            match session.batch(sql.to_owned()).await {
                Ok(_) => {}
                Err(sqlx::Error::Database(_)) if tries < TRIES => {
                    tokio::time::sleep(LOOK).await;
                    continue 'again;
                }
                Err(error) => return Err(error.into()),
            }
        }
        return Ok(());
    }
}

/// Takes the lock where it is as told; whether it was.
async fn swap<S: Server>(
    session: &mut S::Session,
    holder: i64,
    found: &str,
) -> Result<bool, JournalError> {
    let take = format!(
        "UPDATE schema_lock SET holder = {holder}, beat = beat + 1 WHERE id = 1 AND {found}"
    );
    Ok(session.batch(take).await? == 1)
}
