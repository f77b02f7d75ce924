//! A participant built on the SDK, as its README builds one.

use std::path::Path;

use axum::Router;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    Statement,
};
use serde::Deserialize;
use tercet_participant::test_kit::Balances;
use tercet_participant::{Context, Failure, Participant, Store, router};
use tokio::net::TcpListener;

/// What a payment asks.
#[derive(Deserialize)]
struct Debit {
    amount: i64,
}

struct Accounts;

impl Participant for Accounts {
    type Payload = Debit;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        let freeze = "UPDATE account SET balance = balance - ?1, frozen = frozen + ?1 \
                      WHERE balance >= ?1";
        match update(db, freeze, &debit).await? {
            0 => Err(Failure::refused("insufficient-funds", "there is not enough")),
            _ => Ok(()),
        }
    }

    async fn confirm(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        update(db, "UPDATE account SET frozen = frozen - ?1, spent = spent + ?1", &debit).await?;
        Ok(())
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        let thaw = "UPDATE account SET balance = balance + ?1, frozen = frozen - ?1";
        update(db, thaw, &debit).await?;
        Ok(())
    }
}

async fn update(db: &DatabaseTransaction, sql: &str, debit: &Debit) -> Result<u64, DbErr> {
    let values = [debit.amount.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(statement).await?.rows_affected())
}

/// Serves it on this file; gives its address and its database.
pub(crate) async fn serve(file: &Path) -> (String, DatabaseConnection) {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options.max_connections(5).sqlx_logging(false);
    let db = Database::connect(options).await.expect("a database");
    db.execute_unprepared(
        "PRAGMA journal_mode = WAL; \
         CREATE TABLE account (balance INTEGER, frozen INTEGER, spent INTEGER); \
         INSERT INTO account VALUES (100000, 0, 0)",
    )
    .await
    .expect("an account");
    let store = Store::new(db.clone());
    store.migrate().await.expect("the guard's table");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().nest("/account", router(Accounts, store));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), db)
}

/// What the account has.
pub(crate) async fn balances(db: DatabaseConnection) -> Result<Balances, String> {
    let statement = Statement::from_string(db.get_database_backend(), "SELECT * FROM account");
    let row = db.query_one_raw(statement).await.map_err(|error| error.to_string())?;
    let row = row.ok_or("there is no account")?;
    let amount = |name: &str| row.try_get("", name).map(|amount: i64| (name.to_owned(), amount));
    let names = ["balance", "frozen", "spent"];
    names.into_iter().map(amount).collect::<Result<_, _>>().map_err(|error| error.to_string())
}
