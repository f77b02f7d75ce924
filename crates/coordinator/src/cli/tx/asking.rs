//! Questions to whoever is at a terminal, before something is done that cannot be taken back.

use std::io::{self, IsTerminal as _};

use crate::cli::exit::complain;

/// Commands that ask whether they are meant. docs/operating.md lists them; a test compares the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Asks {
    Resolve,
    Bulk,
    RetryAll,
    Pause,
    Retire,
    Release,
}

impl Asks {
    /// The command, without the program's name.
    pub(in crate::cli) fn command(self) -> &'static str {
        match self {
            Self::Resolve => "tx resolve",
            Self::Bulk => "tx bulk",
            Self::RetryAll => "tx retry --all",
            Self::Pause => "participants pause",
            Self::Retire => "saga retire",
            Self::Release => "restored release",
        }
    }

    /// All of them.
    #[cfg(test)]
    pub(in crate::cli) const ALL: [Self; 6] =
        [Self::Resolve, Self::Bulk, Self::RetryAll, Self::Pause, Self::Retire, Self::Release];
}

/// Somebody at a terminal is asked whether it is meant; a script is told what to add.
pub(super) fn is_meant(asks: Asks, what: &str, question: &str) -> bool {
    if !io::stdin().is_terminal() {
        let command = asks.command();
        complain(format_args!("{what}: add --yes to {command} if that is meant"));
        return false;
    }
    complain(format_args!("{what}. {question} [y/N]"));
    let mut answer = String::new();
    // Whoever cannot be heard has not said yes.
    let _ = io::stdin().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}
