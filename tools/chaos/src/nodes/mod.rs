//! Several coordinators on one database server, while nodes die, freeze, lose their way to the database
//! or are restarted one after the other: what initiators see of it, how long a dead node's
//! transactions have nobody, and whether everybody's books agree.

mod crowd;
mod database;
mod fault;
mod figures;
mod hand_over;
mod scene;
mod take_over;
mod trial;
mod valve;

use std::path::PathBuf;
use std::time::Duration;

use self::crowd::crowd;
pub(crate) use self::database::{Rows, Server};
use self::fault::NodeFault;
pub(crate) use self::figures::Figures;
use self::figures::OfServer;
use self::hand_over::hand_over;
use self::take_over::{Profile, take_over};
use crate::error::ChaosError;
use crate::stage::Programs;
use crate::trial::Scale;

/// What is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Nodes {
    /// A server, as `postgres://…`, with a user who may make databases.
    #[arg(
        long,
        value_name = "URL",
        env = "TERCET_TEST_POSTGRES_URL",
        hide_env_values = true,
        required_unless_present = "mysql"
    )]
    postgres: Option<String>,
    /// Where its data are, if it comes back by itself when it is killed, as tests/databases has it.
    #[arg(long, value_name = "DIR", env = "TERCET_TEST_POSTGRES_DATA")]
    postgres_data: Option<PathBuf>,
    /// Another, as `mysql://…`, likewise. All is measured on each that is given.
    #[arg(long, value_name = "URL", env = "TERCET_TEST_MYSQL_URL", hide_env_values = true)]
    mysql: Option<String>,
    /// Where its data are, likewise.
    #[arg(long, value_name = "DIR", env = "TERCET_TEST_MYSQL_DATA")]
    mysql_data: Option<PathBuf>,
    /// These faults only.
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    only: Vec<NodeFault>,
    /// How often a node is killed in each profile, and stopped in order, to measure how long what it
    /// drove has nobody; 0 leaves that out.
    #[arg(long, value_name = "N", default_value_t = 20)]
    times: usize,
    /// Transactions that two nodes take over together; 0 leaves that out.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    crowd: usize,
    /// Milliseconds that a fault lasts.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    fault_ms: u64,
    /// Milliseconds of a window without a fault.
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    window_ms: u64,
    /// Initiators at a time.
    #[arg(long, value_name = "N", default_value_t = 24)]
    initiators: usize,
    /// Writes the figures into this file, between its two marks.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

impl Nodes {
    fn servers(&self) -> Vec<Server> {
        let postgres = self.postgres.iter();
        let postgres = postgres.map(|url| Server::postgres(url, self.postgres_data.clone()));
        let mysql = self.mysql.iter();
        postgres.chain(mysql.map(|url| Server::mysql(url, self.mysql_data.clone()))).collect()
    }

    fn scale(&self) -> Scale {
        Scale {
            fault: Duration::from_millis(self.fault_ms),
            window: Duration::from_millis(self.window_ms),
            initiators: self.initiators,
        }
    }
}

/// Measures all that was asked for, on one server after the other.
pub(crate) async fn run(asked: &Nodes, programs: &Programs) -> Result<Figures, ChaosError> {
    let mut figures = Figures::default();
    for server in asked.servers() {
        let of_server = OfServer::new(server.name().await?, asked.scale());
        figures.add(on(&server, asked, programs, of_server).await);
    }
    Ok(figures)
}

/// On this one. What cannot be measured is told: what was is not to be lost by it.
async fn on(
    server: &Server,
    asked: &Nodes,
    programs: &Programs,
    mut figures: OfServer,
) -> OfServer {
    let scale = asked.scale();
    let faults = if asked.only.is_empty() { NodeFault::ALL.to_vec() } else { asked.only.clone() };
    for fault in faults {
        match trial::run(fault, programs, server, scale).await {
            Ok(row) => figures.add(fault, row),
            Err(error) => figures.cannot(&format!("{fault}: {error}")),
        }
    }
    if asked.times > 0 {
        for profile in Profile::ALL {
            figures.tell(take_over(profile, asked.times, programs, server, scale).await);
        }
        figures.tell(hand_over(asked.times, programs, server).await);
    }
    if asked.crowd > 0 {
        figures.tell(crowd(asked.crowd, programs, server).await);
    }
    figures
}
