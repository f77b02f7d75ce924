//! A program as a user starts it in a terminal.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running program; it ends with the test.
pub(crate) struct Process {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(program: &Path, arguments: &[&str], directory: &Path) -> Self {
        let mut command = Command::new(program);
        // The tester's own settings are none of the test's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TERCET_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(directory).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self { child, stdout: BufReader::new(stdout).lines() }
    }

    /// The first URL it prints.
    pub(crate) async fn url(&mut self) -> String {
        while let Some(line) = self.stdout.next_line().await.expect("text") {
            if let Some(at) = line.find("http://") {
                let url = line[at..].split_whitespace().next().expect("a word");
                return url.to_owned();
            }
        }
        panic!("it ended without printing a URL")
    }

    /// Waits for its end: whether it succeeded, and what it said.
    pub(crate) async fn ended(mut self) -> (bool, String) {
        let mut said = String::new();
        while let Some(line) = self.stdout.next_line().await.expect("text") {
            said.push_str(&line);
        }
        let output = self.child.wait_with_output().await.expect("it can be waited for");
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }
}
