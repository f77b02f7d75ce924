//! Whoever is woken finds in docs/operating.md what it means and what to do: by rule, by event, by problem code; and
//! rules and boards ask for what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use tercet_wire::ProblemCode;

use crate::log_lines::logged;
use crate::queries::{ADDED, grouped, metric_of, queries, rules, selectors, yaml};
use crate::sources::root;

/// Where the console's screens are.
const SCREEN: &str = "`/console";

fn operating() -> String {
    fs::read_to_string(root().join("docs/operating.md")).expect("a document")
}

/// What stands under each heading, by the anchor that leads to it.
fn sections(text: &str) -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    let mut anchor = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            anchor = anchor_of(heading.trim_start_matches('#').trim());
        }
        let section: &mut String = sections.entry(anchor.clone()).or_default();
        section.push_str(line);
        section.push('\n');
    }
    sections
}

/// As the pages are made of it: small letters, and dashes for spaces.
fn anchor_of(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The codes in a cell of a table.
fn codes(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The rows of the table under a heading.
fn table<'a>(section: &'a str, header: &[&str]) -> Vec<Vec<&'a str>> {
    let rows = section.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    // A bar within code is none between cells.
    let cells = |row: &'a str| row.split(" | ").map(str::trim).collect::<Vec<_>>();
    let rows: Vec<Vec<&str>> = rows.map(cells).collect();
    let at = rows.iter().position(|row| row == header).expect("the table's header");
    rows[at + 2..].to_vec()
}

#[test]
fn each_rule_has_its_level_and_a_runbook_that_is_there() {
    let sections = sections(&operating());
    let mut wrong = Vec::new();
    for rule in rules() {
        let name = rule["alert"].as_str().expect("a name");
        let level = rule["labels"]["severity"].as_str().unwrap_or_default();
        let text = |key: &str| rule["annotations"][key].as_str().unwrap_or_default();
        let anchor = text("runbook_url").strip_prefix("docs/operating.md#").unwrap_or_default();
        let section = sections.get(anchor).map(String::as_str).unwrap_or_default();
        let is_explained = section.contains(&format!("**{level}.**"))
            && section.contains("*Look:*")
            && section.contains("*Do:*");
        let is_told = ["summary", "description"].iter().all(|key| !text(key).is_empty());
        let is_level = matches!(level, "page" | "warn" | "note");
        if !(is_explained && is_told && is_level && anchor == name.to_lowercase()) {
            wrong.push(format!("{name}: {level}, {anchor}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn each_rule_is_tried_where_it_fires_and_where_it_is_silent() {
    let tried = yaml("deploy/prometheus/rules_test.yml");
    let cases = tried["tests"].as_array().expect("tests").iter();
    let cases = cases.flat_map(|test| test["alert_rule_test"].as_array().expect("cases"));
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for case in cases {
        let name = case["alertname"].as_str().expect("a name").to_owned();
        let told = case["exp_alerts"].as_array().expect("alerts");
        if told.is_empty() {
            silent.insert(name)
        } else {
            firing.insert(name)
        };
    }
    let name = |rule: Value| rule["alert"].as_str().expect("a name").to_owned();
    let all: BTreeSet<String> = rules().into_iter().map(name).collect();
    assert_eq!((&firing, &silent), (&all, &all));
    assert!(all.len() > 20, "{}", all.len());
}

#[test]
fn each_event_has_a_screen_and_a_command_to_look_at() {
    let text = operating();
    let sections = sections(&text);
    let rows = table(&sections["where-to-look-by-event"], &["events", "screen", "command"]);
    let mut listed = BTreeSet::new();
    for row in rows {
        let [events, screen, command] = row[..] else { panic!("{row:?}") };
        assert!(screen.contains(SCREEN) && command.contains("`tercet "), "{row:?}");
        for event in codes(events) {
            assert!(listed.insert(event.to_owned()), "{event} is listed twice");
        }
    }
    let events: BTreeSet<String> = logged().0.into_keys().collect();
    let missing: Vec<_> = events.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&events).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing {missing:?}, never logged {gone:?}");
}

#[test]
fn each_problem_code_is_explained_to_whoever_runs_it() {
    let text = operating();
    let sections = sections(&text);
    let rows = table(&sections["problem-codes"], &["code", "it means", "look at", "do"]);
    let mut listed = Vec::new();
    for row in &rows {
        let [code, means, look, act] = row[..] else { panic!("{row:?}") };
        assert!([means, look, act].iter().all(|cell| !cell.is_empty()), "{row:?}");
        listed.extend(codes(code));
    }
    listed.sort_unstable();
    let mut all: Vec<&str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    all.sort_unstable();
    assert_eq!(listed, all);
}

/// The daemon's metrics, by the one place that names them.
fn metrics() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("crates/wire/src/metric.rs")).expect("a file");
    let values = text.lines().filter_map(|line| line.strip_prefix("pub const "));
    values.map(|value| value.split('"').nth(1).expect("a name").to_owned()).collect()
}

/// The metrics that docs/operating.md explains, with their labels.
fn explained() -> BTreeMap<String, BTreeSet<String>> {
    let text = operating();
    let sections = sections(&text);
    let rows = table(&sections["metrics"], &["metric", "meaning"]);
    let mut explained = BTreeMap::new();
    for metric in rows.iter().flat_map(|row| codes(row[0])) {
        let (name, labels) = metric.split_once('{').unwrap_or((metric, "}"));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        explained.insert(name.to_owned(), labels.map(str::to_owned).collect());
    }
    explained
}

#[test]
fn each_metric_is_explained_and_shown_on_a_board_or_told_of() {
    let (metrics, explained) = (metrics(), explained());
    let unexplained: Vec<_> =
        metrics.iter().filter(|name| !explained.contains_key(*name)).collect();
    assert!(unexplained.is_empty(), "not in docs/operating.md: {unexplained:?}");
    let mut asked = BTreeSet::new();
    for query in queries() {
        let found = selectors(&query.text);
        asked
            .extend(found.iter().filter_map(|it| metric_of(&it.name, &metrics)).map(str::to_owned));
    }
    // The boards' list of nodes is made of it.
    asked.insert("tercet_build_info".to_owned());
    let unseen: Vec<_> = metrics.difference(&asked).collect();
    assert!(unseen.is_empty(), "on no board and in no rule: {unseen:?}");
}

#[test]
fn boards_and_rules_ask_for_metrics_and_labels_that_there_are() {
    let (metrics, explained) = (metrics(), explained());
    let mut wrong = Vec::new();
    let all = queries();
    for query in &all {
        let mut known: BTreeSet<&str> = ADDED.into();
        for selector in selectors(&query.text) {
            if selector.name == "up" {
                continue;
            }
            let Some(metric) = metric_of(&selector.name, &metrics) else {
                wrong.push(format!("{}: there is no {}", query.of, selector.name));
                continue;
            };
            let labels = &explained[metric];
            let is_known =
                |label: &&String| !labels.contains(*label) && !ADDED.contains(&label.as_str());
            for label in selector.labels.iter().filter(is_known) {
                wrong.push(format!("{}: {metric} has no {label}", query.of));
            }
            known.extend(labels.iter().map(String::as_str));
        }
        for label in grouped(&query.text).iter().filter(|label| !known.contains(label.as_str())) {
            wrong.push(format!("{}: nothing has {label}", query.of));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(all.len() > 60, "too few are found: {}", all.len());
}
