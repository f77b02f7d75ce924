//! How many calls a participant on SQLite answers in a second, with a commit of its own for each call and with
//! one for those that come together. `make bench-guard`.
//!
//! Both keep what they answer: WAL and `synchronous = FULL`. They take turns, each time on a new file, and what is told is the
//! median of the rounds, with the least and the most. Callers, each with one call at a time, and the participant are one
//! process: there is no HTTP in between.

#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::Request;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, Statement,
};
use serde::Deserialize;
use tercet_participant::{Context, Failure, Participant, Store, router};
use tokio::task::JoinSet;
use tower::ServiceExt;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ACCOUNTS: u64 = 64;
const CONNECTIONS: u32 = 4;
/// What is run before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    OneEach,
    Group,
}

const FORMS: [Form; 2] = [Form::OneEach, Form::Group];

/// What is measured, and for how long.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    length: Duration,
}

impl Plan {
    /// `--rounds 7 --length-ms 2000`, as cargo hands it on behind its own `--bench`.
    fn from_arguments() -> Outcome<Self> {
        let mut plan = Self { rounds: 7, length: Duration::from_secs(2) };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or("a value is missing")?;
            match name.as_str() {
                "--rounds" => plan.rounds = value.parse()?,
                "--length-ms" => plan.length = Duration::from_millis(value.parse()?),
                _ => return Err(format!("{name}: there is --rounds and --length-ms").into()),
            }
        }
        Ok(plan)
    }
}

struct Accounts;

#[derive(Deserialize)]
struct Debit {
    account: u64,
    amount: i64,
}

async fn update(db: &DatabaseTransaction, sql: &str, debit: &Debit) -> Result<u64, Failure> {
    let values = [debit.amount.into(), debit.account.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(statement).await?.rows_affected())
}

impl Participant for Accounts {
    type Payload = Debit;

    async fn try_(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        let freeze = "UPDATE accounts SET balance = balance - ?1, frozen = frozen + ?1 \
                      WHERE name = ?2 AND balance >= ?1";
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
        update(db, "UPDATE accounts SET frozen = frozen - ?1 WHERE name = ?2", &debit).await?;
        Ok(())
    }

    async fn cancel(
        &self,
        db: &DatabaseTransaction,
        _: &Context,
        debit: Debit,
    ) -> Result<(), Failure> {
        let thaw =
            "UPDATE accounts SET balance = balance + ?1, frozen = frozen - ?1 WHERE name = ?2";
        update(db, thaw, &debit).await?;
        Ok(())
    }
}

async fn open(file: &Path) -> Outcome<DatabaseConnection> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options.max_connections(CONNECTIONS).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
    });
    Ok(Database::connect(options).await?)
}

async fn participant(file: &Path, form: Form) -> Outcome<Router> {
    let db = open(file).await?;
    db.execute_unprepared(
        "CREATE TABLE accounts (name INTEGER PRIMARY KEY, balance INTEGER, frozen INTEGER)",
    )
    .await?;
    for name in 0..ACCOUNTS {
        db.execute_unprepared(&format!("INSERT INTO accounts VALUES ({name}, 1000000000, 0)"))
            .await?;
    }
    let store = Store::new(db);
    let store = match form {
        Form::OneEach => store,
        Form::Group => store.group_commit(),
    };
    store.migrate().await?;
    Ok(router(Accounts, store))
}

async fn call(participant: &Router, op: &str, gid: &str, account: u64) -> Outcome<()> {
    let request = Request::post(format!("/{op}"))
        .header("content-type", "application/json")
        .header("tercet-gid", gid)
        .header("tercet-branch", "b1")
        .header("tercet-instance", "0193b6a0-0000-7000-8000-000000000001")
        .header("tercet-legs", "try,confirm,cancel")
        .header("tercet-op", op)
        .header("tercet-attempt", "1")
        .body(Body::from(format!(r#"{{"account":{account},"amount":1}}"#)))?;
    let answer = participant.clone().oneshot(request).await?;
    match answer.status().as_u16() {
        200 => Ok(()),
        other => Err(format!("{op} {gid}: {other}").into()),
    }
}

/// Calls answered in a second.
async fn measure(form: Form, callers: u64, length: Duration) -> Outcome<f64> {
    let dir = tempfile::tempdir()?;
    let participant = participant(&dir.path().join("service.db"), form).await?;
    let answered = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let end = began + WARM_UP + length;
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (participant, answered) = (participant.clone(), Arc::clone(&answered));
        tasks.spawn(async move {
            for number in 0_u64.. {
                let gid = format!("order-{caller}-{number}");
                for op in ["try", "confirm"] {
                    call(&participant, op, &gid, (caller + number) % ACCOUNTS).await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                if Instant::now() >= end {
                    break;
                }
            }
            Outcome::Ok(())
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let (at_first, since) = (answered.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(length).await;
    let count = answered.load(Ordering::Relaxed) - at_first;
    let seconds = since.elapsed().as_secs_f64();
    for ended in tasks.join_all().await {
        ended?;
    }
    #[expect(clippy::cast_precision_loss, reason = "fewer than a double counts exactly")]
    Ok(count as f64 / seconds)
}

/// The median of these, the least and the most.
fn spread(of: &[f64]) -> (f64, f64, f64) {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (sorted.first().copied(), sorted.last().copied());
    let median = sorted.get(sorted.len() / 2).copied();
    (median.unwrap_or_default(), least.unwrap_or_default(), most.unwrap_or_default())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let plan = Plan::from_arguments()?;
    println!("| callers | one commit each, calls/s | group commit, calls/s | ratio | of pairs |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for callers in [1, 16, 64] {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..plan.rounds {
            // Who goes first is the other in every second round.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in order {
                rates[which].push(measure(FORMS[which], callers, plan.length).await?);
            }
        }
        let [one_each, group] = rates.each_ref().map(|rates| spread(rates));
        let pairs: Vec<f64> =
            rates[1].iter().zip(&rates[0]).map(|(group, one_each)| group / one_each).collect();
        let (_, least, most) = spread(&pairs);
        println!(
            "| {callers} | {:.0} ({:.0}–{:.0}) | {:.0} ({:.0}–{:.0}) | {:.2} | {least:.2}–{most:.2} |",
            one_each.0,
            one_each.1,
            one_each.2,
            group.0,
            group.1,
            group.2,
            group.0 / one_each.0,
        );
    }
    println!(
        "\nMedian (least–most) of {} rounds of {:?} each, in turns.",
        plan.rounds, plan.length
    );
    Ok(())
}
