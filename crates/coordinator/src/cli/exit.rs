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
            Exit::NotFound => Self::from(3),
            Exit::Conflict => Self::from(4),
            Exit::Auth => Self::from(5),
            Exit::Unreachable => Self::from(6),
        }
    }
}

/// Prints to stdout. Whoever has closed it does not want to know.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints to stderr.
pub(super) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "tercet: {text}");
}
