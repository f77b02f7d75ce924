//! The tables of nodes, one of each server, and what stands with them.

use std::fmt;

use super::fault::NodeFault;
use crate::error::ChaosError;
use crate::report::machine;
use crate::row::Row;
use crate::spread::Short;
use crate::trial::Scale;
use crate::verdict::Verdict;

const HEAD: &str = "\
| fault | from the fault (the database: from its return) to the end of what was under way, p50/max | RPO (acknowledged and lost) | finished right | requests that no node answered | throughput against no fault |
|---|---|---|---|---|---|";

/// All that a run has found.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<OfServer>);

impl Figures {
    pub(super) fn add(&mut self, found: OfServer) {
        self.0.push(found);
    }

    /// Whether all was measured, and nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.0.iter().all(|found| found.is_clean)
    }
}

/// What was found on one server.
#[derive(Debug)]
pub(super) struct OfServer {
    /// Product and version.
    server: String,
    scale: Scale,
    rows: Vec<Row>,
    told: Vec<String>,
    is_clean: bool,
}

impl OfServer {
    /// Says at once which it is.
    pub(super) fn new(server: String, scale: Scale) -> Self {
        println!("\n{server}\n");
        Self { server, scale, rows: Vec::new(), told: Vec::new(), is_clean: true }
    }

    /// Adds a row, and says it at once.
    pub(super) fn add(&mut self, fault: NodeFault, row: Row) {
        println!("{}\n{}", line(&row), row.note());
        self.is_clean &= row.is_clean();
        let failed = row.detours.failed;
        if fault.spares_requests() && failed > 0 {
            self.wrong(&format!("{fault}: {failed} requests were answered by no node"));
        }
        self.rows.push(row);
    }

    /// Adds what is no row, and says it at once.
    pub(super) fn tell(&mut self, measured: Result<impl fmt::Display + Measured, ChaosError>) {
        match measured {
            Ok(measured) => {
                println!("{measured}");
                self.is_clean &= measured.is_clean();
                self.told.push(measured.to_string());
            }
            Err(error) => self.cannot(&error.to_string()),
        }
    }

    /// Something that could not be measured.
    pub(super) fn cannot(&mut self, why: &str) {
        eprintln!("{why}");
        self.is_clean = false;
        self.told.push(format!("* not measured: {why}"));
    }

    /// Something that must not be, in words.
    fn wrong(&mut self, what: &str) {
        eprintln!("WRONG: {what}");
        self.is_clean = false;
        self.told.push(format!("* WRONG: {what}"));
    }
}

/// What is measured and is no row.
pub(super) trait Measured {
    /// Whether nothing is wrong.
    fn is_clean(&self) -> bool;
}

impl Measured for super::take_over::TakenOver {
    fn is_clean(&self) -> bool {
        self.is_clean()
    }
}

impl Measured for super::hand_over::HandedOver {
    fn is_clean(&self) -> bool {
        self.is_clean()
    }
}

impl Measured for super::crowd::Crowd {
    fn is_clean(&self) -> bool {
        self.is_clean()
    }
}

fn line(row: &Row) -> String {
    let Row { fault, recovery, verdict, detours, rates, .. } = row;
    let Verdict { begun, right, lost, sums, .. } = verdict;
    let (p50, max) = (Short(recovery.percentile(50)), Short(recovery.max()));
    let sums = if sums.is_empty() { "" } else { ", SUMS OFF" };
    let change = (rates.during / rates.without - 1.0) * 100.0;
    format!(
        "| {fault} | {p50} / {max} | {lost} | {right} of {begun}{sums} | {} | {change:+.0} % |",
        detours.failed
    )
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, found) in self.0.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{found}")?;
        }
        Ok(())
    }
}

impl fmt::Display for OfServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, scale, rows, told, .. } = self;
        writeln!(
            f,
            "**{server}**: three nodes on it, {} initiators that ask the next node when one does not answer, as a \
             balancer would; windows without fault of {}. All on one machine: {}.\n",
            scale.initiators,
            Short(scale.window),
            machine()
        )?;
        if !rows.is_empty() {
            writeln!(f, "{HEAD}")?;
            for row in rows {
                writeln!(f, "{}", line(row))?;
            }
            writeln!(f)?;
        }
        for line in told {
            writeln!(f, "{line}")?;
        }
        for row in rows {
            writeln!(f, "{}", row.note())?;
        }
        Ok(())
    }
}
