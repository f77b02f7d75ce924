//! The sink, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::{Process, RigError};

/// The sink.
#[derive(Debug)]
pub(crate) struct SinkProcess {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl SinkProcess {
    /// Starts it.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start() -> Result<Self, RigError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let process = Process::new(child);
        let mut line = String::new();
        BufReader::new(stdout.ok_or(RigError::Sink)?).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| RigError::Sink)?;
        Ok(Self { process, address })
    }
}
