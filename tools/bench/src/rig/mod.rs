//! What is measured, and on what: the daemon and the sink as processes of their own, and the
//! machine under them.

mod daemon;
mod guarded;
mod machine;
mod process;
mod scrape;
mod server_processes;
mod sink_process;
mod viewer;

use std::io;
use std::path::PathBuf;

pub(crate) use daemon::{Daemon, Journal};
pub(crate) use machine::Machine;
pub(crate) use process::Process;
pub(crate) use scrape::Scrape;
pub(crate) use server_processes::ServerProcesses;
pub(crate) use sink_process::SinkProcess;
use thiserror::Error;
pub(crate) use viewer::{some_gid, view};

/// Measuring could not be begun, or broke off.
#[derive(Debug, Error)]
pub(crate) enum RigError {
    /// The daemon's program is not there.
    #[error("there is no daemon at {0}: build it with cargo build --release -p tercet-coordinator")]
    NoDaemon(PathBuf),
    /// The daemon ended, or did not become ready.
    #[error("the daemon did not become ready; its log is {log}: {last}")]
    NotReady {
        /// Where its log is.
        log: PathBuf,
        /// The last line of it.
        last: String,
    },
    /// The sink did not say where it listens.
    #[error("the sink did not say where it listens")]
    Sink,
    /// The system does not tell what is asked of it.
    #[error("cannot read {what}")]
    Unreadable {
        /// Of what.
        what: String,
    },
    /// A list or a page was not shown.
    #[error("{path} was answered {answer}")]
    View {
        /// Which.
        path: String,
        /// The first line of its answer.
        answer: String,
    },
    /// Files, processes or connections.
    #[error(transparent)]
    Io(#[from] io::Error),
}
