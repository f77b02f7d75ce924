//! A database of a run's own on a server, looked into beside the nodes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr,
    IsolationLevel, QueryResult, Statement, TransactionTrait, Value,
};

use crate::clock;
use crate::error::ChaosError;

/// The database's name, the server's and each node's may differ in nothing but this.
const PREFIX: &str = "tercet_chaos";

/// Longer than it takes to come back after it was killed under load.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// What a server is spoken to with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// PostgreSQL's.
    Postgres,
    /// MariaDB's and MySQL's.
    MySql,
}

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    protocol: Protocol,
    url: String,
    /// Where its data are, if it comes back by itself.
    data: Option<PathBuf>,
}

impl Server {
    pub(crate) fn postgres(url: &str, data: Option<PathBuf>) -> Self {
        Self { protocol: Protocol::Postgres, url: url.to_owned(), data }
    }

    pub(crate) fn mysql(url: &str, data: Option<PathBuf>) -> Self {
        Self { protocol: Protocol::MySql, url: url.to_owned(), data }
    }

    /// Which product it is, and of which version.
    pub(crate) async fn name(&self) -> Result<String, ChaosError> {
        let server = connect(&self.url).await?;
        let ask = "SELECT VERSION()";
        let row = server.query_one_raw(self.protocol.statement(ask, [])).await;
        let row = row.map_err(failed(ask))?;
        let said = row.map(|row| row.try_get_by_index::<String>(0)).transpose();
        let said = said.map_err(failed(ask))?.unwrap_or_default();
        let _ = server.close().await;
        Ok(self.protocol.product(&said))
    }

    /// A new database on it.
    pub(crate) async fn database(&self) -> Result<Rows, ChaosError> {
        let name = format!("{PREFIX}_{:016x}", RandomState::new().hash_one(PREFIX));
        let server = connect(&self.url).await?;
        let made = server.execute_unprepared(&format!("CREATE DATABASE {name}")).await;
        made.map_err(failed("make a database"))?;
        let (before, _) = self
            .url
            .rsplit_once('/')
            .ok_or_else(|| ChaosError::Answer("the server's URL names no database".to_owned()))?;
        let url = format!("{before}/{name}");
        let seen = connect(&url).await?;
        Ok(Rows { protocol: self.protocol, server, name, url, seen })
    }

    /// Kills it as a power cut would, and keeps it from coming back for so long.
    pub(crate) async fn dies(&self, lasts: Duration) -> Result<(), ChaosError> {
        let Some(data) = &self.data else {
            let what = "the server does not come back by itself: run this by tests/databases";
            return Err(ChaosError::Answer(what.to_owned()));
        };
        let (down, pid, signal) = match self.protocol {
            // What a kill would leave of it are its other processes.
            Protocol::Postgres => ("postgres.down", data.join("postmaster.pid"), "QUIT"),
            Protocol::MySql => ("mariadb.down", data.with_file_name("mariadb.pid"), "KILL"),
        };
        let down = data.with_file_name(down);
        std::fs::write(&down, "").map_err(ChaosError::io("hold the server down"))?;
        let pid = std::fs::read_to_string(pid);
        let pid = pid.map_err(ChaosError::io("read who the server is"))?;
        let pid = pid.lines().next().unwrap_or_default();
        crate::tool::run("sh", &["-c", &format!("kill -{signal} {pid}")]).await?;
        tokio::time::sleep(lasts).await;
        std::fs::remove_file(&down).map_err(ChaosError::io("let the server come back"))
    }

    /// Waits until it answers again.
    pub(crate) async fn is_back(&self) -> Result<(), ChaosError> {
        let begun = clock::now();
        loop {
            match connect(&self.url).await {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > BACK_WITHIN => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Where it listens, as host and port.
    pub(crate) fn address(&self) -> &str {
        let (_, place) = self.url.split_once("://").unwrap_or(("", &self.url));
        let (place, _) = place.split_once('/').unwrap_or((place, ""));
        place.rsplit_once('@').map_or(place, |(_, address)| address)
    }
}

/// A database.
#[derive(Debug)]
pub(crate) struct Rows {
    protocol: Protocol,
    server: DatabaseConnection,
    name: String,
    url: String,
    seen: DatabaseConnection,
}

impl Rows {
    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The life of the node that listens there.
    pub(crate) async fn life_at(&self, listens: &str) -> Result<i64, ChaosError> {
        let ask = "SELECT MAX(incarnation) FROM nodes WHERE url = ?";
        let row = self.one(ask, [format!("http://{listens}").into()]).await?;
        let life: Option<i64> = row.try_get_by_index(0).map_err(failed(ask))?;
        life.ok_or_else(|| ChaosError::Answer(format!("no node's URL is http://{listens}")))
    }

    /// Whether the life has said that it is over, and whether it drives anything.
    pub(crate) async fn is_over_and_drives(&self, life: i64) -> Result<(bool, bool), ChaosError> {
        let fence = match self.protocol {
            Protocol::Postgres => {
                "SELECT state FROM node_batches WHERE incarnation = ? ORDER BY batch_no DESC LIMIT 1"
            }
            Protocol::MySql => "SELECT state FROM nodes WHERE incarnation = ?",
        };
        let ask = format!(
            "SELECT COALESCE(({fence}), 'gone') <> 'live', \
             EXISTS (SELECT 1 FROM global_transactions WHERE owner = ?)"
        );
        let row = self.one(&ask, [life.into(), life.into()]).await?;
        let get = |index| row.try_get_by_index::<bool>(index).map_err(failed(&ask));
        Ok((get(0)?, get(1)?))
    }

    /// Whether the life drives any transaction whose gid begins so.
    pub(crate) async fn drives_any(&self, life: i64, prefix: &str) -> Result<bool, ChaosError> {
        let ask = "SELECT EXISTS (SELECT 1 FROM global_transactions \
                   WHERE owner = ? AND gid >= ? AND gid < ?)";
        let end = format!("{prefix}~");
        let row = self.one(ask, [life.into(), prefix.into(), end.into()]).await?;
        row.try_get_by_index(0).map_err(failed(ask))
    }

    /// How many transactions whose gid begins so stand like this and are driven by the life.
    pub(crate) async fn driven_by(
        &self,
        life: i64,
        prefix: &str,
        status: &str,
    ) -> Result<usize, ChaosError> {
        let ask = "SELECT COUNT(*) FROM global_transactions \
                   WHERE owner = ? AND status = ? AND gid >= ? AND gid < ?";
        let end = format!("{prefix}~");
        let values = [life.into(), status.into(), prefix.into(), end.into()];
        let count: i64 = self.one(ask, values).await?.try_get_by_index(0).map_err(failed(ask))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// The rows of a life that has left, and of so many transactions that it drove, each like one
    /// of these that are there: `(gid of the model, prefix of the copies, how many)`. They are all
    /// there in one moment. Returns the life.
    pub(crate) async fn one_that_left(
        &self,
        copies: &[(&str, &str, usize)],
    ) -> Result<i64, ChaosError> {
        let failed = failed("write what a node has left");
        let first = self.one("SELECT MIN(incarnation) FROM nodes", []).await?;
        let first: Option<i64> = first.try_get_by_index(0).map_err(&failed)?;
        let first = first.ok_or_else(|| ChaosError::Answer("there is no node".to_owned()))?;
        let life = first - 1;
        // What is copied is not locked by it: who drives it goes on writing.
        let transaction = self.seen.begin_with_config(Some(IsolationLevel::ReadCommitted), None);
        let transaction = transaction.await.map_err(&failed)?;
        let run = async |sql: &str, values: Vec<Value>| {
            let done = transaction.execute_raw(self.protocol.statement(sql, values)).await;
            done.map(drop).map_err(&failed)
        };
        let node = "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, started_at, written_at) \
                    SELECT ?, 'left', 'http://127.0.0.1:1', 'left', 1, started_at, written_at \
                    FROM nodes WHERE incarnation = ?";
        run(node, vec![life.into(), first.into()]).await?;
        if self.protocol == Protocol::Postgres {
            let batch =
                "INSERT INTO node_batches (incarnation, batch_no, state) VALUES (?, 1, 'left')";
            run(batch, vec![life.into()]).await?;
        }
        for table in COPIED {
            let columns = self.columns(&transaction, table).await?;
            for (model, prefix, many) in copies {
                let copy = copy(table, &columns, life, prefix, *many);
                run(&copy, vec![(*model).into()]).await?;
            }
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(life)
    }

    /// The columns of a table.
    async fn columns(
        &self,
        seen: &impl ConnectionTrait,
        table: &str,
    ) -> Result<Vec<String>, ChaosError> {
        let own = match self.protocol {
            Protocol::Postgres => "CURRENT_SCHEMA()",
            Protocol::MySql => "DATABASE()",
        };
        let ask = format!(
            "SELECT CONCAT(column_name, '') FROM information_schema.columns \
             WHERE table_schema = {own} AND table_name = ? ORDER BY ordinal_position"
        );
        let statement = self.protocol.statement(&ask, [table.into()]);
        let rows = seen.query_all_raw(statement).await.map_err(failed(&ask))?;
        let names = rows.iter().map(|row| row.try_get_by_index(0));
        names.collect::<Result<_, _>>().map_err(failed(&ask))
    }

    /// Takes it away, whoever is still connected.
    pub(crate) async fn drop(self) {
        let Self { protocol, server, name, seen, .. } = self;
        let _ = seen.close().await;
        let force = match protocol {
            Protocol::Postgres => " WITH (FORCE)",
            Protocol::MySql => "",
        };
        // What cannot be dropped goes with the server.
        let _ = server.execute_unprepared(&format!("DROP DATABASE {name}{force}")).await;
    }

    async fn one<const N: usize>(
        &self,
        ask: &str,
        values: [Value; N],
    ) -> Result<QueryResult, ChaosError> {
        let row = self.seen.query_one_raw(self.protocol.statement(ask, values)).await;
        let row = row.map_err(failed(ask))?;
        row.ok_or_else(|| ChaosError::Answer(format!("no row: {ask}")))
    }
}

/// What a transaction's rows are in, as those have them that are copied.
const COPIED: [&str; 5] = [
    "global_transactions",
    "global_details",
    "branch_transactions",
    "branch_outcomes",
    "transaction_events",
];

/// Copies rows of the one transaction whose gid is bound, so many times.
fn copy(table: &str, columns: &[String], life: i64, prefix: &str, many: usize) -> String {
    let value = |name: &String| match name.as_str() {
        "gid" => format!("CONCAT('{prefix}', LPAD(CAST(n.i AS CHAR(8)), 8, '0'))"),
        // Of a UUID's last twelve digits each copy has its own.
        "instance" => {
            "CONCAT(LEFT(t.instance, 24), LPAD(CAST(n.i AS CHAR(12)), 12, '0'))".to_owned()
        }
        "owner" => life.to_string(),
        other => format!("t.{other}"),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} AS t CROSS JOIN ({}) AS n WHERE t.gid = ?",
        columns.join(", "),
        values.join(", "),
        numbers(many)
    )
}

/// So many numbers as rows, from 1 on, in words that all servers have.
fn numbers(many: usize) -> String {
    let digits = (1..10)
        .fold("SELECT 0 AS d".to_owned(), |all, digit| format!("{all} UNION ALL SELECT {digit}"));
    let places = std::iter::successors(Some(1_usize), |place| Some(10 * place));
    let places: Vec<usize> = places.take(many.to_string().len()).collect();
    let sum: Vec<String> = places.iter().map(|place| format!("{place} * d{place}.d")).collect();
    let tables: Vec<String> = places.iter().map(|at| format!("({digits}) AS d{at}")).collect();
    let (sum, tables) = (sum.join(" + "), tables.join(" CROSS JOIN "));
    format!("SELECT 1 + {sum} AS i FROM {tables} WHERE {sum} < {many}")
}

impl Protocol {
    /// A statement with a `?` for each value.
    fn statement(self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        match self {
            Self::MySql => Statement::from_sql_and_values(DbBackend::MySql, sql, values),
            Self::Postgres => {
                let mut parts = sql.split('?');
                let first = parts.next().unwrap_or_default().to_owned();
                let numbered = (1..).zip(parts);
                let sql = numbered.fold(first, |sql, (at, part)| format!("{sql}${at}{part}"));
                Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
            }
        }
    }

    /// The product and its version, of what a server says of itself.
    fn product(self, said: &str) -> String {
        match self {
            Self::Postgres => said.split(' ').take(2).collect::<Vec<_>>().join(" "),
            Self::MySql => {
                let (version, rest) = said.split_once('-').unwrap_or((said, ""));
                let product = ["MariaDB", "TiDB"].into_iter().find(|name| rest.contains(name));
                format!("{} {version}", product.unwrap_or("MySQL"))
            }
        }
    }
}

fn failed(what: &str) -> impl Fn(DbErr) -> ChaosError {
    move |source| ChaosError::Rows { what: what.to_owned(), source }
}

async fn connect(url: &str) -> Result<DatabaseConnection, ChaosError> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.map_err(failed("connect to the server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_server_is_what_stands_between_its_user_and_its_database() {
        for url in ["postgres://u:p@127.0.0.1:5432/postgres", "postgres://127.0.0.1:5432/postgres"]
        {
            assert_eq!(Server::postgres(url, None).address(), "127.0.0.1:5432", "{url}");
        }
    }

    #[test]
    fn a_server_is_named_by_product_and_version() {
        for (protocol, said, name) in [
            (
                Protocol::Postgres,
                "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64",
                "PostgreSQL 15.18",
            ),
            (Protocol::MySql, "10.11.19-MariaDB-0+deb12u1", "MariaDB 10.11.19"),
            (Protocol::MySql, "8.0.11-TiDB-v7.5.0", "TiDB 8.0.11"),
            (Protocol::MySql, "8.4.2", "MySQL 8.4.2"),
        ] {
            assert_eq!(protocol.product(said), name);
        }
    }

    #[test]
    fn marks_are_numbered_where_a_server_wants_it() {
        let values = || [Value::from(1_i64), Value::from(2_i64)];
        let on = |protocol: Protocol| protocol.statement("a = ? AND b = ?", values()).sql;
        assert_eq!(on(Protocol::Postgres), "a = $1 AND b = $2");
        assert_eq!(on(Protocol::MySql), "a = ? AND b = ?");
    }
}
