//! Finds the daemon that was built, and refuses an old one: a test that passes against
//! yesterday's program says nothing.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

const HOW: &str = "build it with: cargo build -p tercet-coordinator";

/// The `tercet` beside the running test.
///
/// # Panics
/// It is not there, or older than one of its sources.
pub fn tercet() -> PathBuf {
    // target/debug/deps/the-test, so target/debug/tercet.
    let test = std::env::current_exe().expect("the path of the running test");
    let directory = test.parent().and_then(Path::parent).expect("a test lies in deps");
    let binary = directory.join("tercet");
    let Some(built) = modified(&binary) else {
        panic!("{} is not built; {HOW}", binary.display());
    };
    if let Some(newer) = sources(&directory.join("tercet.d"))
        .into_iter()
        .find(|source| modified(source).is_none_or(|changed| changed > built))
    {
        panic!("{} is older than {}; {HOW}", binary.display(), newer.display());
    }
    binary
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// The sources a binary was built from, as cargo wrote them down beside it in make's form:
/// the target, a colon, and the sources with their spaces escaped.
fn sources(dep_info: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(dep_info).unwrap_or_default();
    let Some((_, sources)) = text.split_once(": ") else { return Vec::new() };
    let spaced = sources.trim_end().replace("\\ ", "\0");
    spaced.split(' ').map(|source| PathBuf::from(source.replace('\0', " "))).collect()
}
