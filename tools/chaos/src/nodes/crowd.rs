//! Very many transactions that a node has left: how long three nodes, of which one is stopped, need
//! to make them theirs.

use std::fmt;
use std::time::{Duration, Instant};

use tercet_testing::Port;

use super::database::Server;
use super::scene::Scene;
use crate::clock;
use crate::error::ChaosError;
use crate::load::Initiator;
use crate::spread::Short;
use crate::stage::Programs;

/// Of so many, one is undecided.
const OF_EACH_UNDECIDED: usize = 100;

/// Begin the gids of the copies that are undecided, and of those that are decided.
const UNDECIDED: &str = "left-a-";
const DECIDED: &str = "left-b-";

/// Pause between two looks at the rows.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Far longer than it takes.
const TAKEN_WITHIN: Duration = Duration::from_secs(300);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Crowd {
    transactions: usize,
    undecided: usize,
    /// Until all that were undecided had an owner, and until all had one.
    undecided_owned: Duration,
    all_owned: Duration,
    /// How many each of the two then drives that stand as they were left.
    shares: Vec<usize>,
}

/// Has so many taken over by two nodes. Their rows are copies of those of two that a node has
/// begun: an open one, and one that is cancelled at a participant that is dead.
pub(crate) async fn crowd(
    transactions: usize,
    programs: &Programs,
    server: &Server,
) -> Result<Crowd, ChaosError> {
    let mut scene = Scene::set(programs, server, &[]).await?;
    scene.nodes[2].process.terminate().await?;
    scene.nodes.truncate(2);
    scene.until_all_live().await?;
    let dead = Port::free();
    let base = format!("http://{}", scene.nodes[0].port.address());
    let initiator = Initiator::new(&base)?;
    let (open, cancelled) = ("model-open", "model-cancelled");
    initiator.hand_over(&format!(r#"{{"gid":"{open}","timeout_ms":3600000}}"#)).await?;
    let at = dead.address();
    let body = format!(
        r#"{{"gid":"{cancelled}","timeout_ms":3600000,"branches":[{{"id":"b","endpoint":"http://{at}/b"}}]}}"#
    );
    initiator.hand_over(&body).await?;
    initiator.cancel(cancelled).await?;
    let undecided = transactions / OF_EACH_UNDECIDED;
    let copies = [(open, UNDECIDED, undecided), (cancelled, DECIDED, transactions - undecided)];
    let life = scene.rows.one_that_left(&copies).await?;
    let begun = clock::now();
    let undecided_owned = until_none(&scene, life, UNDECIDED, begun).await?;
    let all_owned = until_none(&scene, life, "", begun).await?;
    let mut shares = Vec::new();
    for node in &scene.nodes {
        let life = scene.rows.life_at(&node.port.address().to_string()).await?;
        let undecided = scene.rows.driven_by(life, UNDECIDED, "trying").await?;
        shares.push(undecided + scene.rows.driven_by(life, DECIDED, "cancelling").await?);
    }
    scene.end().await?;
    Ok(Crowd { transactions, undecided, undecided_owned, all_owned, shares })
}

impl Crowd {
    /// Whether those that nobody drives any more are driven by the two, and none was lost or decided.
    pub(crate) fn is_clean(&self) -> bool {
        self.shares.iter().sum::<usize>() == self.transactions
    }
}

async fn until_none(
    scene: &Scene,
    life: i64,
    prefix: &str,
    begun: Instant,
) -> Result<Duration, ChaosError> {
    while scene.rows.drives_any(life, prefix).await? {
        if begun.elapsed() > TAKEN_WITHIN {
            let what = format!("an owner of all that life {life} has left");
            return Err(ChaosError::Endless { what, seconds: TAKEN_WITHIN.as_secs() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(begun.elapsed())
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transactions, undecided, undecided_owned, all_owned, shares } = self;
        write!(
            f,
            "* {transactions} transactions that a node has left, {undecided} of them undecided, taken over by two: the undecided ones have an owner after {}, all after {}. Each then drives {}.",
            Short(*undecided_owned),
            Short(*all_owned),
            shares.iter().map(usize::to_string).collect::<Vec<_>>().join(" and "),
        )?;
        if !self.is_clean() {
            write!(f, "\n  * WRONG: not all are driven by the two as they were left")?;
        }
        Ok(())
    }
}
