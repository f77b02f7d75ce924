//! The daemon `tercet`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tercet_coordinator::cli::run(std::env::args_os())
}

/// Much of what the daemon does is to take and give back small pieces of memory, from several
/// threads: see docs/decisions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
