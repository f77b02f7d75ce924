//! What can be asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::load::{Counted, Driven, Gids, Kind, Load, Pace, Script, Shape, Until};
use crate::rig::{RigError, ServerProcesses};
use crate::run::{self, CONNECTIONS, Plan};
use crate::sink::{self, Profile};
use crate::{report, run::compare, run::growth, run::observed, run::stores};

/// Measures a Tercet daemon: puts load on it, and says what it did and what that cost.
#[derive(Debug, Parser)]
#[command(name = "tercet-bench", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything, in about six minutes
    Run(Place),
    /// Every case for a moment, to see that it works; no figure of it means anything
    Smoke(Place),
    /// How cost grows with what is finished, what waits, and what fails; about fifteen minutes
    Growth {
        #[command(flatten)]
        place: Place,
        /// Most finished transactions, and a tenth of it those that wait
        #[arg(long, default_value_t = 1_000_000)]
        most: u64,
    },
    /// How lists and screens fare with many transactions, and the load beside them; about eight minutes
    Screens {
        #[command(flatten)]
        place: Place,
        /// Finished transactions, and a tenth of it those that wait
        #[arg(long, default_value_t = 1_000_000)]
        most: u64,
    },
    /// The same daemon on a file, on PostgreSQL and on MariaDB, in turns, and two of it; about eight minutes
    Stores {
        #[command(flatten)]
        place: Place,
        /// An empty database on a PostgreSQL on this machine
        #[arg(long)]
        postgres: String,
        /// An empty database on a MariaDB or MySQL on this machine
        #[arg(long)]
        mysql: String,
        /// Transactions under way at once
        #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
        connections: Vec<usize>,
    },
    /// The same daemon with more and less of logs, metrics and traces, in turns; about three minutes
    Observed(Place),
    /// What whose gids transactions have costs, in turns; with a million of each twelve minutes
    Gids {
        #[command(flatten)]
        place: Place,
        /// Finished transactions of each kind in the end
        #[arg(long, default_value_t = 1_000_000)]
        most: u64,
    },
    /// Another daemon before and this one now, in turns; about five minutes
    Compare {
        #[command(flatten)]
        place: Place,
        /// The other daemon's program
        #[arg(long)]
        before: PathBuf,
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// Load on a daemon that runs already
    Load(LoadFlags),
    /// The participant alone: prints where it listens, answers until its standard input ends
    Sink,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The daemon's program
    #[arg(long, default_value = "target/release/tercet")]
    daemon: PathBuf,
    /// Where results are written and daemons keep their files
    #[arg(long, default_value = "target/bench")]
    below: PathBuf,
}

#[derive(Debug, clap::Args)]
struct LoadFlags {
    /// Where the daemon listens
    #[arg(long)]
    address: SocketAddr,
    /// Where the sink listens
    #[arg(long)]
    sink: SocketAddr,
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: usize,
    /// What each transaction is; messages are sent and not waited for
    #[arg(long, value_enum, default_value_t = Kind::Tcc)]
    kind: Kind,
    #[arg(long, default_value_t = 2)]
    branches: u32,
    /// Bytes of each payload
    #[arg(long, default_value_t = 200)]
    payload: usize,
    /// The initiator drives: begin, register each branch, confirm
    #[arg(long)]
    open: bool,
    /// … all branches by one request
    #[arg(long, requires = "open")]
    at_once: bool,
    /// Whose gids they have
    #[arg(long, value_enum, default_value_t = Gids::Generated)]
    gids: Gids,
    /// Transactions each second; without it as many as it can
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

impl Arguments {
    /// Does it. False: something was answered wrongly.
    pub(crate) fn run(self) -> Result<bool, RigError> {
        match self.command {
            Command::Run(place) => all(&place, &Plan::whole(), "make bench"),
            Command::Smoke(place) => all(&place, &Plan::smoke(), "make bench-smoke"),
            Command::Growth { place, most } => {
                let outcome = growth::run(&place.daemon, &place.below, most)?;
                growth::publish(&outcome, &place.below)?;
                Ok(outcome.wrong.is_empty())
            }
            Command::Screens { place, most } => {
                let outcome = growth::look(&place.daemon, &place.below, most)?;
                growth::publish_screens(&outcome, &place.below)?;
                Ok(outcome.wrong.is_empty())
            }
            Command::Stores { place, postgres, mysql, connections } => {
                let servers = [
                    ("PostgreSQL", postgres, ServerProcesses(&["postgres"])),
                    ("MariaDB", mysql, ServerProcesses(&["mariadbd", "mysqld"])),
                ];
                let outcome = stores::run(&place.daemon, &place.below, &servers, &connections)?;
                stores::publish(&outcome, &place.below)?;
                Ok(outcome.wrong.is_empty())
            }
            Command::Observed(place) => {
                let outcome = observed::run(&place.daemon, &place.below)?;
                observed::publish(&outcome, &place.below)?;
                Ok(outcome.wrong.is_empty())
            }
            Command::Gids { place, most } => {
                let outcome = growth::name(&place.daemon, &place.below, most)?;
                growth::publish_gids(&outcome, &place.below)?;
                Ok(outcome.wrong.is_empty())
            }
            Command::Compare { place, before, rounds } => {
                let outcome = compare::run(&before, &place.daemon, &place.below, rounds)?;
                compare::publish(&outcome, &place.below)?;
                Ok(outcome.wrong.is_empty())
            }
            Command::Load(flags) => flags.run(),
            Command::Sink => Ok(sink::serve().map(|()| true)?),
        }
    }
}

fn all(place: &Place, plan: &Plan, command: &str) -> Result<bool, RigError> {
    let outcome = run::run(&place.daemon, &place.below, plan, command)?;
    report::publish(&outcome, &place.below)?;
    Ok(outcome.wrong.is_empty())
}

impl LoadFlags {
    fn run(&self) -> Result<bool, RigError> {
        let driven = match self.kind {
            _ if self.open && self.at_once => Driven::InitiatorAtOnce,
            _ if self.open => Driven::Initiator,
            Kind::Tcc | Kind::Saga | Kind::ConfirmedSaga => Driven::Coordinator,
            Kind::Message => Driven::Unattended,
        };
        let shape = Shape {
            kind: self.kind,
            branches: self.branches,
            payload_bytes: self.payload,
            profile: Profile::Accept,
            refused_of: None,
            driven,
            gids: self.gids,
        };
        let script = Script::new(shape, self.address, self.sink);
        let load = Load {
            addresses: &[self.address],
            tls: None,
            script: &script,
            connections: self.connections,
            pace: self.rate.map_or(Pace::Closed, Pace::Rate),
            warm_up: Duration::from_secs(1),
            until: Until::Passed(Duration::from_secs_f64(self.seconds)),
        };
        let counted: Counted = load.run(&mut |_| {})?;
        println!(
            "{:.0} tx/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, generator {:.1} µs/tx, {} wrong",
            counted.per_second(),
            counted.latency_ms(50.0),
            counted.latency_ms(99.0),
            counted.latency_ms(99.9),
            counted.each_us(counted.cpu),
            counted.wrong,
        );
        if let Some(first) = &counted.first_wrong {
            println!("the first: {first}");
        }
        Ok(counted.wrong == 0)
    }
}
