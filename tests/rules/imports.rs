//! Who may import whom. ARCHITECTURE.md says why.

use std::collections::BTreeSet;

use crate::sources::{root, rust_files};

/// A folder and what no file in it may name. What crates may not know of each other, Cargo keeps
/// (below); this is for the parts of one crate.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("crates/wire/src", &["SystemTime", "Instant::now"]),
    ("crates/engine/src", &["SystemTime", "Instant::now"]),
    (
        "crates/coordinator/src/http",
        &["reqwest", "crate::dispatcher", "tercet_engine::Engine", "tercet_engine::Ring"],
    ),
    ("crates/coordinator/src/runtime", &["axum", "reqwest", "hyper", "crate::http"]),
    (
        "crates/coordinator/src/dispatcher",
        &["axum", "crate::http", "crate::runtime", "tercet_journal", "Engine", "Ring"],
    ),
    (
        "crates/coordinator/src/outbound",
        &["axum", "crate::http", "crate::runtime", "crate::dispatcher", "crate::alerts", "Ring"],
    ),
    (
        "crates/coordinator/src/alerts",
        &["axum", "crate::http", "crate::runtime", "tercet_journal", "crate::dispatcher", "Ring"],
    ),
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
fn only_command_line_cluster_and_issuer_use_a_client_of_others() {
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
        in_coordinator("reqwest", &["cli", "cluster", "jwt"]),
        Vec::<std::path::PathBuf>::new()
    );
    assert_eq!(
        in_coordinator("TcpStream::connect", &["outbound", "tests"]),
        Vec::<std::path::PathBuf>::new()
    );
}

/// What the pure crates may depend on: nothing that waits, reads a clock or rolls dice.
const PURE: [&str; 12] = [
    "base64",
    "hmac",
    "httpdate",
    "jiff",
    "serde",
    "serde_json",
    "sha2",
    "tercet-wire",
    "thiserror",
    "url",
    "utoipa",
    "uuid",
];

#[test]
fn the_pure_crates_depend_on_nothing_impure() {
    for pure in ["crates/wire", "crates/engine"] {
        let impure: Vec<String> =
            dependencies(pure).into_iter().filter(|name| !PURE.contains(&name.as_str())).collect();
        assert_eq!(impure, Vec::<String>::new(), "{pure}");
    }
}

/// Our own crates that each stands on, and no others.
const STANDS_ON: &[(&str, &[&str])] = &[
    ("migrations", &[]),
    ("crates/wire", &[]),
    ("crates/engine", &["tercet-wire"]),
    ("crates/clock", &["tercet-wire"]),
    ("crates/journal", &["tercet-clock", "tercet-engine", "tercet-migrations", "tercet-wire"]),
    ("crates/participant-sdk", &["tercet-wire"]),
    ("crates/demo-participant", &["tercet-participant"]),
    ("crates/testing", &["tercet-wire"]),
    // What measures must not share what is measured, nor its cost.
    ("tools/bench", &[]),
    ("tools/sim", &["tercet-engine", "tercet-participant", "tercet-wire"]),
];

#[test]
fn each_crate_stands_on_those_below_it_alone() {
    for (of, allowed) in STANDS_ON {
        let ours = dependencies(of).into_iter().filter(|name| name.starts_with("tercet"));
        assert_eq!(ours.collect::<Vec<_>>(), *allowed, "{of}");
    }
}

#[test]
fn the_journal_knows_no_http_and_nobody_else_a_database() {
    let names = |of: &str, one: &str| dependencies(of).contains(one);
    for http in ["axum", "hyper", "reqwest"] {
        assert!(!names("crates/journal", http), "{http}");
    }
    for database in ["sea-orm", "sqlx", "rusqlite"] {
        assert!(!names("crates/coordinator", database), "{database}");
    }
}

fn dependencies(of: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join(of).join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let table = manifest["dependencies"].as_table().expect("dependencies");
    table.keys().cloned().collect()
}
