//! How many messages relays hand over a second, and how soon after they were written: many callers at once on
//! PostgreSQL, once as fast as it goes and once at a rate that they keep up with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tercet_testing::Port;

use super::outbox::Place;
use crate::clock;
use crate::error::ChaosError;
use crate::link::Link;
use crate::load::{Initiator, Load, Messages, Pace, Sender, Shape};
use crate::nodes::Server;
use crate::process::Process;
use crate::report::machine;
use crate::row::{ordinary, rate};
use crate::spread::{Short, Spread};
use crate::stage::{Kind, Plan, Programs, Setup};
use crate::tool::words;

/// Begins every gid.
const PREFIX: &str = "load";

/// What a relay tells of: from writing a message to the coordinator having it.
const DELAY: &str = "tercet_outbox_delay_seconds_bucket{le=\"";

/// The relays' names, which are those of their logs.
const RELAYS: [&str; 8] =
    ["relay-1", "relay-2", "relay-3", "relay-4", "relay-5", "relay-6", "relay-7", "relay-8"];

/// What is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Relays {
    /// The server, as `postgres://…`, with a user who may make databases.
    #[arg(long, value_name = "URL", env = "TERCET_TEST_POSTGRES_URL", hide_env_values = true)]
    postgres: String,
    /// How many relays, one run after another; at most eight.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 3])]
    relays: Vec<usize>,
    /// Callers at a time: each sends the next message when its last one has come.
    #[arg(long, value_name = "N", default_value_t = 500)]
    callers: usize,
    /// Messages offered a second in the second run of each.
    #[arg(long, value_name = "N", default_value_t = 400)]
    offered: u32,
    /// Seconds of a run.
    #[arg(long, value_name = "S", default_value_t = 20)]
    seconds: u64,
    /// Writes the table into this file, between its two marks.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// What was measured of one run.
#[derive(Debug)]
struct Measured {
    relays: usize,
    load: String,
    per_second: f64,
    /// From writing to the coordinator having it, as the relays tell.
    handed_over: Delays,
    /// From before its SQL transaction to its Confirm at the participant.
    came: Spread,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Figures {
    rows: Vec<Measured>,
    seconds: u64,
}

/// How many messages were handed over within so many seconds, by that; as relays count them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Delays(BTreeMap<u64, u64>);

impl Delays {
    /// What one relay tells, added.
    fn add(&mut self, metrics: &str) {
        for line in metrics.lines() {
            let Some((le, count)) =
                line.strip_prefix(DELAY).and_then(|rest| rest.split_once("\"} "))
            else {
                continue;
            };
            let bound = le.parse::<f64>().map_or(u64::MAX, |seconds| {
                let bound = Duration::try_from_secs_f64(seconds).map(|bound| bound.as_millis());
                bound.ok().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(u64::MAX)
            });
            *self.0.entry(bound).or_default() += count.trim().parse::<u64>().unwrap_or(0);
        }
    }

    /// What has come since.
    fn since(&self, before: &Self) -> Self {
        let of = |bound: &u64| before.0.get(bound).copied().unwrap_or(0);
        Self(
            self.0.iter().map(|(bound, count)| (*bound, count.saturating_sub(of(bound)))).collect(),
        )
    }

    /// Within which bound this many of a hundred were, in milliseconds; none if there are none, or they were beyond
    /// all bounds.
    fn within_ms(&self, percent: u64) -> Option<u64> {
        let all = self.0.values().copied().max().filter(|all| *all > 0)?;
        let enough = (all * percent).div_ceil(100);
        self.0
            .iter()
            .find(|(_, count)| **count >= enough)
            .map(|(bound, _)| *bound)
            .filter(|ms| *ms != u64::MAX)
    }
}

/// Measures all that was asked for.
pub(crate) async fn measure(asked: &Relays, programs: &Programs) -> Result<Figures, ChaosError> {
    let server = Server::postgres(&asked.postgres, None);
    let mut rows = Vec::new();
    for relays in &asked.relays {
        for pace in [
            Pace::Closed { initiators: asked.callers },
            Pace::Offered { per_second: asked.offered, under_way: asked.callers },
        ] {
            let measured = one(*relays, pace, asked.seconds, &server, programs).await?;
            println!("{measured}");
            rows.push(measured);
        }
    }
    Ok(Figures { rows, seconds: asked.seconds })
}

async fn one(
    relays: usize,
    pace: Pace,
    seconds: u64,
    server: &Server,
    programs: &Programs,
) -> Result<Measured, ChaosError> {
    let plan = Plan {
        programs,
        settings: &[],
        pieces: 0,
        on_small_disk: false,
        own_names: false,
        kind: Kind::InMemoryServices,
        shape: Shape::Tcc,
    };
    let stage = Setup::set(plan, &Link::Loopback).await?;
    let place = Place::make(Some(server), stage.directory()).await?;
    let db = place.connect().await?;
    let mut running = Vec::new();
    for name in &RELAYS[..relays.min(RELAYS.len())] {
        let port = Port::free();
        let metrics = port.address().to_string();
        let relay = programs.relay()?;
        let command = words([&relay, "--coordinator", &stage.url(), "--metrics", &metrics]);
        let mut relay = Process::new(name, command, stage.directory(), "relaying");
        relay.set("TERCET_RELAY_DATABASE_URL", place.url());
        relay.start().await?;
        running.push((relay, port));
    }
    let by = stage.initiator()?;
    let sender = Sender::new(db.clone(), &stage.participants.at.order, Messages::Long, by.clone());
    let load = Load::sending(pace, sender, PREFIX);
    tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
    let (from, before) = (clock::now(), delays(&by, &running).await?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (until, after) = (clock::now(), delays(&by, &running).await?);
    let (logs, _) = load.stop().await;
    drop(running);
    let _ = db.close().await;
    if let Place::Server(rows) = place {
        rows.drop().await;
    }
    Ok(Measured {
        relays,
        load: match pace {
            Pace::Closed { initiators } => format!("{initiators} callers"),
            Pace::Offered { per_second, .. } => format!("{per_second}/s offered"),
        },
        per_second: rate(&logs, from, until),
        handed_over: after.since(&before),
        came: ordinary(&logs, &[(from, until)]),
    })
}

async fn delays(by: &Initiator, relays: &[(Process, Port)]) -> Result<Delays, ChaosError> {
    let mut delays = Delays::default();
    for (_, port) in relays {
        delays.add(&by.text(&format!("http://{}/metrics", port.address())).await?);
    }
    Ok(delays)
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { relays, load, per_second, handed_over, came } = self;
        let within = |percent| match handed_over.within_ms(percent) {
            Some(ms) => format!("≤ {}", Short(Duration::from_millis(ms))),
            None => "-".to_owned(),
        };
        write!(
            f,
            "| {relays} | {load} | {per_second:.0} | {} / {} | {} / {} |",
            within(50),
            within(95),
            Short(came.percentile(50)),
            Short(came.percentile(95)),
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| relays | load | messages per second | written → handed over, p50 / p95 | placed → delivered, p50 / p95 |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        write!(f, "\n{} s each. All on one machine: {}.", self.seconds, machine())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_from_what_relays_tell_and_added() {
        let told = |counts: [u64; 3]| {
            let [five, ten, all] = counts;
            format!(
                "# TYPE tercet_outbox_delay_seconds histogram\n{DELAY}0.005\"}} {five}\n\
                 {DELAY}0.01\"}} {ten}\n{DELAY}+Inf\"}} {all}\ntercet_outbox_pending 3\n"
            )
        };
        let (mut before, mut after) = (Delays::default(), Delays::default());
        before.add(&told([10, 10, 10]));
        after.add(&told([10, 10, 10]));
        after.add(&told([50, 95, 100]));
        let delays = after.since(&before);
        assert_eq!(delays, Delays([(5, 50), (10, 95), (u64::MAX, 100)].into()));
        let within = [50, 51, 95, 96].map(|percent| delays.within_ms(percent));
        assert_eq!(within, [Some(5), Some(10), Some(10), None]);
        assert_eq!(Delays::default().within_ms(95), None);
    }
}
