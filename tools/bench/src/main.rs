//! `tercet-bench`: measures Tercet. See docs/performance.md.

mod arguments;
mod clock;
mod load;
mod report;
mod rig;
mod run;
mod sink;
mod wire;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("tercet-bench: there were wrong answers");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tercet-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
