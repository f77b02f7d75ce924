//! What goes wrong with nodes.

use std::fmt;
use std::time::{Duration, Instant};

use super::scene::Scene;
use crate::clock;
use crate::error::ChaosError;

/// How long the node that is killed stays down: longer than it takes the others to take over.
const DOWN_FOR: Duration = Duration::from_secs(5);

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum NodeFault {
    /// `kill -9` of a node.
    Killed,
    /// SIGSTOP of a node, and SIGCONT.
    Stopped,
    /// `kill -9` of two of three nodes at once.
    TwoKilled,
    /// Nothing passes between a node and the database.
    Partition,
    /// The database is killed, and comes back.
    DatabaseKilled,
    /// Each node is stopped in order and started again, one after the other.
    RollingRestart,
}

impl NodeFault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Killed,
        Self::Stopped,
        Self::TwoKilled,
        Self::Partition,
        Self::DatabaseKilled,
        Self::RollingRestart,
    ];

    /// Whether a node is there all the while that takes any request, so that none may fail.
    pub(crate) fn spares_requests(self) -> bool {
        match self {
            Self::RollingRestart => true,
            Self::Killed
            | Self::Stopped
            | Self::TwoKilled
            | Self::Partition
            | Self::DatabaseKilled => false,
        }
    }

    /// Lets it happen, for so long. Returns the moments that what was under way is measured from:
    /// nobody heals a dead node, so it is the moment of the fault, but for the database, without
    /// which nobody can do anything.
    pub(crate) async fn strike(
        self,
        scene: &mut Scene,
        lasts: Duration,
    ) -> Result<Vec<Instant>, ChaosError> {
        let struck = clock::now();
        match self {
            Self::Killed => {
                scene.nodes[1].process.kill().await?;
                tokio::time::sleep(lasts.min(DOWN_FOR)).await;
                scene.nodes[1].process.start().await?;
            }
            Self::Stopped => {
                scene.nodes[1].process.signal("STOP").await?;
                tokio::time::sleep(lasts).await;
                scene.nodes[1].process.signal("CONT").await?;
            }
            Self::TwoKilled => {
                for node in &mut scene.nodes[1..] {
                    node.process.kill().await?;
                }
                tokio::time::sleep(lasts.min(DOWN_FOR)).await;
                for node in &mut scene.nodes[1..] {
                    node.process.start().await?;
                }
            }
            Self::Partition => {
                scene.valve.shut();
                tokio::time::sleep(lasts).await;
                scene.valve.open();
            }
            Self::DatabaseKilled => {
                scene.server.dies(lasts).await?;
                let healed = clock::now();
                scene.server.is_back().await?;
                return Ok(vec![healed]);
            }
            Self::RollingRestart => {
                let mut moments = Vec::new();
                for number in 0..scene.nodes.len() {
                    moments.push(clock::now());
                    let process = &mut scene.nodes[number].process;
                    process.terminate().await?;
                    process.start().await?;
                    scene.until_all_live().await?;
                }
                return Ok(moments);
            }
        }
        Ok(vec![struck])
    }
}

/// As the table names it.
impl fmt::Display for NodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "node kill -9",
            Self::Stopped => "node frozen (SIGSTOP)",
            Self::TwoKilled => "two of three nodes kill -9 at once",
            Self::Partition => "partition between a node and the database",
            Self::DatabaseKilled => "database killed, and back",
            Self::RollingRestart => "rolling restart of all nodes (SIGTERM)",
        })
    }
}
