//! Making the guard's table.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use tercet_wire::Backoff;

use super::contention::{contention, is_made_meanwhile};
use super::statements::Statements;
use crate::clock;

/// How often it is tried while others are making the same table.
const ROUNDS: u32 = 10;

/// Makes the statements' tables where they are missing. Services start several at a time, and no
/// database but MariaDB makes `IF NOT EXISTS` wait for another session that is making the same:
/// who lost finds everything there the next time.
pub(crate) async fn make(
    db: &DatabaseConnection,
    statements: &[&'static str],
    pause: Backoff,
) -> Result<(), DbErr> {
    for statement in statements {
        let mut round = 1;
        while let Err(error) = db.execute_unprepared(statement).await {
            let passing = contention(&error).is_some() || is_made_meanwhile(&error);
            if !passing || round == ROUNDS {
                return Err(error);
            }
            tokio::time::sleep(pause.pause(round, clock::entropy(), None)).await;
            round += 1;
        }
    }
    Ok(())
}

/// The guard's table.
pub(super) async fn make_guard(db: &DatabaseConnection, pause: Backoff) -> Result<(), DbErr> {
    make(db, Statements::of(db.get_database_backend()).create, pause).await
}
