//! An empty database of each kind, made for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend};
use tempfile::TempDir;

/// What a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    /// The same, where calls that come together share a commit.
    #[allow(dead_code, reason = "not every suite that uses this file has such calls")]
    SqliteGroupCommit,
    /// The server that this variable leads to.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "its driver is a feature")
    )]
    Server(&'static str),
}

#[cfg(feature = "postgres")]
impl Kind {
    #[expect(non_upper_case_globals, reason = "named like a kind")]
    pub(crate) const Postgres: Self = Self::Server("TERCET_TEST_POSTGRES_URL");
}

#[cfg(feature = "mysql")]
impl Kind {
    #[expect(non_upper_case_globals, reason = "named like a kind")]
    pub(crate) const Mysql: Self = Self::Server("TERCET_TEST_MYSQL_URL");
}

/// An empty database. Several connect to it, as several processes of one service do.
pub(crate) struct Database {
    kind: Kind,
    url: String,
    name: String,
    _dir: TempDir,
}

impl Database {
    /// Makes one.
    pub(crate) async fn create(kind: Kind) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().expect("a directory");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tercet_test_{}_{number}", std::process::id());
        let url = match kind {
            Kind::Sqlite | Kind::SqliteGroupCommit => {
                format!("sqlite://{}?mode=rwc", dir.path().join("service.db").display())
            }
            Kind::Server(variable) => {
                let url = server_url(variable);
                let admin = connect(&url, 1).await;
                for sql in
                    [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")]
                {
                    admin.execute_unprepared(&sql).await.expect("may create databases");
                }
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

    /// The same with these options set, too.
    #[allow(dead_code, reason = "not every suite that uses this file needs it")]
    pub(crate) async fn connect_with(
        &self,
        connections: u32,
        set: impl FnOnce(&mut ConnectOptions),
    ) -> DatabaseConnection {
        let mut options = options(&self.url, connections);
        set(&mut options);
        sea_orm::Database::connect(options).await.expect("a database")
    }

    /// Where it is.
    #[allow(dead_code, reason = "not every suite that uses this file needs it")]
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether only one transaction writes at a time.
    #[allow(dead_code, reason = "not every suite that uses this file needs it")]
    pub(crate) fn has_one_writer(&self) -> bool {
        matches!(self.kind, Kind::Sqlite | Kind::SqliteGroupCommit)
    }

    /// Whether calls that come together share a commit.
    #[allow(dead_code, reason = "not every suite that uses this file needs it")]
    pub(crate) fn has_group_commit(&self) -> bool {
        self.kind == Kind::SqliteGroupCommit
    }

    /// Removes it. After a test that failed it stays, to be looked at.
    pub(crate) async fn remove(self) {
        let Kind::Server(variable) = self.kind else { return };
        let admin = connect(&server_url(variable), 1).await;
        let force = match admin.get_database_backend() {
            DbBackend::Postgres => "WITH (FORCE)",
            _ => "",
        };
        let sql = format!("DROP DATABASE {} {force}", self.name);
        admin.execute_unprepared(&sql).await.expect("it is removed");
    }
}

/// Where a server is. There is no test without one: who asks for the feature asks for it.
fn server_url(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run this through tests/databases"))
}

async fn connect(url: &str, connections: u32) -> DatabaseConnection {
    sea_orm::Database::connect(options(url, connections)).await.expect("a database")
}

fn options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        options.journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
    });
    options
}
