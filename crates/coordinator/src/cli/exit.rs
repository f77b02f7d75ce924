//! How a command ends.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::cli::line::Line;
use crate::cli::terminal::has_colours;
use crate::escape::{for_people, in_json, lines_for_people};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// It did what it was asked.
    Well,
    /// It could not.
    Failed,
    /// It was asked for something that makes no sense.
    Usage,
    /// There is no such transaction or branch.
    NotFound,
    /// It is not so that this could be done.
    Conflict,
    /// It needs a token, or another one.
    Auth,
    /// Nobody is there to ask, or cannot be asked now.
    Unreachable,
}

impl Exit {
    /// Says on stderr why the command failed, with the causes behind it, in one line: some of it is
    /// what others have said.
    pub(super) fn failed(error: &dyn Error) -> Self {
        complain(with_causes(error));
        Self::Failed
    }

    /// Says on stderr what is wrong with what was asked for.
    pub(super) fn usage(error: impl Display) -> Self {
        complain_in_lines(error);
        Self::Usage
    }
}

/// An error and the causes behind it, in one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some say their cause themselves.
        if !text.ends_with(&said) {
            text += &format!(": {said}");
        }
        cause = error.source();
    }
    text
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Well => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::NotFound => Self::from(3),
            Exit::Conflict => Self::from(4),
            Exit::Auth => Self::from(5),
            Exit::Unreachable => Self::from(6),
        }
    }
}

/// How long words on stderr are waited for: whoever reads it may have stopped doing so, and the
/// process is to end all the same.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Prints a text of ours to stdout, made safe for a terminal. Whoever has closed it does not want to
/// know.
pub(super) fn say(text: impl Display) {
    let text = text.to_string();
    let _ = writeln!(io::stdout(), "{}", lines_for_people(&text));
}

/// The same for one line. What others have written in it makes no second one, which would read as
/// ours.
pub(super) fn say_line(line: &str) {
    say(for_people(line));
}

/// Prints a line with the colours that its reader can see.
pub(super) fn show(line: &Line) {
    let _ = writeln!(io::stdout(), "{}", line.shown(has_colours()));
}

/// Prints what is JSON already to stdout.
pub(super) fn say_json(json: &Value) {
    say(in_json(&json.to_string()));
}

/// Prints one line to stderr, made safe for a terminal.
pub(super) fn complain(line: impl Display) {
    complain_in_lines(for_people(&line.to_string()));
}

/// Says on stderr what is no failure.
pub(super) fn remark(line: &str) {
    let _ = writeln!(io::stderr(), "{}", for_people(line));
}

/// Prints to stderr, made safe for a terminal.
fn complain_in_lines(text: impl Display) {
    let text = format!("tercet: {text}");
    let (told, heard) = mpsc::channel();
    let write = move || {
        let _ = writeln!(io::stderr(), "{}", lines_for_people(&text));
        // Nobody waits any more if it took too long.
        let _ = told.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        // Told, or given up: either way there is nothing more to be done.
        let _ = heard.recv_timeout(LAST_WORDS);
    }
}
