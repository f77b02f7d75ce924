//! A database of its own for each test, on a real server.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

/// One on a server. It is gone when this is dropped.
pub(crate) struct ServerDatabase {
    /// The server's own, with a user who may make databases.
    server: String,
    name: String,
    is_postgres: bool,
}

impl ServerDatabase {
    pub(crate) async fn on_postgres() -> Self {
        Self::make("TERCET_TEST_POSTGRES_URL", true).await
    }

    pub(crate) async fn on_mariadb() -> Self {
        Self::make("TERCET_TEST_MYSQL_URL", false).await
    }

    async fn make(variable: &str, is_postgres: bool) -> Self {
        let server = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set: run these tests by tests/databases, which starts servers"
            )
        });
        // Somebody else's tests may run on the same server.
        let name = format!("tercet_it_{:016x}", RandomState::new().hash_one(variable));
        execute(&server, &format!("CREATE DATABASE {name}")).await;
        Self { server, name, is_postgres }
    }

    pub(crate) fn url(&self) -> String {
        self.through(&self.server)
    }

    /// The same one, by way of another server of its cluster.
    pub(crate) fn url_at(&self, variable: &str) -> String {
        let server = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
        self.through(&server)
    }

    fn through(&self, server: &str) -> String {
        let (before, _) = server.rsplit_once('/').expect("a URL with a database");
        format!("{before}/{}", self.name)
    }

    /// A number that it is asked for, as by somebody with a shell.
    pub(crate) async fn ask(&self, sql: &str) -> i64 {
        let connection = connect(&self.url()).await;
        let ask = Statement::from_string(connection.get_database_backend(), sql);
        let row = connection.query_one_raw(ask).await.expect("the server answers");
        connection.close().await.expect("it closes");
        row.expect("a row").try_get_by_index(0).expect("a number")
    }
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        let force = if self.is_postgres { " WITH (FORCE)" } else { "" };
        let end = format!("DROP DATABASE {}{force}", self.name);
        let server = self.server.clone();
        // On a runtime of its own: the test's may be over. What cannot be dropped is only in
        // nobody's way.
        let end = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(execute(&server, &end));
        };
        let _ = std::thread::spawn(end).join();
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("the server answers")
}

async fn execute(url: &str, sql: &str) {
    let connection = connect(url).await;
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.expect("it closes");
}
