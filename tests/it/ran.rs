//! Commands of the program, run to their end in a directory of their own.

use std::path::Path;
use std::process::Output;

use tercet_testing::{program, soon};

/// A directory that goes away with the test.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end, with these arguments and these variables alone.
pub(crate) async fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = program(directory);
    command.args(arguments).envs(environment.iter().copied());
    let output = soon("the command ends", command.output()).await.expect("it starts");
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}
