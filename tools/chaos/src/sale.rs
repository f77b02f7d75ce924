//! A sale on a bad network: far more orders a second than there is stock, so that nearly all are
//! refused, once in fair weather and once in foul.

use std::time::Duration;

use crate::clock;
use crate::error::ChaosError;
use crate::link::{Link, Weather};
use crate::load::{Detours, InitiatorLog, Load, Pace, Shape};
use crate::row::{Rates, Row, ordinary, rate, recovery};
use crate::spread::Spread;
use crate::stage::{Kind, Plan, Programs, Setup};
use crate::trial::{Scale, WIDE};
use crate::verdict::Verdict;

/// Begins every gid of the sale.
const PREFIX: &str = "sale";

/// Pieces in stock.
const PIECES: i64 = 1_000;

/// Orders under way at a time; who comes when there are as many is turned away.
pub(crate) const UNDER_WAY: usize = 1_500;

/// One of the two runs.
struct Half {
    logs: Vec<InitiatorLog>,
    detours: Detours,
    verdict: Verdict,
    during: f64,
    healed: f64,
    recovery: Spread,
    ordinary: Spread,
}

/// Measures the sale with so many orders offered a second.
pub(crate) async fn run(
    per_second: u32,
    shape: Shape,
    programs: &Programs,
    link: &Link,
    scale: Scale,
) -> Result<Row, ChaosError> {
    let pace = Pace::Offered { per_second, under_way: UNDER_WAY };
    let fair = one_side(pace, shape, Weather::FAIR, programs, link, scale.fault).await?;
    let foul = one_side(pace, shape, Weather::FOUL, programs, link, scale.fault).await?;
    let mut verdict = foul.verdict;
    // Both halves must be right; what was wrong in fair weather is told as well.
    verdict.begun += fair.verdict.begun;
    verdict.confirmed += fair.verdict.confirmed;
    verdict.right += fair.verdict.right;
    verdict.lost += fair.verdict.lost;
    verdict.sums.extend(fair.verdict.sums);
    verdict.wrong.extend(fair.verdict.wrong);
    Ok(Row {
        fault: format!(
            "{}200 ms + 5 % loss, {per_second}/s offered, {PIECES} in stock ({} orders)",
            shape.name(),
            foul.logs.len()
        ),
        recovery: foul.recovery,
        ordinary: fair.ordinary,
        during: Spread::default(),
        strangers: None,
        verdict,
        detours: foul.detours,
        rates: Rates { without: fair.during, during: foul.during, healed: foul.healed },
        kit: String::new(),
        kit_broken: false,
    })
}

async fn one_side(
    pace: Pace,
    shape: Shape,
    weather: Weather,
    programs: &Programs,
    link: &Link,
    lasts: Duration,
) -> Result<Half, ChaosError> {
    let plan = Plan {
        programs,
        settings: &[WIDE],
        pieces: PIECES,
        on_small_disk: false,
        own_names: false,
        kind: Kind::InMemoryServices,
        shape,
    };
    let stage = Setup::set(plan, link).await?;
    link.weather(weather).await?;
    let load = Load::start(pace, stage.initiator()?, shape.body(&stage.participants.at), PREFIX);
    // Connections are made first, which takes longer in foul weather and is not what is measured.
    tokio::time::sleep(lasts / 2).await;
    let begun = clock::now();
    tokio::time::sleep(lasts).await;
    let healed = clock::now();
    link.weather(Weather::FAIR).await?;
    load.until_known(healed).await;
    let recovered = clock::now();
    let (logs, detours) = load.stop().await;
    let verdict = stage.judge(&logs, PREFIX).await?;
    Ok(Half {
        during: rate(&logs, begun, healed),
        healed: rate(&logs, healed, recovered),
        recovery: recovery(&logs, &[healed]),
        ordinary: ordinary(&logs, &[(begun, healed)]),
        logs,
        detours,
        verdict,
    })
}
