//! Order, inventory and payment: three small services that take part in Tercet's transactions.
//!
//! They are written as any user would write theirs, on the SDK alone, and are there to be
//! read. What is unusual is their mischief: told to, they are slow, refuse, fail, die or
//! forget to answer, so that one can watch what becomes of a transaction.

mod database;
mod inventory;
mod mischief;
mod order;
mod payment;
mod read;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use clap::{Parser, ValueEnum};
use mischief::Mischief;
use sea_orm::DatabaseConnection;
use tercet_participant::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs one of three small services that take part in Tercet's transactions.
#[derive(Debug, Parser)]
#[command(name = "tercet-demo", version)]
struct Arguments {
    /// Which service.
    service: Service,
    /// Where it listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Its SQLite file, made where there is none.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Mischief from the start, as JSON, such as '{"die_at":"confirm"}' (see POST /mischief).
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = Mischief::parse)]
    mischief: Mischief,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Service {
    /// Orders: pending, then placed or void. GET /orders
    Order,
    /// Stock: available and reserved. GET /stock
    Inventory,
    /// Accounts: balance and frozen. GET /accounts
    Payment,
}

/// What ends a service before its time.
#[derive(Debug, thiserror::Error)]
enum Fatal {
    #[error("database {}: {source}", .file.display())]
    Database { file: PathBuf, source: sea_orm::DbErr },
    #[error("listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("serve: {0}")]
    Serve(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = std::io::stderr;
    let colours = stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(fatal) => {
            tracing::error!("{fatal}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Fatal> {
    let Arguments { service, listen: address, db: file, mischief } = arguments;
    let router = match database::open(&file).await {
        Ok(db) => app(service, db, mischief).await,
        Err(source) => Err(source),
    };
    let router = router.map_err(|source| Fatal::Database { file, source })?;
    let listener =
        TcpListener::bind(address).await.map_err(|source| Fatal::Listen { address, source })?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Scripts wait for this line, and learn the port from it.
    println!("listening on http://{}", listener.local_addr()?);
    // Nothing needs to be finished first: a call that is cut off is rolled back, and made again.
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The service's three calls, its read API, and the switch for its mischief.
async fn app(
    service: Service,
    db: DatabaseConnection,
    mischief: Mischief,
) -> Result<Router, sea_orm::DbErr> {
    let store = Store::new(db.clone());
    store.migrate().await?;
    let (path, branch, read) = match service {
        Service::Order => ("/order", order::branch(&db, store).await?, order::read(db)),
        Service::Inventory => {
            ("/inventory", inventory::branch(&db, store).await?, inventory::read(db))
        }
        Service::Payment => ("/payment", payment::branch(&db, store).await?, payment::read(db)),
    };
    let (branch, switch) = mischief::around(branch, mischief);
    Ok(Router::new().nest(path, branch).merge(read).merge(switch))
}
