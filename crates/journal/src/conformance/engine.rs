//! Which product answers where a URL of PostgreSQL's or MySQL's leads to one that only speaks its
//! protocol. `tests/databases --engine` says so, and the tests ask it what it calls things.

use sea_orm::DbBackend;

/// A product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Cockroach,
    Yugabyte,
    MySql,
    TiDb,
}

impl Engine {
    /// The one behind URLs of this kind.
    pub(crate) fn of(backend: DbBackend) -> Self {
        let named = std::env::var("TERCET_TEST_ENGINE").unwrap_or_default();
        match (backend, named.as_str()) {
            (DbBackend::Postgres, "cockroach") => Self::Cockroach,
            (DbBackend::Postgres, "yugabyte") => Self::Yugabyte,
            (DbBackend::Postgres, _) => Self::Postgres,
            (_, "tidb") => Self::TiDb,
            (_, _) => Self::MySql,
        }
    }

    /// Deletes a database that somebody may be using still.
    pub(crate) fn drop_database(self, name: &str) -> String {
        match self {
            Self::Postgres => format!("DROP DATABASE {name} WITH (FORCE)"),
            Self::Cockroach => format!("DROP DATABASE {name} CASCADE"),
            Self::Yugabyte => format!("DROP DATABASE {name}"),
            // A test that has failed may be in the middle of a transaction, which holds its tables.
            Self::MySql => format!("SET SESSION lock_wait_timeout = 5; DROP DATABASE {name}"),
            Self::TiDb => format!("DROP DATABASE {name}"),
        }
    }

    /// Asks how many wait for what another holds in this database; TiDB and CockroachDB: anywhere.
    pub(crate) fn waiting(self) -> &'static str {
        match self {
            Self::Postgres => {
                "SELECT COUNT(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'"
            }
            Self::Cockroach => "SELECT COUNT(*) FROM crdb_internal.cluster_locks WHERE NOT granted",
            Self::Yugabyte => "SELECT COUNT(*) FROM pg_locks WHERE NOT granted",
            Self::MySql => {
                "SELECT COUNT(*) FROM information_schema.innodb_trx AS t \
                 JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id \
                 WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT'"
            }
            Self::TiDb => "SELECT COUNT(*) FROM information_schema.data_lock_waits",
        }
    }

    /// Rows with the numbers from 1 to so many, each as `n`.
    pub(crate) fn numbers(self, many: u32) -> String {
        match self {
            Self::Postgres | Self::Cockroach | Self::Yugabyte => {
                format!("generate_series(1, {many}) AS n")
            }
            Self::MySql => format!("(SELECT seq AS n FROM seq_1_to_{many}) AS numbers"),
            Self::TiDb => format!(
                "(WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL \
                 SELECT n + 1 FROM numbers WHERE n < {many}) SELECT n FROM numbers) AS numbers"
            ),
        }
    }

    /// What a plan says that walks a table or all of an index.
    pub(crate) fn full_scans(self) -> &'static [&'static str] {
        match self {
            Self::Postgres | Self::Yugabyte => &["Seq Scan on global_transactions"],
            Self::Cockroach => &["FULL SCAN"],
            Self::MySql => &["| global_transactions | ALL |", "| global_transactions | index |"],
            Self::TiDb => &["TableFullScan", "IndexFullScan"],
        }
    }
}
