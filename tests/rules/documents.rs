//! The documents name tests; they must exist, or a promise would rest on a name.

use std::collections::BTreeSet;
use std::fs;

use crate::sources::{root, rust_files};

/// Every function of ours, by name.
fn functions() -> BTreeSet<String> {
    let files = ["crates", "migrations", "tests", "tools"].into_iter().flat_map(rust_files);
    let mut names = BTreeSet::new();
    for (_, text) in files {
        for after in text.split("fn ").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.insert(after[..end.unwrap_or(after.len())].to_owned());
        }
    }
    names
}

/// What looks like the name of a test: code of many words, as in `nothing_is_lost`.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| {
        code.matches('_').count() >= 3
            && code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

#[test]
fn every_test_that_a_document_names_exists() {
    let functions = functions();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/testing.md"] {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        let named: Vec<&str> = named_tests(&text).collect();
        assert!(document != "docs/testing.md" || named.len() > 20, "{document}: {}", named.len());
        let unknown: Vec<&str> = named.into_iter().filter(|it| !functions.contains(*it)).collect();
        assert_eq!(unknown, Vec::<&str>::new(), "named in {document}");
    }
}
