//! How long the transactions of a node that was killed are held up: killed again and again under
//! load, each time from the kill to the end of the last that was under way.

use std::fmt;
use std::time::{Duration, Instant};

use super::database::Server;
use super::scene::Scene;
use crate::clock;
use crate::error::ChaosError;
use crate::load::{InitiatorLog, Load, Pace, Shape};
use crate::spread::{Short, Spread};
use crate::stage::Programs;
use crate::trial::Scale;
use crate::verdict::Verdict;

/// Begins every gid of the load.
const PREFIX: &str = "taken";

/// Transactions that end between two kills, at least.
const BETWEEN: usize = 40;

/// How soon a silent node is taken for dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As it comes.
    Default,
    /// For a database that takes milliseconds.
    Fast,
}

impl Profile {
    pub(crate) const ALL: [Self; 2] = [Self::Default, Self::Fast];

    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Default => &[],
            Self::Fast => &[("CLUSTER__HEARTBEAT_MS", "200"), ("CLUSTER__LEASE_MS", "800")],
        }
    }

    /// In words.
    fn described(self) -> &'static str {
        match self {
            Self::Default => "lease 2 s, the default",
            Self::Fast => "lease 800 ms, heartbeat 200 ms",
        }
    }
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct TakenOver {
    profile: Profile,
    /// From each kill to the end of the last transaction that was under way.
    last: Spread,
    verdict: Verdict,
}

/// Kills a node so many times, each time another.
pub(crate) async fn take_over(
    profile: Profile,
    times: usize,
    programs: &Programs,
    server: &Server,
    scale: Scale,
) -> Result<TakenOver, ChaosError> {
    let mut scene = Scene::set(programs, server, profile.settings()).await?;
    let pace = Pace::Closed { initiators: scale.initiators };
    let load =
        Load::start(pace, scene.initiator()?, Shape::Tcc.body(&scene.participants.at), PREFIX);
    let mut entropy = fastrand::Rng::with_seed(1);
    let mut kills = Vec::new();
    for round in 0..times {
        load.until_ended(load.ended() + BETWEEN).await?;
        tokio::time::sleep(Duration::from_millis(entropy.u64(..200))).await;
        let node = round % scene.nodes.len();
        let process = &mut scene.nodes[node].process;
        let killed = clock::now();
        process.kill().await?;
        // Not before: a node that is started again finds its own life dead, and that is another way.
        load.until_known(killed).await;
        kills.push(killed);
        scene.nodes[node].process.start().await?;
        scene.until_all_live().await?;
    }
    let (logs, _) = load.stop().await;
    let verdict = scene.judge(&logs, PREFIX).await?;
    scene.end().await?;
    let last = kills.iter().filter_map(|kill| last_met(&logs, *kill));
    Ok(TakenOver { profile, last: Spread::of(last), verdict })
}

/// From the kill to the end of the last that had begun before.
fn last_met(logs: &[InitiatorLog], kill: Instant) -> Option<Duration> {
    let met = logs.iter().filter(|log| log.begun < kill).filter_map(|log| log.finished);
    met.filter(|finished| *finished > kill).max().map(|finished| finished.duration_since(kill))
}

impl TakenOver {
    pub(crate) fn is_clean(&self) -> bool {
        self.verdict.is_clean()
    }
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile, last, verdict } = self;
        let Verdict { begun, right, lost, .. } = verdict;
        write!(
            f,
            "* A node killed {} times ({}): from the kill to the end of the last transaction that was under way {} (p50), {} (max). {begun} transactions, {right} right, {lost} lost.",
            last.len(),
            profile.described(),
            Short(last.percentile(50)),
            Short(last.max()),
        )?;
        for line in verdict.sums.iter().chain(&verdict.wrong).take(5) {
            write!(f, "\n  * WRONG: {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_kill_has_met_the_last_end_counts() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let log = |begun, finished| {
            let mut log = InitiatorLog::new("taken-1".to_owned(), at(begun));
            log.finished = Some(at(finished));
            log
        };
        let logs = [log(0, 5), log(0, 12), log(3, 40), log(11, 90)];
        assert_eq!(last_met(&logs, at(10)), Some(Duration::from_millis(30)));
        assert_eq!(last_met(&logs, at(95)), None);
    }
}
