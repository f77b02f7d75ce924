//! One fault of nodes under load: before, during, after, and then the books.

use super::database::Server;
use super::fault::NodeFault;
use super::scene::Scene;
use crate::clock;
use crate::error::ChaosError;
use crate::load::{Load, Pace, Shape};
use crate::row::{Rates, Row, ordinary, rate, recovery};
use crate::spread::Short;
use crate::stage::Programs;
use crate::trial::Scale;

/// Begins every gid of the load.
const PREFIX: &str = "load";

/// As a balancer needs it: a node goes on for a moment after it has said that it leaves.
const DRAIN: (&str, &str) = ("SHUTDOWN__DRAIN_MS", "500");

/// Measures one fault.
pub(crate) async fn run(
    fault: NodeFault,
    programs: &Programs,
    server: &Server,
    scale: Scale,
) -> Result<Row, ChaosError> {
    let mut scene = Scene::set(programs, server, &[DRAIN]).await?;
    let pace = Pace::Closed { initiators: scale.initiators };
    let load =
        Load::start(pace, scene.initiator()?, Shape::Tcc.body(&scene.participants.at), PREFIX);
    tokio::time::sleep(scale.window / 2).await;
    let before = clock::now();
    tokio::time::sleep(scale.window).await;
    let struck = clock::now();
    let moments = fault.strike(&mut scene, scale.fault).await?;
    let over = clock::now();
    for moment in &moments {
        load.until_known(*moment).await;
    }
    scene.until_all_live().await?;
    let after = clock::now();
    tokio::time::sleep(scale.window).await;
    let end = clock::now();
    let (logs, detours) = load.stop().await;
    let verdict = scene.judge(&logs, PREFIX).await?;
    scene.end().await?;
    let windows = [(before, struck), (after, end)];
    Ok(Row {
        fault: format!("{fault}, {}", Short(over.duration_since(struck))),
        recovery: recovery(&logs, &moments),
        ordinary: ordinary(&logs, &windows),
        during: ordinary(&logs, &[(struck, over)]),
        strangers: None,
        verdict,
        detours,
        rates: Rates {
            without: f64::midpoint(rate(&logs, before, struck), rate(&logs, after, end)),
            during: rate(&logs, struck, over),
            healed: rate(&logs, after, end),
        },
        kit: String::new(),
        kit_broken: false,
    })
}
