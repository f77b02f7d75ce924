//! What was measured, for people and for programs.

mod cells;
mod patterns;
mod plot;
mod table;
mod tables;
mod targets;

use std::fs;
use std::io;
use std::path::Path;

pub(crate) use cells::{maybe, mib, percent, spread, whole};
use serde::Serialize;
pub(crate) use table::Table;
use tables::tables;

use crate::run::Outcome;

/// Prints a run's tables and writes them below `below`: `bench.json`, `report.md`, and the
/// plot, `latency.svg`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn publish(outcome: &Outcome, below: &Path) -> io::Result<()> {
    let about = format!("{}, `{}`: {}", outcome.day, outcome.command, outcome.machine);
    let about = if outcome.counts { about } else { about + " (too short to mean anything)" };
    fs::create_dir_all(below)?;
    fs::write(below.join("latency.svg"), plot::plot(&outcome.rates))?;
    let tables = tables(outcome);
    let plot = "### Latency against offered rate\n\n![latency against offered rate](latency.svg)\n";
    write(&about, &tables, plot, outcome, below, ("bench.json", "report.md"))
}

/// Prints tables and writes them, and all that is behind them, below `below`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(
    about: &str,
    tables: &[Table],
    more: &str,
    all: &impl Serialize,
    below: &Path,
    (json, markdown): (&str, &str),
) -> io::Result<()> {
    let mut text = format!("Measured on {about}\n\n");
    println!("\n{about}\n");
    for table in tables {
        println!("{}", table.text());
        text += &table.markdown();
        text.push('\n');
    }
    let all = serde_json::to_string_pretty(all)?;
    fs::write(below.join(json), all + "\n")?;
    fs::write(below.join(markdown), text + more)?;
    println!("written: {0}/{json}, {0}/{markdown}", below.display());
    Ok(())
}
