//! One fault under load: before, during, after, and then the books.
//!
//! ```text
//!   warm-up │ window without fault │ fault │ recovery │ window without fault │ load ends │ books
//!                                          ▲ healed
//! ```

use std::time::Duration;

use crate::clock;
use crate::error::ChaosError;
use crate::fault::{Fault, Need};
use crate::kit::{self, Finding};
use crate::link::Link;
use crate::load::{Load, Pace, Shape};
use crate::row::{Rates, Row, ordinary, rate, recovery};
use crate::spread::Short;
use crate::stage::{Kind, Plan, Programs, Setup};

/// Begins every gid of the load.
const PREFIX: &str = "load";

/// Where 200 ms are to be hidden, many calls must be under way.
pub(crate) const WIDE: (&str, &str) = ("DISPATCHER__PER_DESTINATION_CONCURRENCY", "1024");

/// How much is done, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// The usual length of a fault.
    pub(crate) fault: Duration,
    /// The length of a window without fault.
    pub(crate) window: Duration,
    /// Initiators at a time.
    pub(crate) initiators: usize,
}

impl Scale {
    /// What runs before anything is measured.
    fn warm_up(self) -> Duration {
        self.window / 2
    }

    /// As many initiators as this fault needs to be measured.
    fn pace(self, fault: Fault) -> Pace {
        let initiators = match fault {
            Fault::FoulNetwork => self.initiators * 6,
            Fault::CoordinatorKilled
            | Fault::ParticipantKilled
            | Fault::ParticipantStopped
            | Fault::Partition
            | Fault::DiskFull
            | Fault::LogUnread
            | Fault::Both
            | Fault::EndlessInterim
            | Fault::SilentNames
            | Fault::DeadAddress => self.initiators,
        };
        Pace::Closed { initiators }
    }
}

/// Measures one fault.
pub(crate) async fn run(
    fault: Fault,
    shape: Shape,
    programs: &Programs,
    link: &Link,
    scale: Scale,
) -> Result<Row, ChaosError> {
    let wide = [WIDE];
    let plan = Plan {
        programs,
        settings: if fault == Fault::FoulNetwork { &wide } else { &[] },
        pieces: i64::from(u32::MAX),
        on_small_disk: fault.need() == Need::SmallDisk,
        own_names: fault.need() == Need::OwnNames,
        kind: Kind::of(shape),
        shape,
    };
    let mut stage = Setup::set(plan, link).await?;
    let load = Load::start(
        scale.pace(fault),
        stage.initiator()?,
        shape.body(&stage.participants.at),
        PREFIX,
    );
    tokio::time::sleep(scale.warm_up()).await;
    let before = clock::now();
    tokio::time::sleep(scale.window).await;
    let lasts = fault.lasts(scale.fault);
    let kit = fault
        .spares_participants()
        .then_some(shape)
        .filter(|shape| *shape == Shape::Tcc)
        .map(|_| kit::begin(&stage.participants.at, lasts + 2 * scale.window));
    let struck = clock::now();
    let healed = fault.strike(&mut stage, lasts).await?;
    load.until_known(healed).await;
    let first_seconds = scale.window.saturating_sub(healed.elapsed());
    tokio::time::sleep(first_seconds).await;
    let after = clock::now();
    tokio::time::sleep(scale.window).await;
    let end = clock::now();
    let (logs, detours) = load.stop().await;
    let finding = match kit {
        Some(kit) => {
            kit.await.unwrap_or_else(|error| Finding { words: error.to_string(), broken: true })
        }
        None => Finding::default(),
    };
    let verdict = stage.judge(&logs, PREFIX).await?;
    let strangers = match &stage.strangers {
        Some(strangers) => Some(strangers.judge(&stage.initiator()?).await?),
        None => None,
    };
    let without = f64::midpoint(rate(&logs, before, struck), rate(&logs, after, end));
    Ok(Row {
        fault: format!("{}{fault}, {}", shape.name(), Short(healed.duration_since(struck))),
        recovery: recovery(&logs, &[healed]),
        ordinary: ordinary(&logs, &[(before, struck), (after, end)]),
        during: ordinary(&logs, &[(struck, healed)]),
        strangers,
        verdict,
        detours,
        rates: Rates {
            without,
            during: rate(&logs, struck, healed),
            healed: rate(&logs, healed, healed + scale.window),
        },
        kit: finding.words,
        kit_broken: finding.broken,
    })
}

/// Kills the coordinator again and again under load, each time at another moment.
pub(crate) async fn kills(
    times: usize,
    programs: &Programs,
    link: &Link,
    scale: Scale,
) -> Result<Row, ChaosError> {
    /// Transactions that end between two kills, at least.
    const BETWEEN: usize = 20;
    let pieces = i64::from(u32::MAX);
    let plan = Plan {
        programs,
        settings: &[],
        pieces,
        on_small_disk: false,
        own_names: false,
        kind: Kind::Demo,
        shape: Shape::Tcc,
    };
    let mut stage = Setup::set(plan, link).await?;
    let pace = Pace::Closed { initiators: scale.initiators };
    let body = Shape::Tcc.body(&stage.participants.at);
    let load = Load::start(pace, stage.initiator()?, body, PREFIX);
    tokio::time::sleep(scale.warm_up()).await;
    let before = clock::now();
    tokio::time::sleep(scale.window).await;
    let struck = clock::now();
    let mut entropy = fastrand::Rng::with_seed(1);
    let mut healed = Vec::new();
    for _ in 0..times {
        load.until_ended(load.ended() + BETWEEN).await?;
        tokio::time::sleep(Duration::from_millis(entropy.u64(..200))).await;
        stage.coordinator.kill().await?;
        healed.push(clock::now());
        stage.coordinator.start().await?;
    }
    let last = clock::now();
    load.until_known(last).await;
    let after = clock::now();
    tokio::time::sleep(scale.window).await;
    let end = clock::now();
    let (logs, detours) = load.stop().await;
    let verdict = stage.judge(&logs, PREFIX).await?;
    Ok(Row {
        fault: format!("coordinator kill -9, {times} times in a row"),
        recovery: recovery(&logs, &healed),
        ordinary: ordinary(&logs, &[(before, struck), (after, end)]),
        during: ordinary(&logs, &[(struck, last)]),
        strangers: None,
        verdict,
        detours,
        rates: Rates {
            without: f64::midpoint(rate(&logs, before, struck), rate(&logs, after, end)),
            during: rate(&logs, struck, last),
            healed: rate(&logs, after, end),
        },
        kit: String::new(),
        kit_broken: false,
    })
}
