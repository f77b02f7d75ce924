//! The settings that there are, and those that a file of deploy/ gives.

use std::collections::BTreeMap;

use crate::read;

/// How long every deployed node serves on after SIGTERM.
pub(crate) const DRAIN_MS: u64 = 3_000;

/// Settings that deploy/ gives already and the daemon has not got yet. Off with each as soon as it has: a test
/// says when.
pub(crate) const AWAITED: &[&str] = &[];

/// Every setting by its name in full, with its default.
pub(crate) fn defaults() -> BTreeMap<String, toml::Value> {
    flat("config/tercet.toml", &read("config/tercet.toml"))
}

/// `shutdown.grace_ms` where nothing else is said.
pub(crate) fn default_grace_ms() -> u64 {
    let grace = defaults()["shutdown.grace_ms"].as_integer().expect("a number");
    u64::try_from(grace).expect("a time")
}

/// A settings file by the settings' names in full.
pub(crate) fn flat(what: &str, text: &str) -> BTreeMap<String, toml::Value> {
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut all = BTreeMap::new();
    for (name, section) in table {
        let toml::Value::Table(section) = section else { panic!("{what}: {name} is no section") };
        put(&mut all, &name, section);
    }
    all
}

/// A section's settings, and those of the sections within it. An empty table is a setting that is one.
fn put(all: &mut BTreeMap<String, toml::Value>, section: &str, of: toml::Table) {
    for (key, value) in of {
        let name = format!("{section}.{key}");
        match value {
            toml::Value::Table(within) if !within.is_empty() => put(all, &name, within),
            value => drop(all.insert(name, value)),
        }
    }
}

/// The setting that an environment variable gives, if it gives one.
pub(crate) fn of_variable(variable: &str) -> Option<String> {
    let name = variable.strip_prefix("TERCET_").filter(|name| name.contains("__"))?;
    Some(name.replace("__", ".").to_lowercase())
}

/// What is wrong with settings given in a file: names there are none of, values of another kind.
pub(crate) fn faults(given: &BTreeMap<String, toml::Value>) -> Vec<String> {
    let defaults = defaults();
    let fault = |(name, value): (&String, &toml::Value)| match defaults.get(name) {
        None if AWAITED.contains(&name.as_str()) => None,
        None => Some(format!("there is no setting {name}")),
        Some(default) if default.same_type(value) => None,
        Some(default) => Some(format!("{name} = {value} is no {}", default.type_str())),
    };
    given.iter().filter_map(fault).collect()
}

/// What is wrong with the variables that a process is given.
pub(crate) fn faults_of_variables<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let defaults = defaults();
    let mut faults = Vec::new();
    for name in names.into_iter().filter(|name| name.starts_with("TERCET_")) {
        let setting = of_variable(name);
        let known = setting
            .as_deref()
            .is_some_and(|setting| defaults.contains_key(setting) || AWAITED.contains(&setting));
        if !known {
            faults.push(format!("{name} sets nothing"));
        }
    }
    faults
}

#[test]
fn what_is_awaited_is_not_there_yet() {
    let defaults = defaults();
    let there: Vec<_> = AWAITED.iter().filter(|name| defaults.contains_key(**name)).collect();
    assert_eq!(there, Vec::<&&str>::new(), "the daemon has them now: take them off AWAITED");
}

#[test]
fn settings_that_are_none_are_found() {
    let given = flat("a test", "[shutdown]\ngrace_ms = \"5 s\"\ndrane_ms = 3000\n");
    let expected =
        ["there is no setting shutdown.drane_ms", "shutdown.grace_ms = \"5 s\" is no integer"];
    assert_eq!(faults(&given), expected);
    let variables =
        ["TERCET_SERVER__LISTEN", "TERCET_SERVER_LISTEN", "TERCET_SERVER__LISTENS", "POD_IP"];
    let expected = ["TERCET_SERVER_LISTEN sets nothing", "TERCET_SERVER__LISTENS sets nothing"];
    assert_eq!(faults_of_variables(variables), expected);
}
