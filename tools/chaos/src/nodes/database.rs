//! A database of a run's own on a PostgreSQL server, looked into beside the nodes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, QueryResult,
    Statement, TransactionTrait, Value,
};

use crate::clock;
use crate::error::ChaosError;

/// The database's name, the server's and each node's may differ in nothing but this.
const PREFIX: &str = "tercet_chaos";

/// Longer than it takes to come back after it was killed under load.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    url: String,
    /// Where its data are, if it comes back by itself.
    data: Option<PathBuf>,
}

impl Server {
    pub(crate) fn new(url: &str, data: Option<PathBuf>) -> Self {
        Self { url: url.to_owned(), data }
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
        Ok(Rows { server, name, url, seen })
    }

    /// Kills it as a power cut would, and keeps it from coming back for so long.
    pub(crate) async fn dies(&self, lasts: Duration) -> Result<(), ChaosError> {
        let Some(data) = &self.data else {
            let what = "the server does not come back by itself: run this by tests/databases";
            return Err(ChaosError::Answer(what.to_owned()));
        };
        let down = data.with_file_name("postgres.down");
        std::fs::write(&down, "").map_err(ChaosError::io("hold the server down"))?;
        let pid = std::fs::read_to_string(data.join("postmaster.pid"));
        let pid = pid.map_err(ChaosError::io("read who the server is"))?;
        let pid = pid.lines().next().unwrap_or_default();
        crate::tool::run("sh", &["-c", &format!("kill -QUIT {pid}")]).await?;
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
        let ask = "SELECT MAX(incarnation) FROM nodes WHERE url = $1";
        let row = self.one(ask, [format!("http://{listens}").into()]).await?;
        let life: Option<i64> = row.try_get_by_index(0).map_err(failed(ask))?;
        life.ok_or_else(|| ChaosError::Answer(format!("no node's URL is http://{listens}")))
    }

    /// Whether the life has said that it is over, and whether it drives anything.
    pub(crate) async fn is_over_and_drives(&self, life: i64) -> Result<(bool, bool), ChaosError> {
        let ask = "SELECT COALESCE((SELECT state FROM node_batches WHERE incarnation = $1 \
                   ORDER BY batch_no DESC LIMIT 1), 'gone') <> 'live', \
                   EXISTS (SELECT 1 FROM global_transactions WHERE owner = $1)";
        let row = self.one(ask, [life.into()]).await?;
        let get = |index| row.try_get_by_index::<bool>(index).map_err(failed(ask));
        Ok((get(0)?, get(1)?))
    }

    /// Whether the life drives any transaction whose gid begins so.
    pub(crate) async fn drives_any(&self, life: i64, prefix: &str) -> Result<bool, ChaosError> {
        let ask = "SELECT EXISTS (SELECT 1 FROM global_transactions \
                   WHERE owner = $1 AND gid >= $2 AND gid < $3)";
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
                   WHERE owner = $1 AND status = $2 AND gid >= $3 AND gid < $4";
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
        let transaction = self.seen.begin().await.map_err(&failed)?;
        let (node, batch) = (
            "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, started_at, written_at) \
             SELECT MIN(incarnation) - 1, 'left', 'http://127.0.0.1:1', 'left', 1, \
             MIN(started_at), MIN(written_at) FROM nodes RETURNING incarnation",
            "INSERT INTO node_batches (incarnation, batch_no, state) VALUES ($1, 1, 'left')",
        );
        let life: i64 = match transaction.query_one_raw(statement(node, [])).await {
            Ok(Some(row)) => row.try_get_by_index(0).map_err(&failed)?,
            Ok(None) => return Err(ChaosError::Answer("there is no node".to_owned())),
            Err(error) => return Err(failed(error)),
        };
        transaction.execute_raw(statement(batch, [life.into()])).await.map_err(&failed)?;
        for (model, prefix, many) in copies {
            for (table, own) in [
                // Of a UUID's last twelve digits each copy has its own.
                (
                    "global_transactions",
                    ", 'owner', $4::bigint, 'instance', LEFT(t.instance, 24) || LPAD(TO_HEX(i), 12, '0')",
                ),
                ("global_details", ""),
                ("branch_transactions", ""),
                ("branch_outcomes", ""),
                ("transaction_events", ""),
            ] {
                let copy = format!(
                    "INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('gid', \
                     $2 || LPAD(i::text, 8, '0'){own}))).* FROM {table} t, \
                     generate_series(1, $3::bigint) i WHERE t.gid = $1"
                );
                let many = i64::try_from(*many).unwrap_or(i64::MAX);
                let mut values: Vec<Value> = vec![(*model).into(), (*prefix).into(), many.into()];
                if !own.is_empty() {
                    values.push(life.into());
                }
                transaction.execute_raw(statement(&copy, values)).await.map_err(&failed)?;
            }
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(life)
    }

    /// Takes it away, whoever is still connected.
    pub(crate) async fn drop(self) {
        let Self { server, name, seen, .. } = self;
        let _ = seen.close().await;
        // What cannot be dropped goes with the server.
        let _ = server.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }

    async fn one<const N: usize>(
        &self,
        ask: &str,
        values: [Value; N],
    ) -> Result<QueryResult, ChaosError> {
        let row = self.seen.query_one_raw(statement(ask, values)).await;
        let row = row.map_err(failed(ask))?;
        row.ok_or_else(|| ChaosError::Answer(format!("no row: {ask}")))
    }
}

fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
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
            assert_eq!(Server::new(url, None).address(), "127.0.0.1:5432", "{url}");
        }
    }
}
