//! What is in deploy/ is read as those read it who run it: compose files, manifests, nginx' file, and
//! what helm makes of the chart. Names, paths, ports and settings must be those of the daemon.
//!
//! What needs helm, Go or nginx is run by `tests/deploy/run` (`make deploy`), which installs them; it is ignored
//! elsewhere, and says so.

mod balancer;
mod chart;
mod commands;
mod compose;
mod containers;
mod faults;
mod manifests;
mod nginx;
mod nodes;
mod plain;
mod services;
mod settings;
mod single;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder around this one").to_owned()
}

/// A file of the project.
fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A program that `tests/deploy/run` has installed.
fn tool(name: &str) -> PathBuf {
    let tools = std::env::var_os("TERCET_TEST_DEPLOY_TOOLS");
    let tools = tools.unwrap_or_else(|| panic!("{name} is needed: run tests/deploy/run"));
    let path = PathBuf::from(tools).join(name);
    assert!(path.exists(), "{} is not there: run tests/deploy/run", path.display());
    path
}
