//! The daemon `tercet`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tercet_coordinator::cli::run(std::env::args_os())
}
