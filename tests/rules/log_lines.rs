//! Log lines of the daemon have a stable name, and operating.md says what each means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::sources::{root, rust_files};

/// Whose lines these are: the daemon and the journal in it.
const DAEMON: [&str; 2] = ["crates/coordinator/src", "crates/journal/src"];
const LEVELS: [&str; 3] = ["info", "warn", "error"];

#[test]
fn every_log_line_has_an_event_that_operating_md_explains() {
    let (logged, mut wrong) = logged();
    let explained = explained();
    for (event, level) in &logged {
        match explained.get(event) {
            None => wrong.push(format!("{event} is not in docs/operating.md")),
            Some(said) if said != level => wrong.push(format!("{event} is {level}, not {said}")),
            Some(_) => {}
        }
    }
    let known: BTreeSet<&String> = logged.keys().collect();
    let gone = explained.keys().filter(|event| !known.contains(event));
    wrong.extend(gone.map(|event| format!("{event} is in docs/operating.md and never logged")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(logged.len() > 30, "too few are found: {}", logged.len());
}

/// Lines of the journal: of rows that make no sense, and of what the line after it tells with its trace.
const OF_ROWS: [&str; 4] =
    ["transaction_without_gid", "transaction_not_listed", "history_unreadable", "records_refused"];

#[test]
fn every_line_about_a_transaction_has_its_trace_from_one_place() {
    let (mut by_hand, mut about) = (Vec::new(), 0);
    for (path, text) in DAEMON.into_iter().flat_map(rust_files) {
        if is_of_a_test(&path) || path.ends_with("telemetry/about.rs") {
            continue;
        }
        about += text.matches("about!(").count();
        for (_, call) in calls(&text) {
            let event = event(call).unwrap_or_default();
            let names = ["gid = ", "%gid", "gid,", "trace_id"].iter().any(|it| call.contains(it));
            if names && !OF_ROWS.contains(&event) && !call.contains("parked.gid,") {
                by_hand.push(format!("{}: {call}", path.display()));
            }
        }
    }
    assert!(by_hand.is_empty(), "these are not logged by about!:\n{}", by_hand.join("\n"));
    assert!(about >= 6, "too few are found: {about}");
}

/// The events of the daemon's log lines with their levels, and the lines that have none.
pub(crate) fn logged() -> (BTreeMap<String, &'static str>, Vec<String>) {
    let (mut logged, mut wrong) = (BTreeMap::new(), Vec::new());
    for (path, text) in DAEMON.into_iter().flat_map(rust_files) {
        if !is_of_a_test(&path) {
            for (level, call) in calls(&text) {
                match event(call) {
                    Some(event) => drop(logged.insert(event.to_owned(), level)),
                    None => wrong.push(format!("{}: {call} has no event", path.display())),
                }
            }
        }
    }
    (logged, wrong)
}

fn is_of_a_test(path: &Path) -> bool {
    let parts = path.components().filter_map(|part| part.as_os_str().to_str());
    parts.into_iter().any(|part| part == "tests" || part.ends_with("tests.rs"))
}

/// What stands between the parentheses of each log line, with its level.
fn calls(text: &str) -> Vec<(&'static str, &str)> {
    let mut found = Vec::new();
    for level in LEVELS {
        for (at, name) in text.match_indices(&format!("{level}!(")) {
            let before = text[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                let rest = &text[at + name.len()..];
                found.push((level, &rest[..rest.find(';').unwrap_or(rest.len())]));
            }
        }
    }
    found
}

/// The event of a line: it stands first.
fn event(call: &str) -> Option<&str> {
    let name = call.trim_start().strip_prefix("event = \"")?.split('"').next()?;
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    (is_plain && !name.is_empty()).then_some(name)
}

/// The rows of the tables whose first column is the event, with their levels.
fn explained() -> BTreeMap<String, &'static str> {
    let text = fs::read_to_string(root().join("docs/operating.md")).expect("a document");
    let mut rows = BTreeMap::new();
    let mut is_in_table = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        is_in_table &= line.starts_with('|');
        is_in_table |= cells.get(1..3) == Some(&["event", "level"]);
        let (Some(event), Some(level)) = (cells.get(1), cells.get(2)) else { continue };
        let level = LEVELS.into_iter().find(|known| known == level);
        if let (true, Some(level)) = (is_in_table, level) {
            rows.insert(event.trim_matches('`').to_owned(), level);
        }
    }
    rows
}
