//! Holds a daemon's journal: takes SQLite's write lock from outside, as a backup or somebody
//! with a shell can.

use std::path::Path;
use std::time::Duration;

use http::Method;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use tercet_testing::{Client, eventually, soon};

/// While it is there the daemon cannot write.
#[derive(Debug)]
pub(crate) struct Hold(DatabaseConnection);

impl Hold {
    /// Takes the lock as soon as the daemon lets go of it.
    pub(crate) async fn take(database: &Path) -> Self {
        let mut options = ConnectOptions::new(format!("sqlite://{}", database.display()));
        options
            .max_connections(1)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(|options| options.busy_timeout(Duration::from_secs(60)));
        let connection = Database::connect(options).await.expect("the database is there");
        let taken = connection.execute_unprepared("BEGIN IMMEDIATE");
        soon("the lock", taken).await.expect("the lock");
        Self(connection)
    }

    /// Lets go of it.
    pub(crate) async fn release(self) {
        self.0.execute_unprepared("ROLLBACK").await.expect("the lock was held");
        self.0.close().await.expect("the connection closes");
    }
}

/// Waits until `/readyz` answers with this status.
pub(crate) async fn until_ready_is(status: u16, client: &Client) {
    let look =
        async || (client.send(Method::GET, "/readyz", None).await.status == status).then_some(());
    eventually(&format!("{status} of /readyz"), look).await;
}
