//! The schema, which one process at a time brings up to date: it holds a lock in a table, since
//! locks of a database's own kind do not mean the same on all that speak its protocol. Whoever fills the
//! database by a copy holds it too, under a number below zero, by which nodes know to stay away.

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
pub(super) struct SchemaLock<S: Server> {
    session: S::Session,
    holder: i64,
}

impl<S: Server> SchemaLock<S> {
    /// Waits until nobody holds it, or whoever does has fallen silent.
    async fn take(at: &Address) -> Result<Self, JournalError> {
        let mut session = S::connect(at).await?;
        make::<S>(&mut session).await?;
        let holder = expect_number(session.value(S::RANDOM).await?)?;
        Self::take_as(session, holder).await
    }

    /// The same for whoever fills the database. Another who does is not waited for.
    pub(super) async fn take_to_fill(at: &Address) -> Result<Self, JournalError> {
        let mut session = S::connect(at).await?;
        make::<S>(&mut session).await?;
        let holder = -expect_number(session.value(S::RANDOM).await?)?;
        Self::take_as(session, holder).await
    }

    async fn take_as(mut session: S::Session, holder: i64) -> Result<Self, JournalError> {
        let mut heard = Heard::default();
        while !swap::<S>(&mut session, holder, "holder = 0").await? {
            let seen = look::<S>(&mut session).await?;
            match heard.of(seen) {
                Sign::First => tracing::info!(
                    event = "schema_lock_awaited",
                    "another process is bringing the schema up to date: waiting for it"
                ),
                Sign::Moves if fills(holder) && fills(seen.0) => {
                    return Err(JournalError::BeingFilled);
                }
                Sign::Silent if swap::<S>(&mut session, holder, &still(seen)).await? => break,
                Sign::Moves | Sign::Silent | Sign::Unknown => {}
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self { session, holder })
    }

    /// Changes one row, if it is still held.
    pub(super) fn proof(&self) -> String {
        format!("UPDATE schema_lock SET beat = beat + 1 WHERE id = 1 AND holder = {}", self.holder)
    }

    /// Says now and then that it is still held; returns when it is not.
    pub(super) async fn keep(&mut self) -> JournalError {
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

    pub(super) async fn release(mut self) {
        let free = format!("UPDATE schema_lock SET holder = 0 WHERE holder = {}", self.holder);
        // If it cannot be said, whoever waits will take it for silence.
        let _ = self.session.batch(free).await;
        self.session.end().await;
    }
}

/// Whether who holds the lock by this number fills the database: then nobody else may use it.
pub(super) fn fills(holder: i64) -> bool {
    holder < 0
}

/// Returns once nobody fills the database any more; whoever has died over it is not waited for long.
///
/// # Errors
/// Somebody is at it.
pub(super) async fn until_not_filled<S: Server>(at: &Address) -> Result<(), JournalError> {
    let mut session = S::connect(at).await?;
    let mut heard = Heard::default();
    loop {
        let seen = look::<S>(&mut session).await?;
        if !fills(seen.0) {
            break;
        }
        match heard.of(seen) {
            Sign::Moves => return Err(JournalError::BeingFilled),
            Sign::Silent if swap::<S>(&mut session, 0, &still(seen)).await? => break,
            Sign::First | Sign::Silent | Sign::Unknown => tokio::time::sleep(LOOK).await,
        }
    }
    session.end().await;
    Ok(())
}

/// What is heard of whoever holds the lock: its number and its beat, and for how long they have been
/// the same at least.
#[derive(Default)]
struct Heard(Option<((i64, i64), Duration)>);

/// What a look at the lock has shown of whoever holds it.
enum Sign {
    /// It was the first.
    First,
    /// It is there.
    Moves,
    /// Perhaps it is.
    Unknown,
    /// It has fallen silent.
    Silent,
}

impl Heard {
    fn of(&mut self, seen: (i64, i64)) -> Sign {
        let (silence, sign) = match self.0 {
            None => (Duration::ZERO, Sign::First),
            Some((before, silence)) if before == seen => {
                let silence = silence + LOOK;
                (silence, if silence >= SILENCE { Sign::Silent } else { Sign::Unknown })
            }
            Some(_) => (Duration::ZERO, Sign::Moves),
        };
        self.0 = Some((seen, silence));
        sign
    }
}

/// Who holds the lock, and by which beat.
async fn look<S: Server>(session: &mut S::Session) -> Result<(i64, i64), JournalError> {
    let ask = |column| format!("SELECT {column} FROM schema_lock WHERE id = 1");
    // Read one after the other: if they do not belong together, nothing is swapped.
    let beat = expect_number(session.value(&ask("beat")).await?)?;
    Ok((expect_number(session.value(&ask("holder")).await?)?, beat))
}

/// That the lock is as it was seen.
fn still((holder, beat): (i64, i64)) -> String {
    format!("holder = {holder} AND beat = {beat}")
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
