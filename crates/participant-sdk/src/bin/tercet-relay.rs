//! Hands over what is in an outbox, for services that would rather not do it themselves, or in another language.
//!
//! ```text
//! tercet-relay --database-url postgres://orders:…@db/orders --coordinator http://127.0.0.1:7200
//! ```

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Parser;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use tercet_participant::{Client, ClientError, Outbox, Relay};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Hands over to a coordinator what is committed in an outbox (`tercet_outbox`), and follows it to its end.
///
/// Any number of them may work on one table. TERCET_TOKEN is sent as bearer token, or the one of --token-file. It runs until
/// SIGTERM or Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "tercet-relay", version)]
struct Arguments {
    /// Where the outbox is: sqlite://PATH, postgres://… or mysql://…
    #[arg(long, value_name = "URL", env = "TERCET_RELAY_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Where the coordinator listens
    #[arg(long, value_name = "URL", env = "TERCET_URL", default_value = "http://127.0.0.1:7200")]
    coordinator: String,
    /// A file that has a token and nothing else
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where /metrics is served; nowhere by default
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Messages taken at once
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=500))]
    batch: u16,
    /// How long messages are its own: so long they wait when it dies, in milliseconds
    #[arg(long, value_name = "MS", default_value = "8000", value_parser = clap::value_parser!(u64).range(1_000..))]
    lease_ms: u64,
    /// Make the table where it is missing
    #[arg(long)]
    migrate: bool,
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
enum Fatal {
    #[error("the outbox: {0}")]
    Database(#[from] DbErr),
    #[error("the coordinator: {0}")]
    Client(#[from] ClientError),
    #[error("--token-file: {0}")]
    Token(std::io::Error),
    #[error("--metrics: {0}")]
    Listen(std::io::Error),
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = std::io::stderr;
    let colours = stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            tracing::error!("{fatal}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Fatal> {
    let outbox = Outbox::new(connect(arguments.database_url).await?);
    if arguments.migrate {
        outbox.migrate().await?;
    }
    let mut client = Client::builder(&arguments.coordinator);
    if let Some(token) = token(arguments.token_file).map_err(Fatal::Token)? {
        client = client.bearer(token);
    }
    if let Some(address) = arguments.metrics {
        serve_metrics(address).await?;
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(Fatal::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Fatal::Signals)?;
    let relay = Relay::new(outbox, client.build()?)
        .batch(arguments.batch)
        .lease(Duration::from_millis(arguments.lease_ms))
        .spawn();
    tracing::info!(coordinator = arguments.coordinator, "relaying");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    relay.stop().await;
    Ok(())
}

/// A pool that notices soon when its database is back: it tries again after at most a fifth of what it gives a
/// connection, which by itself is 30 s. For that long a database that is just being started is waited for.
async fn connect(url: String) -> Result<DatabaseConnection, DbErr> {
    const PATIENCE: Duration = Duration::from_secs(3);
    const TIMES: u32 = 10;
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).acquire_timeout(PATIENCE);
    for _ in 1..TIMES {
        if let Ok(connected) = Database::connect(options.clone()).await {
            return Ok(connected);
        }
    }
    Database::connect(options).await
}

/// That of the file, else that of the variable, if there is one.
fn token(file: Option<PathBuf>) -> Result<Option<String>, std::io::Error> {
    let text = match file {
        Some(file) => Some(std::fs::read_to_string(file)?),
        None => std::env::var("TERCET_TOKEN").ok(),
    };
    let first = text.as_deref().and_then(|text| text.lines().next()).map(str::trim);
    Ok(first.filter(|token| !token.is_empty()).map(str::to_owned))
}

async fn serve_metrics(address: SocketAddr) -> Result<(), Fatal> {
    /// Delays of a relay that keeps up are milliseconds, of one whose coordinator was away minutes.
    const SECONDS: [f64; 14] =
        [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    let listener = TcpListener::bind(address).await.map_err(Fatal::Listen)?;
    // Scripts that gave port 0 learn the port from it.
    println!("metrics on http://{}/metrics", listener.local_addr().map_err(Fatal::Listen)?);
    tokio::spawn(tidy(handle.clone()));
    let app = Router::new().route("/metrics", get(move || async move { handle.render() }));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "metrics are not served any more");
        }
    });
    Ok(())
}

/// What was recorded is put into its buckets also while nobody asks, so that it does not pile up.
async fn tidy(handle: PrometheusHandle) {
    let mut now_and_then = tokio::time::interval(Duration::from_secs(5));
    loop {
        now_and_then.tick().await;
        handle.run_upkeep();
    }
}
