//! The table, printed and put into docs/operating.md.

use std::fmt::Write as _;
use std::path::Path;

use crate::record::Kept;
use crate::scenarios::{ALL, Scenario};
use crate::scene::Way;

/// All that a run has found.
pub(crate) struct Report {
    waiting: usize,
    runs: Vec<(&'static str, Way, Kept)>,
}

impl Report {
    pub(crate) fn new(waiting: usize) -> Self {
        Self { waiting, runs: Vec::new() }
    }

    pub(crate) fn add(&mut self, scenario: &Scenario, way: Way, kept: Kept) {
        self.runs.push((scenario.name, way, kept));
    }

    fn of(&self, scenario: &Scenario, way: Way) -> Option<&Kept> {
        let run = self.runs.iter().find(|run| (run.0, run.1) == (scenario.name, way));
        run.map(|(_, _, kept)| kept)
    }

    /// A row for each scenario, and below what was done.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from(
            "| what goes wrong | who wakes you | by the command line | by the console |\n|---|---|---|---|\n",
        );
        for scenario in &ALL {
            let cell = |way| self.of(scenario, way).map_or_else(|| "–".to_owned(), cell);
            let (shell, console) = (cell(Way::Shell), cell(Way::Console));
            let title = title(scenario, self.waiting);
            let _ = writeln!(text, "| {title} | {} | {shell} | {console} |", scenario.alert);
        }
        let _ = writeln!(text, "\n{} Machine: {}.\n", build(), machine());
        let was_run =
            |scenario: &&Scenario| Way::ALL.iter().any(|way| self.of(scenario, *way).is_some());
        for scenario in ALL.iter().filter(was_run) {
            let _ = writeln!(text, "**{}**\n", sentence(&title(scenario, self.waiting)));
            for way in Way::ALL {
                let Some(kept) = self.of(scenario, way) else { continue };
                let _ = writeln!(text, "* By {}: {}", way.in_words(), kept.steps.join(" → "));
            }
            // What was seen is the same by either way.
            let seen = Way::ALL.iter().find_map(|way| self.of(scenario, *way));
            for note in seen.map(|kept| kept.notes.as_slice()).unwrap_or_default() {
                let _ = writeln!(text, "* {}", sentence(note));
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Puts it into a page, between its marks.
    pub(crate) fn write(&self, file: &Path) -> Result<(), String> {
        let shown = file.display();
        let page = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
        let page =
            between(&page, &self.text()).ok_or_else(|| format!("{shown} has no place for it"))?;
        std::fs::write(file, page).map_err(|error| format!("{shown}: {error}"))
    }
}

/// The title with its number.
pub(crate) fn title(scenario: &Scenario, waiting: usize) -> String {
    scenario.title.replace("{waiting}", &spaced(waiting))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn cell(kept: &Kept) -> String {
    let took = kept.took().map_or(0.0, |took| took.as_secs_f64());
    format!("{} steps, {took:.1} s", kept.steps.len())
}

fn spaced(count: usize) -> String {
    let (thousands, rest) = (count / 1_000, count % 1_000);
    if thousands == 0 { rest.to_string() } else { format!("{thousands} {rest:03}") }
}

fn between(page: &str, text: &str) -> Option<String> {
    let (head, rest) = page.split_once("<!-- drill -->\n")?;
    let (_, tail) = rest.split_once("<!-- end of drill -->")?;
    Some(format!("{head}<!-- drill -->\n{text}\n<!-- end of drill -->{tail}"))
}

/// What was run.
fn build() -> &'static str {
    let bins = std::env::var("BIN_DIR").unwrap_or_default();
    if Path::new(&bins).ends_with("release") { "Release build." } else { "Debug build." }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("unknown").to_owned();
    let model = model.map_or("an unnamed processor", |(_, model)| model);
    format!("{cores} cores ({model}); load average over 15 minutes: {load}")
}
