//! What queries of boards and rules ask for: the names of metrics, and their labels.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::sources::root;

/// Labels that Prometheus adds, and that of a histogram's buckets.
pub(crate) const ADDED: [&str; 3] = ["instance", "job", "le"];

/// What a histogram is shown as.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// A query of a board or a rule.
#[derive(Debug)]
pub(crate) struct Query {
    /// The board and panel, or the rule.
    pub(crate) of: String,
    pub(crate) text: String,
}

/// A metric that a query asks for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// Those that it is picked by.
    pub(crate) labels: BTreeSet<String>,
}

/// All of them.
pub(crate) fn queries() -> Vec<Query> {
    let boards = ["service", "internals"].into_iter().flat_map(of_board);
    boards.chain(of_rules()).collect()
}

fn of_board(board: &str) -> Vec<Query> {
    let path = root().join(format!("deploy/grafana/{board}.json"));
    let text = fs::read_to_string(path).expect("a board");
    let read: Value = serde_json::from_str(&text).expect("JSON");
    let panels = read["panels"].as_array().expect("panels").iter();
    let of_panel = |panel: &Value| {
        let of = format!("{board}: {}", panel["title"].as_str().unwrap_or_default());
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let texts = targets.into_iter().filter_map(|it| Some(it["expr"].as_str()?.to_owned()));
        texts.map(|text| Query { of: of.clone(), text }).collect::<Vec<_>>()
    };
    panels.flat_map(of_panel).collect()
}

fn of_rules() -> Vec<Query> {
    let rule = |rule: Value| Query {
        of: rule["alert"].as_str().expect("a name").to_owned(),
        text: rule["expr"].as_str().expect("a query").to_owned(),
    };
    rules().into_iter().map(rule).collect()
}

/// The rules by which people are told.
pub(crate) fn rules() -> Vec<Value> {
    let read = yaml("deploy/prometheus/rules.yml");
    let groups = read["groups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

/// What a file of YAML says.
pub(crate) fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).expect("a file");
    serde_saphyr::from_str(&text).expect("YAML")
}

/// The metrics that a query asks for.
pub(crate) fn selectors(query: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    for (at, name) in words(query) {
        let rest = &query[at + name.len()..];
        let is_ours = ["tercet_", "process_"].iter().any(|prefix| name.starts_with(prefix));
        if is_ours || (name == "up" && rest.starts_with('{')) {
            let picked = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let labels = picked.map_or_else(BTreeSet::new, |(picked, _)| matched(picked));
            found.push(Selector { name: name.to_owned(), labels });
        }
    }
    found
}

/// The labels that a query groups and joins by.
pub(crate) fn grouped(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, word) in words(query) {
        let rest = query[at + word.len()..].trim_start();
        if let ("by" | "on", Some(rest)) = (word, rest.strip_prefix('(')) {
            let list = rest.split(')').next().unwrap_or_default();
            found.extend(list.split(',').map(|label| label.trim().to_owned()));
        }
    }
    found
}

/// A metric's name without what a histogram's series add to it.
pub(crate) fn metric_of<'a>(series: &'a str, metrics: &BTreeSet<String>) -> Option<&'a str> {
    let bases = OF_HISTOGRAMS.iter().filter_map(|end| series.strip_suffix(end));
    std::iter::once(series).chain(bases).find(|name| metrics.contains(*name))
}

/// Words outside of strings, each with its place.
fn words(query: &str) -> Vec<(usize, &str)> {
    let (mut found, mut at, mut in_string) = (Vec::new(), 0, false);
    while let Some(c) = query[at..].chars().next() {
        let is_word = c.is_ascii_alphabetic() || c == '_';
        in_string ^= c == '"';
        let length = if is_word && !in_string {
            let rest = &query[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let word = &rest[..end.unwrap_or(rest.len())];
            found.push((at, word));
            word.len()
        } else {
            c.len_utf8()
        };
        at += length;
    }
    found
}

/// The labels in `a="b", c=~"d"`.
fn matched(picked: &str) -> BTreeSet<String> {
    words(picked).into_iter().map(|(_, label)| label.to_owned()).collect()
}

#[test]
fn names_and_labels_are_found_in_a_query() {
    let query = r#"sum by (le, saga) (rate(tercet_a_bucket{saga="$saga", op=~"by (x)"}[5m])) / tercet_b
        and on (instance) up{job="tercet"}"#;
    let of = |name: &str, labels: &[&str]| Selector {
        name: name.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let expected =
        [of("tercet_a_bucket", &["saga", "op"]), of("tercet_b", &[]), of("up", &["job"])];
    assert_eq!(selectors(query), expected);
    let joined = grouped(query).into_iter().collect::<Vec<_>>();
    assert_eq!(joined, ["instance", "le", "saga"]);
}
