//! The table and what belongs to it, printed and put into the page about it.

use std::fmt;
use std::path::Path;

use crate::error::ChaosError;
use crate::row::{HEAD, Row};
use crate::spread::Short;
use crate::trial::Scale;

/// All that a run has found.
#[derive(Debug)]
pub(crate) struct Report {
    link: &'static str,
    scale: Scale,
    rows: Vec<Row>,
    /// Faults that this machine does not allow, and why.
    missing: Vec<String>,
}

impl Report {
    pub(crate) fn new(link: &'static str, scale: Scale) -> Self {
        Self { link, scale, rows: Vec::new(), missing: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// A row that cannot be measured here.
    pub(crate) fn cannot(&mut self, fault: impl fmt::Display, why: &str) {
        eprintln!("{fault}: cannot be done here: {why}");
        self.missing.push(format!("* {fault}: not measured: {why}"));
    }

    /// Whether everything was measured, and nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.rows.iter().all(Row::is_clean)
    }

    /// Puts the figures into a page, between its marks for `chaos`.
    pub(crate) fn write(&self, file: &Path) -> Result<(), ChaosError> {
        put(file, "chaos", &self.to_string())
    }
}

/// Replaces what stands in a page between `<!-- name -->` and `<!-- end of name -->`.
pub(crate) fn put(file: &Path, name: &str, text: &str) -> Result<(), ChaosError> {
    let shown = file.display();
    let page = std::fs::read_to_string(file).map_err(ChaosError::io(format!("read {shown}")))?;
    let page = between(&page, name, text)
        .ok_or_else(|| ChaosError::Answer(format!("{shown} has no place for {name}")))?;
    std::fs::write(file, page).map_err(ChaosError::io(format!("write {shown}")))
}

fn between(page: &str, name: &str, text: &str) -> Option<String> {
    let (head, rest) = page.split_once(&format!("<!-- {name} -->\n"))?;
    let (_, tail) = rest.split_once(&format!("<!-- end of {name} -->"))?;
    Some(format!("{head}<!-- {name} -->\n{text}\n<!-- end of {name} -->{tail}"))
}

/// What the machine is, as far as it matters.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let (cpus, memory, kernel) =
        (read("/proc/cpuinfo"), read("/proc/meminfo"), read("/proc/sys/kernel/osrelease"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field(&cpus, "model name").unwrap_or_else(|| "an unnamed processor".to_owned());
    let kib = field(&memory, "MemTotal").and_then(|kb| kb.split(' ').next()?.parse::<u64>().ok());
    let gib = kib.unwrap_or(0) / (1 << 20);
    let load = read("/proc/loadavg");
    let load = load.split(' ').nth(2).unwrap_or("unknown");
    format!(
        "{cores} cores ({model}), {gib} GiB, Linux {}; load average over 15 minutes: {load}",
        kernel.trim()
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, scale, rows, missing } = self;
        writeln!(f, "{HEAD}")?;
        for row in rows {
            writeln!(f, "{row}")?;
        }
        let (initiators, window) = (scale.initiators, Short(scale.window));
        writeln!(
            f,
            "\n{initiators} initiators; windows without fault of {window}, before and after."
        )?;
        writeln!(f, "Between coordinator and participants: {link}. Machine: {}.\n", machine())?;
        for row in rows {
            writeln!(f, "{}", row.note())?;
        }
        for line in missing {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_replace_what_stood_between_their_marks_and_nothing_else() {
        let page =
            "before\n<!-- a -->\nold\n<!-- end of a -->\n<!-- b -->\nkept\n<!-- end of b -->\n";
        let expected =
            "before\n<!-- a -->\nnew\n<!-- end of a -->\n<!-- b -->\nkept\n<!-- end of b -->\n";
        assert_eq!(between(page, "a", "new").as_deref(), Some(expected));
        assert_eq!(between(page, "c", "new"), None);
    }
}
