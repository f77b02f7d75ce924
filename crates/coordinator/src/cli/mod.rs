//! The command line of `tercet`.

mod arguments;
mod backup;
mod config;
mod dev;
mod doctor;
mod exit;
mod line;
mod migrate;
mod run;
mod terminal;
mod token;
mod tx;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use clap_complete::Shell;

use crate::cli::arguments::{Arguments, Command};
use crate::cli::exit::Exit;

/// Does what the command line asks for and says how it ended: 0 well, 1 not, 2 wrong usage
/// or settings; whatever asks a coordinator also 3 not found, 4 conflict, 5 not allowed, 6 nobody there.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // Help and version are asked for, all else is wrong; clap knows where each belongs.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Well }.into();
        }
    };
    let exit = match arguments.command {
        Command::Serve(flags) => run::serve(&flags),
        Command::Dev(flags) => dev::dev(&flags),
        Command::Doctor(what) => doctor::doctor(&what),
        Command::Backup(what) => backup::backup(&what),
        Command::Restore(what) => backup::restore(&what),
        Command::Completions { shell } => completions(shell),
        Command::Migrate { what, flags } => migrate::migrate(what, &flags),
        Command::Config { what, flags } => config::config(what, &flags),
        Command::Token { what } => token::token(&what),
        Command::Tx(flags) => tx::tx(flags),
        Command::Jobs(flags) => tx::jobs(flags),
        Command::Stats(flags) => tx::stats(&flags),
        Command::Restored(flags) => tx::restored(flags),
        Command::Audit(flags) => tx::audit(flags),
        Command::Reconcile(flags) => tx::reconcile(flags),
        Command::Saga(flags) => tx::saga(flags),
        Command::Participants(flags) => tx::participants(flags),
    };
    exit.into()
}

/// Prints what makes a shell complete this program's commands.
fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tercet", &mut script);
    match io::stdout().write_all(&script) {
        Ok(()) => Exit::Well,
        // Whoever reads it has heard enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Well,
        Err(error) => Exit::failed(&error),
    }
}
