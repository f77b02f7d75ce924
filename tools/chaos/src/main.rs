//! Chaos: the real programs under load, while they are killed, stopped, cut off, and their disk
//! is filled. In the end everybody's books are compared. `docs/chaos.md` has the method and the
//! figures; `make chaos` and `make waiting` run it.

mod books;
mod clock;
mod error;
mod fault;
mod in_memory;
mod kit;
mod link;
mod load;
mod nodes;
mod patterns;
mod process;
mod report;
mod row;
mod sale;
mod spread;
mod stage;
mod strangers;
mod tool;
mod trial;
mod verdict;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use self::error::ChaosError;
use self::fault::{Fault, Need};
use self::in_memory::InMemoryServices;
use self::link::Link;
use self::load::Shape;
use self::nodes::Nodes;
use self::patterns::{Patterns, Relays};
use self::report::Report;
use self::row::Row;
use self::stage::Programs;
use self::trial::Scale;
use self::waiting::Waiting;

/// Troubles a running system under load, and checks the books.
#[derive(Debug, Parser)]
#[command(name = "tercet-chaos", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Where tercet and tercet-demo are; otherwise beside this program.
    #[arg(long, global = true, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// What the demo's services are started with beside the usual; --without-guard shows that
    /// the books are really compared.
    #[arg(long, global = true, value_name = "OPTION", allow_hyphen_values = true)]
    demo_option: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every fault, one after another, and the table.
    Run(Run),
    /// Very many transactions that wait for a dead participant, and what others feel of it.
    Waiting(Waiting),
    /// Several coordinators on one database, on each server that is given: faults of nodes, take-over, hand-over.
    Nodes(Nodes),
    /// Sagas, and messages of an outbox, under the same faults, and a table of their own.
    Patterns(Patterns),
    /// How many messages relays hand over, and how soon.
    Relays(Relays),
    /// Participants in memory, for the sale.
    #[command(hide = true, name = InMemoryServices::NAME)]
    InMemoryServices(InMemoryServices),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// These faults only.
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    only: Vec<Fault>,
    /// How often the coordinator is killed in a row at the end; 0 leaves that out.
    #[arg(long, value_name = "N", default_value_t = 50)]
    kills: usize,
    /// Orders offered a second in the sale at the end; 0 leaves that out.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    sale: u32,
    /// Milliseconds that a fault lasts.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    fault_ms: u64,
    /// Milliseconds of a window without a fault.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    window_ms: u64,
    /// Initiators at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    initiators: usize,
    /// Has the participants on loopback, without a network that can be troubled.
    #[arg(long)]
    loopback: bool,
    /// Writes the table into this file, between its two marks.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command, programs, demo_option } = Arguments::parse();
    let done = async {
        let programs = || Programs::find(programs, demo_option);
        match command {
            Command::Run(asked) => run(asked, &programs()?).await,
            Command::Waiting(asked) => wait(&asked, &programs()?).await,
            Command::Nodes(asked) => run_nodes(&asked, &programs()?).await,
            Command::Relays(asked) => run_relays(&asked, &programs()?).await,
            Command::Patterns(asked) => run_patterns(&asked, &programs()?).await,
            Command::InMemoryServices(asked) => in_memory::run(asked).await,
        }
    };
    let ended = tokio::select! {
        done = done => done,
        // What was started ends with what is dropped here.
        () = told_to_end() => Ok(false),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

/// Waits for Ctrl-C or SIGTERM; for ever if signals cannot be heard.
async fn told_to_end() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => std::future::pending().await,
    }
}

/// Whether every row that was asked for was measured and is clean.
async fn run(asked: Run, programs: &Programs) -> Result<bool, ChaosError> {
    let faults = if asked.only.is_empty() { Fault::ALL.to_vec() } else { asked.only };
    let link = if asked.loopback { Link::Loopback } else { troubled_link().await };
    let scale = Scale {
        fault: Duration::from_millis(asked.fault_ms),
        window: Duration::from_millis(asked.window_ms),
        initiators: asked.initiators,
    };
    println!("Between coordinator and participants: {}.\n", link.describe());
    let mut report = Report::new(link.describe(), scale);
    for fault in faults {
        if fault.need() == Need::TroubledLink && matches!(link, Link::Loopback) {
            report.cannot(fault, "needs root, iproute2, network namespaces and netem or tun");
            continue;
        }
        if fault.need() == Need::OwnNames && !strangers::is_root() {
            report.cannot(fault, "needs root, for names of its own");
            continue;
        }
        match trial::run(fault, Shape::Tcc, programs, &link, scale).await {
            Ok(row) => report.add(told(row)),
            Err(error) => report.cannot(fault, &error.to_string()),
        }
    }
    if asked.kills > 0 {
        report.add(told(trial::kills(asked.kills, programs, &link, scale).await?));
    }
    if asked.sale > 0 && !matches!(link, Link::Loopback) {
        report.add(told(sale::run(asked.sale, Shape::Tcc, programs, &link, scale).await?));
    }
    println!("\n{report}");
    if let Some(file) = asked.report {
        report.write(&file)?;
    }
    Ok(report.is_clean())
}

/// Without one, the rows that need it are told as missing.
async fn troubled_link() -> Link {
    match Link::troubled().await {
        Ok(link) => link,
        Err(error) => {
            eprintln!("no network that can be troubled: {error}");
            Link::Loopback
        }
    }
}

async fn wait(asked: &Waiting, programs: &Programs) -> Result<bool, ChaosError> {
    let figures = waiting::run(asked, programs).await?;
    println!("{figures}");
    if let Some(file) = &asked.report {
        report::put(file, "waiting", &figures.to_string())?;
    }
    Ok(true)
}

async fn run_nodes(asked: &Nodes, programs: &Programs) -> Result<bool, ChaosError> {
    let figures = nodes::run(asked, programs).await?;
    println!("\n{figures}");
    if let Some(file) = &asked.report {
        report::put(file, "nodes", &figures.to_string())?;
    }
    Ok(figures.is_clean())
}

async fn run_patterns(asked: &Patterns, programs: &Programs) -> Result<bool, ChaosError> {
    let figures = patterns::run(asked, programs).await?;
    println!("\n{figures}");
    if let Some(file) = &asked.report {
        report::put(file, "patterns", &figures.to_string())?;
    }
    Ok(figures.is_clean())
}

async fn run_relays(asked: &Relays, programs: &Programs) -> Result<bool, ChaosError> {
    let figures = patterns::measure_relays(asked, programs).await?;
    println!("\n{figures}");
    if let Some(file) = &asked.report {
        report::put(file, "relays", &figures.to_string())?;
    }
    Ok(true)
}

/// Says at once what was measured: a run takes minutes.
fn told(row: Row) -> Row {
    println!("{row}\n{}", row.note());
    row
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]
mod tests {
    use super::*;

    /// It starts itself, for the sale, which no test without a network of its own plays.
    #[test]
    fn the_command_line_of_its_own_services_is_one_that_it_takes() {
        let listen = "127.0.0.1:7303".parse().unwrap();
        let told = InMemoryServices::command_line(listen, 1_000);
        let own = ["tercet-chaos".to_owned()];
        let understood = Arguments::try_parse_from(own.into_iter().chain(told));
        assert!(matches!(understood.unwrap().command, Command::InMemoryServices(_)));
    }
}
