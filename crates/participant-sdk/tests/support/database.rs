//! An empty database of each kind, made for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use tempfile::TempDir;

/// What a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    Mysql,
}

/// An empty database. Several connect to it, as several processes of one service do.
pub(crate) struct Database {
    pub(crate) kind: Kind,
    url: String,
    name: String,
    _dir: TempDir,
}

impl Database {
    /// Makes one.
    pub(crate) async fn create(kind: Kind) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().expect("a directory");
        let name = format!(
            "tercet_test_{}_{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let url = match kind {
            Kind::Sqlite => {
                format!("sqlite://{}?mode=rwc", dir.path().join("service.db").display())
            }
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            server => {
                let admin = connect(&server_url(server), 1).await;
                for sql in
                    [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")]
                {
                    admin.execute_unprepared(&sql).await.expect("may create databases");
                }
                let url = server_url(server);
                let (server, _) = url.rsplit_once('/').expect("a URL that names a database");
                format!("{server}/{name}")
            }
        };
        Self { kind, url, name, _dir: dir }
    }

    /// A pool of connections to it, shared with nobody.
    pub(crate) async fn connect(&self, connections: u32) -> DatabaseConnection {
        connect(&self.url, connections).await
    }

    /// Where it is.
    #[allow(dead_code, reason = "not every suite that uses this file needs it")]
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether only one transaction writes at a time.
    #[allow(dead_code, reason = "not every suite that uses this file needs it")]
    pub(crate) fn has_one_writer(&self) -> bool {
        self.kind == Kind::Sqlite
    }

    /// Removes it. After a test that failed it stays, to be looked at.
    pub(crate) async fn remove(self) {
        let sql = match self.kind {
            Kind::Sqlite => return,
            #[cfg(feature = "postgres")]
            Kind::Postgres => format!("DROP DATABASE {} WITH (FORCE)", self.name),
            #[cfg(feature = "mysql")]
            Kind::Mysql => format!("DROP DATABASE {}", self.name),
        };
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        connect(&server_url(self.kind), 1).await.execute_unprepared(&sql).await.expect("removed");
        #[cfg(not(any(feature = "postgres", feature = "mysql")))]
        let _: String = sql;
    }
}

/// Where the servers are. There is no test without one: whoever asks for the feature asks for it.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn server_url(kind: Kind) -> String {
    let variable = match kind {
        Kind::Sqlite => unreachable!("a file, not a server"),
        #[cfg(feature = "postgres")]
        Kind::Postgres => "TERCET_TEST_POSTGRES_URL",
        #[cfg(feature = "mysql")]
        Kind::Mysql => "TERCET_TEST_MYSQL_URL",
    };
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run this through tests/databases"))
}

async fn connect(url: &str, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        options.journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
    });
    sea_orm::Database::connect(options).await.expect("a database")
}
