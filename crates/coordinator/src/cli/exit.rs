//! How a command ends.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// It did what it was asked.
    Well,
    /// It could not.
    Failed,
    /// It was asked for something that makes no sense.
    Usage,
}

impl Exit {
    /// Says on stderr why the command failed, with the causes behind it.
    pub(super) fn failed(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        complain(text);
        Self::Failed
    }

    /// Says on stderr what is wrong with what was asked for.
    pub(super) fn usage(error: impl Display) -> Self {
        complain(error);
        Self::Usage
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Well => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}

/// Prints to stdout. Whoever has closed it does not want to know.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "tercet: {text}");
}
