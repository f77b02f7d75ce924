//! How long the transactions of a node that is stopped in order have nobody: from its last word,
//! that it has left, until none of them is its any more. Seen in the rows.

use std::fmt;
use std::time::{Duration, Instant};

use tercet_testing::Port;

use super::database::Server;
use super::scene::Scene;
use crate::clock;
use crate::error::ChaosError;
use crate::load::Initiator;
use crate::spread::{Short, Spread};
use crate::stage::Programs;

/// Transactions that wait at a node when it is stopped, beside those that it took over before.
const WAITING: usize = 100;

/// Begins the gid of each of them.
const PREFIX: &str = "waits-";

/// Pause between two looks at the rows.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Far longer than it takes.
const HANDED_WITHIN: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug)]
pub(crate) struct HandedOver {
    /// How long each time nobody drove them.
    took: Spread,
    /// How many of them nobody drives in the end, or were not left unfinished.
    lost: usize,
}

/// Stops a node so many times, each time another.
pub(crate) async fn hand_over(
    times: usize,
    programs: &Programs,
    server: &Server,
) -> Result<HandedOver, ChaosError> {
    // So that nothing is taken over because somebody was silent.
    let patient = [("CLUSTER__LEASE_MS", "600000")];
    let mut scene = Scene::set(programs, server, &patient).await?;
    // Nobody ever listens there.
    let dead = Port::free();
    let mut took = Vec::new();
    for round in 0..times {
        let node = round % scene.nodes.len();
        let listens = scene.nodes[node].port.address().to_string();
        let initiator = Initiator::new(&format!("http://{listens}"))?;
        for number in 0..WAITING {
            let gid = format!("{PREFIX}{round}-{number}");
            let body = format!(
                r#"{{"gid":"{gid}","timeout_ms":3600000,"branches":[{{"id":"b","endpoint":"http://{}/b"}}]}}"#,
                dead.address()
            );
            initiator.hand_over(&body).await?;
        }
        let life = scene.rows.life_at(&listens).await?;
        let process = &mut scene.nodes[node].process;
        process.signal("TERM").await?;
        took.push(without_an_owner(&scene, life).await?);
        let process = &mut scene.nodes[node].process;
        process.ends().await?;
        process.start().await?;
        scene.until_all_live().await?;
    }
    let mut driven = 0;
    for node in &scene.nodes {
        let life = scene.rows.life_at(&node.port.address().to_string()).await?;
        for status in ["trying", "cancelling"] {
            driven += scene.rows.driven_by(life, PREFIX, status).await?;
        }
    }
    scene.end().await?;
    Ok(HandedOver { took: Spread::of(took), lost: (times * WAITING).abs_diff(driven) })
}

impl HandedOver {
    /// Whether all that waited waits still, at nodes that are there.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost == 0
    }
}

/// From the first look that finds the life over until the first that finds nothing of it.
async fn without_an_owner(scene: &Scene, life: i64) -> Result<Duration, ChaosError> {
    let asked = clock::now();
    let mut over: Option<Instant> = None;
    loop {
        let (is_over, drives) = scene.rows.is_over_and_drives(life).await?;
        if is_over {
            let since = *over.get_or_insert_with(clock::now);
            if !drives {
                return Ok(since.elapsed());
            }
        }
        if asked.elapsed() > HANDED_WITHIN {
            let what = format!("nothing of life {life} after it was stopped");
            return Err(ChaosError::Endless { what, seconds: HANDED_WITHIN.as_secs() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl fmt::Display for HandedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, lost } = self;
        write!(
            f,
            "* A node stopped in order {} times, with {WAITING} transactions and more waiting at it: these have nobody for {} (p50), {} (max).",
            took.len(),
            Short(took.percentile(50)),
            Short(took.max()),
        )?;
        if !self.is_clean() {
            write!(f, "\n  * WRONG: {lost} of them are driven by nobody in the end")?;
        }
        Ok(())
    }
}
