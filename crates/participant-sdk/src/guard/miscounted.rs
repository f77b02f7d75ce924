//! Connections to SQLite of which the driver has lost count.
//!
//! SQLite rolls a transaction back by itself when it cannot be committed. The driver counts transactions by what it has sent,
//! and takes that one for open. It then begins the next with a savepoint, and if that cannot be committed either, SQLite does
//! keep it open: all that comes after it on the connection is told to be committed, and is not. So whoever has seen a
//! commit fail closes such connections before anybody uses them again; the pool makes others.

#[cfg(feature = "sqlite")]
use std::time::Duration;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};

/// How often it is looked for connections that are not back yet, and the pause between two looks.
#[cfg(feature = "sqlite")]
const LOOKS: u32 = 100;
#[cfg(feature = "sqlite")]
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// Commits a transaction of a connection of these. For whoever has the right to write.
pub(crate) async fn commit(db: &DatabaseConnection, tx: DatabaseTransaction) -> Result<(), DbErr> {
    let committed = tx.commit().await;
    if committed.is_err() {
        close_miscounted(db).await;
    }
    committed
}

/// Closes connections that are miscounted, of those that nobody uses. For whoever has the right to write.
#[cfg_attr(not(feature = "sqlite"), expect(clippy::unused_async, reason = "it is for SQLite"))]
pub(super) async fn close_miscounted(db: &DatabaseConnection) {
    #[cfg(not(feature = "sqlite"))]
    let _ = db;
    #[cfg(feature = "sqlite")]
    if let sea_orm::DatabaseConnectionType::SqlxSqlitePoolConnection(_) = &db.inner {
        use sea_orm::sqlx::Connection as _;

        let pool = db.get_sqlite_connection_pool();
        let options = pool.connect_options();
        // A database in memory goes with its last connection, and has no disk to fail.
        if options.get_filename().to_string_lossy().contains("memory") {
            return;
        }
        for _ in 0..LOOKS {
            let mut idle = Vec::new();
            while let Some(mut connection) = pool.try_acquire() {
                if connection.is_in_transaction() {
                    tracing::warn!("a connection to SQLite lost a transaction, and is closed");
                    connection.close_on_drop();
                }
                idle.push(connection);
            }
            // One whose transaction has just been dropped comes back in a moment.
            if idle.len() >= usize::try_from(pool.size()).unwrap_or(usize::MAX) {
                return;
            }
            drop(idle);
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}
