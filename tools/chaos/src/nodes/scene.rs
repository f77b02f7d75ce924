//! Three coordinators on one database, and the participants.

use std::time::Duration;

use tempfile::TempDir;
use tercet_testing::Port;

use super::database::{Rows, Server};
use super::valve::Valve;
use crate::clock;
use crate::error::ChaosError;
use crate::link::Link;
use crate::load::{Initiator, InitiatorLog, Shape};
use crate::process::Process;
use crate::stage::{Kind, Participants, Programs, verdict};
use crate::tool::words;
use crate::verdict::Verdict;

/// The nodes' names, which are those of their logs.
const NAMES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// How long it may take until all nodes are seen by each other.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// What the load may buy.
const PIECES: i64 = u32::MAX as i64;

/// A running cluster on an empty database. Its processes end with this value.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) nodes: Vec<Node>,
    pub(crate) participants: Participants,
    /// The first node's way to the database.
    pub(crate) valve: Valve,
    pub(crate) rows: Rows,
    pub(crate) server: Server,
    _directory: TempDir,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) process: Process,
    /// Its own while it is down, too.
    pub(crate) port: Port,
}

impl Scene {
    /// Starts all of it; every node with these settings, each as `("SECTION__KEY", "value")`.
    pub(crate) async fn set(
        programs: &Programs,
        server: &Server,
        settings: &[(&str, &str)],
    ) -> Result<Self, ChaosError> {
        let directory = TempDir::new().map_err(ChaosError::io("make a directory"))?;
        let rows = server.database().await?;
        let valve = Valve::to(server.address()).await?;
        let mut nodes = Vec::new();
        for name in NAMES {
            let direct = rows.url();
            let url = match nodes.is_empty() {
                true => direct.replace(server.address(), &valve.address().to_string()),
                false => direct.to_owned(),
            };
            let port = Port::free();
            let listen = port.address().to_string();
            let command = words([&programs.tercet, "serve", "--listen", &listen]);
            let mut process = Process::new(name, command, directory.path(), "ready");
            // A command line is for everybody to see, and the URL holds a password.
            process.set("TERCET_DATABASE__URL", url);
            process.set("TERCET_NODE__ID", name);
            for (key, value) in settings {
                process.set(format!("TERCET_{key}"), *value);
            }
            process.start().await?;
            nodes.push(Node { process, port });
        }
        let at = directory.path();
        let participants =
            Participants::start(Kind::Demo, programs, &Link::Loopback, at, PIECES).await?;
        let scene = Self {
            nodes,
            participants,
            valve,
            rows,
            server: server.clone(),
            _directory: directory,
        };
        scene.until_all_live().await?;
        Ok(scene)
    }

    /// An initiator that knows all nodes.
    pub(crate) fn initiator(&self) -> Result<Initiator, ChaosError> {
        let base = |node: &Node| format!("http://{}", node.port.address());
        Initiator::of_several(self.nodes.iter().map(base).collect())
    }

    /// Waits until every node sees every other as live.
    pub(crate) async fn until_all_live(&self) -> Result<(), ChaosError> {
        let begun = clock::now();
        for node in &self.nodes {
            let url = format!("http://{}/v1/stats", node.port.address());
            let by = self.initiator()?;
            loop {
                let stats = by.read::<serde_json::Value>("the stats", &url).await;
                let nodes = stats.as_ref().ok().and_then(|stats| stats["nodes"].as_array());
                let is_live = |node: &&serde_json::Value| node["state"] == "live";
                let live = nodes.map_or(0, |nodes| nodes.iter().filter(is_live).count());
                if live == self.nodes.len() {
                    break;
                }
                if begun.elapsed() > SEEN_WITHIN {
                    let what = format!("every node live, as {url} tells: {stats:?}");
                    return Err(ChaosError::Endless { what, seconds: SEEN_WITHIN.as_secs() });
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Waits until nothing is unfinished, and compares everybody's books.
    pub(crate) async fn judge(
        &self,
        logs: &[InitiatorLog],
        prefix: &str,
    ) -> Result<Verdict, ChaosError> {
        let of = (Shape::Tcc, PIECES);
        verdict(&self.initiator()?, &self.participants, of, logs, prefix).await
    }

    /// Ends the processes, and takes the database away.
    pub(crate) async fn end(mut self) -> Result<(), ChaosError> {
        for node in &mut self.nodes {
            node.process.kill().await?;
        }
        self.rows.drop().await;
        Ok(())
    }
}
