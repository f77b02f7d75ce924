//! The table of promises and their tests in docs/testing.md is made from the tests: each says
//! which promise it keeps, in a line of its own before it: `/// Keeps P1, P3.`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::sources::{root, rust_files};

const PAGE: &str = "docs/testing.md";
const BEGIN: &str = "<!-- promises: made by `make promises` -->\n";
const END: &str = "<!-- end of promises -->\n";

/// What is promised, in the order and the words of ARCHITECTURE.md.
const PROMISES: &[(&str, &str)] = &[
    ("P1", "Logged before called"),
    ("P2", "One decision"),
    ("P3", "Decided before told"),
    ("P4", "Everyone is told"),
    ("P5", "Recovery has no rules of its own"),
    ("P6", "Nobody waits for a stranger"),
    ("P7", "Answers are true"),
    ("P8", "Safety never rests on a clock or a lease"),
    ("P9", "Nothing grows without bound"),
    ("exactly-once", "Exactly once in the journal"),
];

/// What keeps one promise: the names of tests or of planted bugs, by the file they stand in.
type ByFile = BTreeMap<String, Vec<String>>;

/// The promises that a line speaks of: a test's `/// Keeps P1, P3.`, a planted bug's
/// `name: "P1, P3: …"`.
fn kept(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    let of_test = line.strip_prefix("/// Keeps ").and_then(|named| named.strip_suffix('.'));
    let of_bug = || line.strip_prefix("name: \"").and_then(|name| Some(name.split_once(": ")?.0));
    // A bug that breaks no promise by itself has none before its name, and other things are kept too.
    let is_promise =
        |named: &&str| PROMISES.iter().any(|(known, _)| named.split(", ").next() == Some(*known));
    let named = of_test.or_else(of_bug).filter(is_promise)?;
    Some(named.split(", ").collect())
}

/// The name of the function or of the planted bug that a line begins.
fn named(line: &str) -> Option<&str> {
    if let Some((_, after)) = line.split_once("fn ") {
        return after.split(['(', '<']).next();
    }
    let bug = line.trim().strip_prefix("name: \"")?.strip_suffix("\",")?;
    Some(bug.split_once(": ").map_or(bug, |(_, what)| what))
}

/// Everything that says which promise it keeps.
fn keepers() -> BTreeMap<String, ByFile> {
    let mut found: BTreeMap<String, ByFile> = BTreeMap::new();
    for (path, text) in ["crates", "tests", "tools"].into_iter().flat_map(rust_files) {
        let path = path.strip_prefix(root()).expect("below the root").display().to_string();
        if path == file!() || path.ends_with("rules/promises.rs") {
            continue;
        }
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(promises) = kept(line) else { continue };
            let name = named(line).or_else(|| lines.clone().take(8).find_map(named));
            let name = name.unwrap_or_else(|| panic!("{path}: nothing follows `{line}`"));
            for promise in promises {
                let known = PROMISES.iter().any(|(known, _)| *known == promise);
                assert!(known, "{path}: `{line}` names no promise");
                let by_file = found.entry(promise.to_owned()).or_default();
                by_file.entry(path.clone()).or_default().push(name.to_owned());
            }
        }
    }
    found
}

fn table() -> String {
    let keepers = keepers();
    let mut table = String::new();
    for (promise, words) in PROMISES {
        let by_file = keepers.get(*promise).unwrap_or_else(|| panic!("nothing keeps {promise}"));
        let title = if promise.starts_with('P') {
            format!("{promise}. {words}")
        } else {
            (*words).to_owned()
        };
        let _ = write!(table, "\n### {title}\n\n| where | what |\n|---|---|\n");
        for (path, names) in by_file {
            let bugs = path.starts_with("tools/mutants");
            let names = names
                .iter()
                .map(|name| if bugs { format!("*{name}*") } else { format!("`{name}`") });
            let _ = writeln!(table, "| `{path}` | {} |", names.collect::<Vec<_>>().join(", "));
        }
    }
    table.push('\n');
    table
}

#[test]
fn promises_are_listed_as_their_tests_say() {
    let page = root().join(PAGE);
    let text = fs::read_to_string(&page).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (now, after) = rest.split_once(END).expect("where the table ends");
    let made = table();
    if std::env::var_os("TERCET_MAKE_PROMISES").is_some() {
        fs::write(&page, format!("{before}{BEGIN}{made}{END}{after}")).expect("written");
    } else {
        assert!(now == made, "{PAGE} is older than the tests: run `make promises`");
    }
}
