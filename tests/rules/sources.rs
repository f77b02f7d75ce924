//! The source files, and rules about each.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file that needs no reason, in lines.
const LINES: usize = 500;

/// The project's folder. Not by `..`: the way there must not count as one of a file's folders.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder around this one").to_owned()
}

/// Every Rust file below a folder of the project, with its text.
pub(crate) fn rust_files(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no source below {below}");
    found.sort();
    found
}

fn all() -> Vec<(PathBuf, String)> {
    ["crates", "migrations", "tests", "tools"].into_iter().flat_map(rust_files).collect()
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<_> = all()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .collect();
    assert_eq!(long, []);
}

#[test]
fn every_file_says_what_it_is_for() {
    // A crate may be told of by its README.
    let speaks =
        |text: &str| text.starts_with("//!") || text.contains("include_str!(\"../README.md\")");
    let silent = all().into_iter().filter(|(_, text)| !speaks(text));
    let silent: Vec<PathBuf> = silent.map(|(path, _)| path).collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file is not its own finding.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["unimplem", "ented!"].concat()];
    let left = all().into_iter().filter(|(_, text)| marks.iter().any(|mark| text.contains(mark)));
    let left: Vec<PathBuf> = left.map(|(path, _)| path).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}
