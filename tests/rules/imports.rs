//! Who may import whom. ARCHITECTURE.md says why.

use std::collections::BTreeSet;

use crate::sources::{root, rust_files};

/// A folder and what no file in it may name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "crates/protocol/src",
        &["tokio::", "axum::", "reqwest::", "sea_orm::", "rand::", "SystemTime", "Instant::now"],
    ),
    (
        "crates/coordinator/src/api",
        &[
            "sea_orm",
            "rusqlite",
            "reqwest",
            "crate::dispatcher",
            "tercet_protocol::Engine",
            "tercet_protocol::Ring",
            "journal::database",
        ],
    ),
    (
        "crates/coordinator/src/runtime",
        &["axum", "sea_orm", "rusqlite", "reqwest", "hyper", "crate::api"],
    ),
    (
        "crates/coordinator/src/journal",
        &[
            "axum",
            "reqwest",
            "hyper",
            "crate::api",
            "crate::runtime",
            "crate::dispatcher",
            "Engine",
            "Ring",
        ],
    ),
    (
        "crates/coordinator/src/dispatcher",
        &[
            "sea_orm",
            "rusqlite",
            "axum",
            "crate::api",
            "crate::runtime",
            "crate::journal",
            "Engine",
            "Ring",
        ],
    ),
    (
        "crates/coordinator/src/alerts",
        &[
            "sea_orm",
            "rusqlite",
            "axum",
            "crate::api",
            "crate::runtime",
            "crate::journal",
            "crate::dispatcher",
            "Ring",
        ],
    ),
    // What measures must not share what is measured, nor its cost.
    ("crates/bench/src", &["tercet_coordinator", "tercet_protocol", "tokio", "reqwest"]),
    ("crates/participant-sdk/src", &["tercet_coordinator"]),
    ("crates/demo-participant/src", &["tercet_coordinator", "tercet_protocol"]),
];

#[test]
fn no_part_names_what_it_should_not_know() {
    let mut found = Vec::new();
    for (folder, forbidden) in FORBIDDEN {
        for (path, text) in rust_files(folder) {
            // Tests may play the other side.
            if path.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                for name in *forbidden {
                    if names(line, name) {
                        found.push(format!("{}: {}", path.display(), line.trim()));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Whether a line contains this name as a word of its own.
fn names(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        !before.is_some_and(is_word) && (name.ends_with(':') || !after.is_some_and(is_word))
    })
}

#[test]
fn only_dispatcher_and_alerts_call_and_only_the_journal_stores() {
    let in_coordinator = |name: &str, parts: &[&str]| {
        let naming = rust_files("crates/coordinator/src").into_iter().filter(|(path, text)| {
            let inside = path
                .components()
                .any(|folder| parts.iter().any(|part| folder.as_os_str() == *part));
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            !inside && code.into_iter().any(|line| names(line, name))
        });
        naming.map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(
        in_coordinator("reqwest", &["dispatcher", "alerts", "cli"]),
        Vec::<std::path::PathBuf>::new()
    );
    assert_eq!(in_coordinator("sea_orm", &["journal"]), Vec::<std::path::PathBuf>::new());
}

/// What the pure crate may depend on: nothing that waits, reads a clock or rolls dice.
const PURE: [&str; 8] =
    ["jiff", "serde", "serde_json", "sha2", "thiserror", "url", "utoipa", "uuid"];

#[test]
fn the_pure_crate_depends_on_nothing_impure() {
    assert_eq!(dependencies("crates/protocol"), BTreeSet::from(PURE.map(str::to_owned)));
}

#[test]
fn the_demo_is_built_on_the_sdk_alone() {
    let ours = dependencies("crates/demo-participant").into_iter();
    let ours: Vec<String> = ours.filter(|name| name.starts_with("tercet")).collect();
    assert_eq!(ours, ["tercet-participant"]);
    let ours = dependencies("crates/participant-sdk").into_iter();
    let ours: Vec<String> = ours.filter(|name| name.starts_with("tercet")).collect();
    assert_eq!(ours, ["tercet-protocol"]);
}

fn dependencies(of: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join(of).join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let table = manifest["dependencies"].as_table().expect("dependencies");
    table.keys().cloned().collect()
}
