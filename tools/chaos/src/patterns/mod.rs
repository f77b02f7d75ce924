//! Sagas and messages under the faults that transactions are measured under: a saga of three steps, and an outbox with its
//! relays.

mod books;
mod fault;
mod outbox;
mod relays;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::fault::PatternFault;
pub(crate) use self::relays::{Relays, measure as measure_relays};
use crate::error::ChaosError;
use crate::fault::{Fault, Need};
use crate::link::Link;
use crate::load::Shape;
use crate::nodes::Server;
use crate::report::Report;
use crate::row::Row;
use crate::stage::Programs;
use crate::trial::{self, Scale};
use crate::{sale, told, troubled_link};

/// What is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Patterns {
    /// The server with the outbox, as `postgres://…`, with a user who may make databases; without one the outbox is in
    /// an SQLite file.
    #[arg(long, value_name = "URL", env = "TERCET_TEST_POSTGRES_URL", hide_env_values = true)]
    postgres: Option<String>,
    /// Where its data are, if it comes back by itself when it is killed, as tests/databases has it.
    #[arg(long, value_name = "DIR", env = "TERCET_TEST_POSTGRES_DATA")]
    postgres_data: Option<PathBuf>,
    /// These rows only.
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    only: Vec<PatternFault>,
    /// Sagas, and messages, offered a second where the network is bad.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    offered: u32,
    /// Milliseconds that a fault lasts.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    fault_ms: u64,
    /// Milliseconds of a window without a fault.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    window_ms: u64,
    /// Initiators at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    initiators: usize,
    /// For how long messages are a relay's own: so long those wait that it held when it was killed.
    #[arg(long, value_name = "MS", default_value_t = 8_000)]
    lease_ms: u64,
    /// Has the participants on loopback, without a network that can be troubled.
    #[arg(long)]
    loopback: bool,
    /// Writes the table into this file, between its two marks.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Figures(Report, Option<&'static str>);

impl Figures {
    /// Whether every row that was asked for was measured and is clean.
    pub(crate) fn is_clean(&self) -> bool {
        self.0.is_clean()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report, outbox) = self;
        report.fmt(f)?;
        match outbox {
            Some(outbox) => writeln!(f, "\nThe outbox is in {outbox}."),
            None => Ok(()),
        }
    }
}

/// Measures all that was asked for.
pub(crate) async fn run(asked: &Patterns, programs: &Programs) -> Result<Figures, ChaosError> {
    let rows = if asked.only.is_empty() { PatternFault::ALL.to_vec() } else { asked.only.clone() };
    let server =
        asked.postgres.as_ref().map(|url| Server::postgres(url, asked.postgres_data.clone()));
    let link = if asked.loopback { Link::Loopback } else { troubled_link().await };
    println!("Between coordinator and participants: {}.\n", link.describe());
    let scale = Scale {
        fault: Duration::from_millis(asked.fault_ms),
        window: Duration::from_millis(asked.window_ms),
        initiators: asked.initiators,
    };
    let mut report = Report::new(link.describe(), scale);
    for row in &rows {
        if row.need() == Need::TroubledLink && matches!(link, Link::Loopback) {
            report.cannot(row, "needs root, iproute2, network namespaces and netem or tun");
            continue;
        }
        match measure(*row, asked, programs, &link, server.as_ref(), scale).await {
            Ok(measured) => report.add(told(measured)),
            Err(error) => report.cannot(row, &error.to_string()),
        }
    }
    let outbox = match &server {
        Some(_) => "PostgreSQL, with fsync on",
        None => "SQLite",
    };
    Ok(Figures(report, rows.iter().any(|row| row.is_about_messages()).then_some(outbox)))
}

async fn measure(
    row: PatternFault,
    asked: &Patterns,
    programs: &Programs,
    link: &Link,
    server: Option<&Server>,
    scale: Scale,
) -> Result<Row, ChaosError> {
    match row {
        PatternFault::SagaCoordinatorKilled => {
            trial::run(Fault::CoordinatorKilled, Shape::Saga, programs, link, scale).await
        }
        PatternFault::SagaFoulNetwork => {
            sale::run(asked.offered, Shape::Saga, programs, link, scale).await
        }
        PatternFault::OutboxCoordinatorKilled
        | PatternFault::OutboxRelayKilled
        | PatternFault::OutboxDatabaseKilled
        | PatternFault::OutboxFoulNetwork => {
            outbox::run(row, asked, programs, link, server, scale).await
        }
    }
}
