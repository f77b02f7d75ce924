//! An operator with a shell, the program and a token.

use std::ffi::OsStr;
use std::process::{Output, Stdio};

use tercet_console_tests::{Role, program, token};
use tokio::process::Command;

use crate::coordinator::{Coordinator, OF_MANY};
use crate::record::Record;

/// Their shell: what it needs is in its environment, as after a login.
pub(crate) struct Shell {
    record: Record,
    url: String,
    database: String,
}

/// What a command has said.
pub(crate) struct Said {
    command: String,
    pub(crate) text: String,
}

impl Shell {
    pub(crate) fn new(record: &Record, tercet: &Coordinator) -> Self {
        Self { record: record.clone(), url: tercet.url().to_owned(), database: tercet.database() }
    }

    /// Runs a command of the program, which must do what it is asked.
    pub(crate) async fn tercet(&self, words: &[&str]) -> Said {
        self.tercet_ending(0, words).await
    }

    /// The same, where it ends with another code.
    pub(crate) async fn tercet_ending(&self, code: i32, words: &[&str]) -> Said {
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let line = format!("tercet {}", quoted.join(" "));
        self.record.step(&format!("`{line}`"));
        let (ended, said) = self.said(line, Command::new(program("tercet")).args(words)).await;
        assert_eq!(ended, Some(code), "{} ended with another code:\n{}", said.command, said.text);
        said
    }

    /// The same where nobody counts: before the alert, or after the repair.
    pub(crate) async fn quietly(&self, words: &[&str]) -> Said {
        self.said(words.join(" "), Command::new(program("tercet")).args(words)).await.1
    }

    async fn said(&self, line: String, command: &mut Command) -> (Option<i32>, Said) {
        let command = command
            .env("TERCET_URL", &self.url)
            .env("TERCET_TOKEN", token(Role::Operator))
            .env("TERCET_DATABASE__URL", &self.database)
            .env_remove("COLUMNS")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(OF_MANY, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{line} does not end"));
        let Output { status, stdout, stderr } = output.expect("it starts");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        (status.code(), Said { command: line, text: format!("{stdout}{stderr}") })
    }
}

impl Said {
    /// That it has said all of these, wherever a line ends.
    #[track_caller]
    pub(crate) fn tells(&self, words: &[&str]) {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            let Self { command, text: whole } = self;
            assert!(text.contains(word), "{command} does not tell {word:?}:\n{whole}");
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{word}'")
}

/// A path as a word.
pub(crate) fn text(path: &(impl AsRef<OsStr> + ?Sized)) -> &str {
    path.as_ref().to_str().expect("UTF-8")
}
