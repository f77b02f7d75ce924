//! The participants' books, stocked before a run and read after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbErr, QueryResult, Statement};
use serde::{Deserialize, Serialize};

use crate::error::ChaosError;

/// What the load buys.
pub(crate) const SKU: &str = "chaos";
/// Who pays for it.
pub(crate) const ACCOUNT: &str = "chaos";
/// What a piece costs, in cents.
pub(crate) const PRICE: i64 = 100;
/// The row the test kit uses, in stock and in accounts, so that it does not meet the load's.
pub(crate) const KIT: &str = "kit";

/// More than anybody spends in a run.
const PLENTY: i64 = 1_000_000_000;

/// The SQLite files of the demo's services.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    pub(crate) order: PathBuf,
    pub(crate) inventory: PathBuf,
    pub(crate) payment: PathBuf,
}

/// What the guard of one participant has recorded of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guarded {
    pub(crate) instance: String,
    /// `tried`, `confirmed` or `cancelled`.
    pub(crate) state: String,
}

/// What is left of a stock or an account, and what of it is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Balance {
    pub(crate) free: i64,
    pub(crate) promised: i64,
}

/// All that the participants have written down of the load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// By gid, of order, inventory and payment.
    pub(crate) guards: [BTreeMap<String, Guarded>; 3],
    /// The status of each order, by gid.
    pub(crate) orders: BTreeMap<String, String>,
    pub(crate) stock: Balance,
    pub(crate) account: Balance,
}

impl Books {
    /// Gives the load and the test kit what they need; `pieces` is what the load may buy.
    pub(crate) async fn stock(&self, pieces: i64) -> Result<(), ChaosError> {
        let insert =
            format!("INSERT INTO stock VALUES ('{SKU}', {pieces}, 0), ('{KIT}', {PLENTY}, 0)");
        write(&self.inventory, &insert).await?;
        let insert = format!(
            "INSERT INTO accounts VALUES ('{ACCOUNT}', {PLENTY}, 0), ('{KIT}', {PLENTY}, 0)"
        );
        write(&self.payment, &insert).await
    }

    /// Reads everything of the transactions whose gid begins so.
    pub(crate) async fn read(&self, prefix: &str) -> Result<Entries, ChaosError> {
        let orders =
            format!("SELECT \"order\", status FROM orders WHERE \"order\" LIKE '{prefix}-%'");
        let stock = format!("SELECT available, reserved FROM stock WHERE sku = '{SKU}'");
        let account = format!("SELECT balance, frozen FROM accounts WHERE account = '{ACCOUNT}'");
        Ok(Entries {
            guards: [
                guards(&self.order, prefix).await?,
                guards(&self.inventory, prefix).await?,
                guards(&self.payment, prefix).await?,
            ],
            orders: rows(&self.order, orders, |row| {
                Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
            })
            .await?
            .into_iter()
            .collect(),
            stock: balance(&self.inventory, stock).await?,
            account: balance(&self.payment, account).await?,
        })
    }
}

/// What the load's account holds when nothing was bought.
pub(crate) fn purse() -> i64 {
    PLENTY
}

impl Entries {
    /// As books are before anything happens.
    pub(crate) fn stocked(pieces: i64) -> Self {
        Self {
            guards: Default::default(),
            orders: BTreeMap::new(),
            stock: Balance { free: pieces, promised: 0 },
            account: Balance { free: PLENTY, promised: 0 },
        }
    }

    /// What a Try does at this service; false if there is not enough.
    pub(crate) fn reserve(&mut self, service: &str, gid: &str) -> bool {
        self.note(service, gid, "pending");
        match self.balance(service) {
            Some((balance, amount)) if balance.free >= amount => {
                balance.free -= amount;
                balance.promised += amount;
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// What a Confirm does.
    pub(crate) fn take(&mut self, service: &str, gid: &str) {
        self.note(service, gid, "placed");
        if let Some((balance, amount)) = self.balance(service) {
            balance.promised -= amount;
        }
    }

    /// What a Cancel does after a Try.
    pub(crate) fn release(&mut self, service: &str, gid: &str) {
        self.note(service, gid, "void");
        if let Some((balance, amount)) = self.balance(service) {
            balance.promised -= amount;
            balance.free += amount;
        }
    }

    /// What undoes a step that was done at once.
    pub(crate) fn give_back(&mut self, service: &str, gid: &str) {
        self.note(service, gid, "void");
        if let Some((balance, amount)) = self.balance(service) {
            balance.free += amount;
        }
    }

    fn note(&mut self, service: &str, gid: &str, status: &str) {
        if service == "order" {
            self.orders.insert(gid.to_owned(), status.to_owned());
        }
    }

    /// What this service keeps, and how much of it a transaction is about.
    fn balance(&mut self, service: &str) -> Option<(&mut Balance, i64)> {
        match service {
            "inventory" => Some((&mut self.stock, 1)),
            "payment" => Some((&mut self.account, PRICE)),
            _ => None,
        }
    }
}

async fn guards(file: &Path, prefix: &str) -> Result<BTreeMap<String, Guarded>, ChaosError> {
    // Where participants do without their guard there is no table, and nothing is recorded.
    let table = "SELECT name FROM sqlite_master WHERE name = 'tercet_guard'".to_owned();
    if rows(file, table, |row| row.try_get_by_index::<String>(0)).await?.is_empty() {
        return Ok(BTreeMap::new());
    }
    let guards =
        format!("SELECT gid, instance, state FROM tercet_guard WHERE gid LIKE '{prefix}-%'");
    let read = |row: &QueryResult| {
        let gid = row.try_get_by_index(0)?;
        Ok((gid, Guarded { instance: row.try_get_by_index(1)?, state: row.try_get_by_index(2)? }))
    };
    Ok(rows(file, guards, read).await?.into_iter().collect())
}

async fn balance(file: &Path, select: String) -> Result<Balance, ChaosError> {
    let read = |row: &QueryResult| {
        Ok(Balance { free: row.try_get_by_index(0)?, promised: row.try_get_by_index(1)? })
    };
    let found = rows(file, select, read).await?;
    found.first().copied().ok_or_else(|| books(file)(DbErr::RecordNotFound("a balance".to_owned())))
}

async fn rows<T>(
    file: &Path,
    select: String,
    read: impl Fn(&QueryResult) -> Result<T, DbErr>,
) -> Result<Vec<T>, ChaosError> {
    let db = open(file).await?;
    let found = db.query_all_raw(Statement::from_string(db.get_database_backend(), select)).await;
    let found = found.and_then(|rows| rows.iter().map(read).collect()).map_err(books(file));
    db.close().await.map_err(books(file))?;
    found
}

async fn write(file: &Path, sql: &str) -> Result<(), ChaosError> {
    let db = open(file).await?;
    let written = db.execute_unprepared(sql).await.map(drop).map_err(books(file));
    db.close().await.map_err(books(file))?;
    written
}

async fn open(file: &Path) -> Result<DatabaseConnection, ChaosError> {
    Database::connect(format!("sqlite://{}?mode=rw", file.display())).await.map_err(books(file))
}

fn books(file: &Path) -> impl FnOnce(DbErr) -> ChaosError {
    let file = file.display().to_string();
    move |source| ChaosError::Books { file, source }
}
