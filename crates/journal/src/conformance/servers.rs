//! Databases on real servers, which `tests/databases` starts.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tercet_engine::{Batch, TransactionKey};
use tokio::sync::OnceCell;
use url::Url;

use super::engine::Engine;
use super::rig::patiently;
use crate::store::{CommitError, Store};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    MySql,
}

/// A database of its own for one test. It is gone when this is dropped.
pub(crate) struct TestDatabase {
    kind: Kind,
    /// The server's, with a user who may make databases.
    server: Url,
    name: String,
    url: String,
    made: OnceCell<()>,
}

impl TestDatabase {
    pub(crate) fn on_postgres() -> Self {
        Self::on(Kind::Postgres, "TERCET_TEST_POSTGRES_URL")
    }

    pub(crate) fn on_mysql() -> Self {
        Self::on(Kind::MySql, "TERCET_TEST_MYSQL_URL")
    }

    fn on(kind: Kind, variable: &str) -> Self {
        let server = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set: run these tests by tests/databases, which starts servers"
            )
        });
        Self::named(kind, server.parse().expect("a URL"))
    }

    /// Another on the same server.
    pub(crate) fn another(&self) -> Self {
        Self::named(self.kind, self.server.clone())
    }

    #[expect(clippy::disallowed_methods, reason = "no other run may have a database of that name")]
    fn named(kind: Kind, server: Url) -> Self {
        let name = format!("tercet_{:016x}", fastrand::u64(..));
        let mut url = server.clone();
        url.set_path(&name);
        Self { kind, server, name, url: url.into(), made: OnceCell::new() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Makes it, unless it is there.
    pub(crate) async fn make(&self) {
        // A character set that knows few characters, so that ours must have been said.
        let set = match self.kind {
            Kind::Postgres => "TEMPLATE template0 ENCODING 'UTF8'",
            Kind::MySql => "CHARACTER SET latin1",
        };
        self.make_with(set).await;
    }

    /// Makes it like this, unless it is there.
    pub(crate) async fn make_with(&self, set: &str) {
        let make = async {
            execute(self.server.as_str(), &format!("CREATE DATABASE {} {set}", self.name)).await;
        };
        Box::pin(self.made.get_or_init(|| make)).await;
    }

    /// Executes a statement in it, as somebody with a shell would.
    pub(crate) async fn execute(&self, sql: &str) {
        self.make().await;
        execute(&self.url, sql).await;
    }

    /// A connection to it, as somebody with a shell has.
    pub(crate) async fn outsider(&self) -> DatabaseConnection {
        self.make().await;
        connect(&self.url).await
    }
}

/// Returns once somebody waits for what another holds in this database.
pub(crate) async fn until_somebody_waits(looking: &DatabaseConnection) {
    let backend = looking.get_database_backend();
    let ask = Engine::of(backend).waiting();
    // InnoDB answers anew only whoever has not asked for a tenth of a second.
    let pause = Duration::from_millis(if backend == DbBackend::Postgres { 10 } else { 150 });
    let waiting = async {
        loop {
            let found = looking.query_one_raw(Statement::from_string(backend, ask)).await;
            let row = found.expect("the server answers").expect("a count");
            if row.try_get_by_index::<i64>(0).expect("a count") > 0 {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    };
    patiently(waiting).await;
}

/// Submits a batch until its outcome is known.
pub(crate) async fn until_known(
    store: &Arc<dyn Store>,
    batch: &Batch,
) -> Result<Vec<TransactionKey>, CommitError> {
    let known = async {
        loop {
            match store.commit(batch).await {
                Err(CommitError::Again(_)) => {}
                known => return known,
            }
        }
    };
    patiently(known).await
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.made.get().is_none() {
            return;
        }
        let backend = match self.kind {
            Kind::Postgres => DbBackend::Postgres,
            Kind::MySql => DbBackend::MySql,
        };
        let end = Engine::of(backend).drop_database(&self.name);
        let server = self.server.to_string();
        // On a runtime of its own: the test's may be over.
        let end = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(execute(&server, &end));
        };
        // What cannot be dropped is only in nobody's way.
        let _ = std::thread::spawn(end).join();
    }
}

async fn execute(url: &str, sql: &str) {
    let connection = connect(url).await;
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.expect("it closes");
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Box::pin(sea_orm::Database::connect(options)).await.expect("the server answers")
}
