//! Coupons: some are left, some are held for transactions under way.
use axum::{Json, Router, extract::State, routing::get};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, Statement};
use serde_json::{Value, json};
use tercet_participant::{Context, Failure, Participant, Store, router};

#[derive(serde::Deserialize)]
struct Use {
    code: String,
}
struct Coupons;

impl Participant for Coupons {
    type Payload = Use;
    async fn try_(&self, db: &DatabaseTransaction, _: &Context, it: Use) -> Result<(), Failure> {
        let hold =
            "UPDATE coupons SET free = free - 1, held = held + 1 WHERE code = ? AND free > 0";
        match run(db, hold, it).await? {
            0 => Err(Failure::refused("no-coupon", "no such coupon is left")),
            _ => Ok(()),
        }
    }
    async fn confirm(&self, db: &DatabaseTransaction, _: &Context, it: Use) -> Result<(), Failure> {
        run(db, "UPDATE coupons SET held = held - 1, used = used + 1 WHERE code = ?", it).await?;
        Ok(())
    }
    async fn cancel(&self, db: &DatabaseTransaction, _: &Context, it: Use) -> Result<(), Failure> {
        run(db, "UPDATE coupons SET held = held - 1, free = free + 1 WHERE code = ?", it).await?;
        Ok(())
    }
}

async fn run(db: &DatabaseTransaction, sql: &str, it: Use) -> Result<u64, Failure> {
    let statement =
        Statement::from_sql_and_values(db.get_database_backend(), sql, [it.code.into()]);
    Ok(db.execute_raw(statement).await?.rows_affected())
}

async fn balances(State(db): State<DatabaseConnection>) -> Json<Value> {
    let all =
        Statement::from_string(db.get_database_backend(), "SELECT free, held, used FROM coupons");
    let row = db.query_one_raw(all).await.ok().flatten();
    let number = |name| row.as_ref().and_then(|row| row.try_get::<i64>("", name).ok());
    Json(json!({"free": number("free"), "held": number("held"), "used": number("used")}))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Database::connect("sqlite://coupons.db?mode=rwc").await?;
    let table =
        "CREATE TABLE IF NOT EXISTS coupons (code TEXT PRIMARY KEY, free INT, held INT, used INT);
        INSERT OR IGNORE INTO coupons VALUES ('SPRING', 1000, 0, 0)";
    db.execute_unprepared(table).await?;
    let store = Store::new(db.clone());
    store.migrate().await?;
    let reads = Router::new().route("/coupons", get(balances)).with_state(db);
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:7310".into());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("coupons on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, reads.nest("/coupon", router(Coupons, store))).await?)
}
