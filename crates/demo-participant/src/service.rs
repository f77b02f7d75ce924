//! What all services have: a file, an address, a guard, and mischief.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use sea_orm::{DatabaseConnection, DbErr};
use tercet_participant::{SignedCalls, Store};

use crate::guarding::Guarding;
use crate::mischief::{self, Mischief};
use crate::serve::{self, ServeError};
use crate::{calls, database, inventory, order, payment, ride, trip};

/// A service's command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where it listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Its SQLite file, made where there is none.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Mischief from the start, as JSON, such as '{"die_at":"confirm"}' (see POST /mischief).
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = Mischief::parse)]
    mischief: Mischief,
    /// Runs the business code at every call, also at repeats and at a Cancel without a Try: wrong
    /// on purpose.
    #[arg(long)]
    without_guard: bool,
    /// The secret that it shares with the coordinator: calls that are not signed by it are refused.
    #[arg(long, value_name = "SECRET", env = "TERCET_DEMO_SECRET", hide_env_values = true)]
    secret: Option<String>,
}

/// What ends a service before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// Its file cannot be opened or made.
    #[error("database {}: {source}", .file.display())]
    Database {
        /// As given.
        file: PathBuf,
        /// Why not.
        source: DbErr,
    },
    /// It cannot be called.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Its secret is none.
    #[error("the secret {0}")]
    Secret(#[from] tercet_participant::InvalidSigningKey),
    /// It cannot call the coordinator.
    #[error(transparent)]
    Client(#[from] tercet_participant::ClientError),
}

/// Runs the order service.
pub(crate) async fn order(arguments: Arguments) -> Result<(), ServiceError> {
    let Opened { db, guarding, around } = open(arguments).await?;
    let branch = around.made(order::branch(&db, guarding).await)?;
    around.serve("/order", branch, order::read(db)).await
}

/// Runs the inventory service.
pub(crate) async fn inventory(arguments: Arguments) -> Result<(), ServiceError> {
    let Opened { db, guarding, around } = open(arguments).await?;
    let branch = around.made(inventory::branch(&db, guarding).await)?;
    around.serve("/inventory", branch, inventory::read(db)).await
}

/// Runs the payment service.
pub(crate) async fn payment(arguments: Arguments) -> Result<(), ServiceError> {
    let Opened { db, guarding, around } = open(arguments).await?;
    let branch = around.made(payment::branch(&db, guarding).await)?;
    around.serve("/payment", branch, payment::read(db)).await
}

/// Runs the ride service, which also begins transactions of its own.
pub(crate) async fn ride(arguments: ride::Arguments) -> Result<(), ServiceError> {
    let ride::Arguments { service, coordinator, payment } = arguments;
    let Opened { db, guarding, around } = open(service).await?;
    let branch = around.made(ride::branch(&db, guarding).await)?;
    let seats = format!("{}/ride", around.listening.url);
    let bookings = ride::bookings(db.clone(), &coordinator, seats, payment)?;
    around.serve("/ride", branch, ride::read(db).merge(bookings)).await
}

/// Runs the flight service.
pub(crate) async fn flight(arguments: Arguments) -> Result<(), ServiceError> {
    let Opened { db, guarding, around } = open(arguments).await?;
    let branch = around.made(trip::booking(&db, guarding, trip::Kind::Flight).await)?;
    around.serve("/flight", branch, trip::bookings(db, "/flights")).await
}

/// Runs the hotel service.
pub(crate) async fn hotel(arguments: Arguments) -> Result<(), ServiceError> {
    let Opened { db, guarding, around } = open(arguments).await?;
    let branch = around.made(trip::booking(&db, guarding, trip::Kind::Hotel).await)?;
    around.serve("/hotel", branch, trip::bookings(db, "/hotels")).await
}

/// Runs the mail service.
pub(crate) async fn mail(arguments: Arguments) -> Result<(), ServiceError> {
    let Opened { db, guarding, around } = open(arguments).await?;
    let branch = around.made(trip::mail(&db, guarding).await)?;
    around.serve("/mail", branch, trip::mails(db)).await
}

/// Runs the agency, which is no participant: it begins transactions, and is asked for them.
pub(crate) async fn agency(arguments: trip::Arguments) -> Result<(), ServiceError> {
    let trip::Arguments { service, coordinator, mail } = arguments;
    let Opened { db, around, .. } = open(service).await?;
    let (checked, check) = around.made(trip::checked(&db).await)?;
    let asked_at = format!("{}/check", around.listening.url);
    let trips = trip::trips(db, checked, &coordinator, asked_at, &mail)?;
    around.serve("/check", check, trips).await
}

/// A service whose file is open and whose address is taken.
struct Opened {
    db: DatabaseConnection,
    guarding: Guarding,
    around: Around,
}

/// What is around a service's own routes.
struct Around {
    file: PathBuf,
    listening: serve::Listening,
    mischief: Mischief,
    signed: Option<SignedCalls>,
}

async fn open(arguments: Arguments) -> Result<Opened, ServiceError> {
    let Arguments { listen, db: file, mischief, without_guard, secret } = arguments;
    let signed = secret.map(|secret| SignedCalls::new([secret])).transpose()?;
    let listening = serve::listen(listen).await?;
    let around = Around { file, listening, mischief, signed };
    let db = around.made(database::open(&around.file).await)?;
    let guarding = if without_guard {
        tracing::warn!("without the guard: repeats are run again");
        Guarding::Off(db.clone())
    } else {
        let store = Store::new(db.clone());
        around.made(store.migrate().await)?;
        Guarding::On(store)
    };
    Ok(Opened { db, guarding, around })
}

impl Around {
    /// What was made in the file, or that it was not.
    fn made<T>(&self, made: Result<T, DbErr>) -> Result<T, ServiceError> {
        made.map_err(|source| ServiceError::Database { file: self.file.clone(), source })
    }

    /// Serves the calls of a coordinator under `path`, the service's other routes, and the switch for its
    /// mischief.
    async fn serve(self, path: &str, branch: Router, other: Router) -> Result<(), ServiceError> {
        let (branch, switch) = mischief::around(branch, self.mischief);
        let branch = calls::logged(branch);
        // What strangers send is refused before it can do anything, mischief too.
        let branch = match self.signed {
            Some(signed) => branch.layer(signed),
            None => branch,
        };
        let router = Router::new().nest(path, branch).merge(other).merge(switch);
        Ok(serve::serve(self.listening, router).await?)
    }
}
