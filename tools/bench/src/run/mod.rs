//! A run: rounds of each case, those of the bound and of the durable daemon in turns, so that
//! whatever else the machine does befalls both.

mod case;
pub(crate) mod compare;
mod figures;
pub(crate) mod gids;
pub(crate) mod growth;
mod memory;
pub(crate) mod observed;
mod outcome;
mod plan;
mod screens;
pub(crate) mod stores;
mod testbed;

use std::path::Path;

use case::Case;
pub(crate) use case::{CONNECTIONS, SAGA, USUAL};
pub(crate) use figures::{Figures, Spread, ratio};
pub(crate) use outcome::{AtRate, ByTls, Measured, Outcome};
pub(crate) use plan::Plan;
use testbed::{Testbed, Timing};

use crate::clock;
use crate::load::Pace;
use crate::rig::{Daemon, Journal, Machine, RigError};

/// Connections over which a fixed rate is offered.
const RATE_CONNECTIONS: usize = 256;

/// The daemons, each with what it keeps its journal in.
type Daemons = [(Journal, Daemon); 2];

/// Measures everything in the plan.
///
/// # Errors
/// A program does not start, ends, or does not answer.
pub(crate) fn run(
    program: &Path,
    below: &Path,
    plan: &Plan,
    command: &str,
) -> Result<Outcome, RigError> {
    let machine = Machine::look(below)?;
    eprintln!("{machine}");
    let mut testbed = Testbed::new(program, below)?;
    let daemons = [Journal::Memory, Journal::Sqlite];
    let [memory, sqlite] = daemons.map(|journal| testbed.daemon(journal, &[]));
    let daemons = [(Journal::Memory, memory?), (Journal::Sqlite, sqlite?)];
    let main = rounds(&mut testbed, &daemons, Case::main(), plan.rounds, plan.main)?;
    let side = rounds(&mut testbed, &daemons, Case::side(), 1, plan.side)?;
    let patterns = rounds(&mut testbed, &daemons, Case::patterns(), plan.rounds, plan.side)?;
    let by_tls = by_tls(&mut testbed, &daemons[1].1, plan)?;
    let rates = rates(&mut testbed, &daemons, plan, capacity(&main))?;
    drop(daemons);
    let gids = gids::run(&mut testbed, &[plan.named], plan.rounds, plan.main)?;
    let memory = memory::look(&mut testbed, plan)?;
    Ok(Outcome {
        day: clock::today(),
        command: command.to_owned(),
        counts: plan.counts,
        machine,
        main,
        side,
        patterns,
        by_tls,
        rates,
        gids,
        memory,
        wrong: testbed.wrong().to_vec(),
    })
}

/// What the durable daemon did each second over the usual number of connections.
fn capacity(main: &[Measured]) -> f64 {
    let usual = main.iter().find(|measured| measured.connections == CONNECTIONS);
    usual.map_or(0.0, |usual| Spread::of(&usual.sqlite, |figures| figures.per_second).median)
}

fn rounds(
    testbed: &mut Testbed,
    daemons: &Daemons,
    cases: Vec<Case>,
    rounds: usize,
    timing: Timing,
) -> Result<Vec<Measured>, RigError> {
    let empty = |case: &Case| Measured {
        case: case.name.clone(),
        connections: case.connections,
        memory: Vec::new(),
        sqlite: Vec::new(),
    };
    let mut measured: Vec<Measured> = cases.iter().map(empty).collect();
    for round in 1..=rounds {
        for (case, measured) in cases.iter().zip(&mut measured) {
            for (journal, daemon) in daemons {
                let figures = testbed.round(daemon, case, Pace::Closed, timing)?;
                eprintln!(
                    "round {round}/{rounds}  {:<36} {:<7} {:>7.0} tx/s",
                    case.name,
                    journal.name(),
                    figures.per_second
                );
                measured.add(*journal, figures);
            }
        }
    }
    Ok(measured)
}

/// What TLS and tokens cost.
fn by_tls(testbed: &mut Testbed, plain: &Daemon, plan: &Plan) -> Result<ByTls, RigError> {
    let case = Case::new("2 branches, 64 connections", CONNECTIONS, USUAL);
    let tls = testbed.daemon_by_tls()?;
    let mut by_tls = ByTls::default();
    for round in 1..=plan.rounds {
        for (daemon, figures) in [(plain, &mut by_tls.plain), (&tls, &mut by_tls.tls)] {
            let one = testbed.round(daemon, &case, Pace::Closed, plan.main)?;
            let how = if daemon.tls.is_some() { "TLS" } else { "plain" };
            eprintln!("round {round}/{}  {how:<44} {:>7.0} tx/s", plan.rounds, one.per_second);
            figures.push(one);
        }
    }
    Ok(by_tls)
}

fn rates(
    testbed: &mut Testbed,
    daemons: &Daemons,
    plan: &Plan,
    capacity: f64,
) -> Result<Vec<AtRate>, RigError> {
    let case = Case::new("fixed rate", RATE_CONNECTIONS, USUAL);
    let mut rates = Vec::new();
    for part in &plan.rates {
        // Round figures are easier to talk about.
        let offered = (capacity * part / 50.0).round().max(1.0) * 50.0;
        for (journal, daemon) in daemons {
            let figures = testbed.round(daemon, &case, Pace::Rate(offered), plan.rate)?;
            eprintln!("{offered:>6.0} offered {:<7} p99 {:.1} ms", journal.name(), figures.p99_ms);
            rates.push(AtRate { journal: *journal, offered, figures });
        }
    }
    Ok(rates)
}
