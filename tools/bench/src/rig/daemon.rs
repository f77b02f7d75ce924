//! The daemon, as it would run: its release build, its own process, real settings, metrics on,
//! its log in a file.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustls::ClientConfig;
use serde::Serialize;
use tempfile::TempDir;

use super::guarded::Guarded;
use super::{Process, RigError, Scrape, ServerProcesses};

/// How long it may take to become ready, and how often it is looked for.
const LOOKS: u32 = 1_000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Where a daemon keeps its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Journal {
    /// In memory: the bound, what all but the log can do.
    Memory,
    /// In a SQLite file, durable.
    Sqlite,
}

impl Journal {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "no log",
            Self::Sqlite => "SQLite",
        }
    }
}

/// A running daemon, its directory going with it.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The server that its database is on, if any.
    pub(crate) server: ServerProcesses,
    /// By what it is spoken with, if by TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// What it must be shown, if anything.
    pub(crate) token: Option<String>,
    /// Where it says what it counts.
    scraped_at: SocketAddr,
    /// Kept for what is in it.
    _directory: TempDir,
}

impl Daemon {
    /// Starts one on a file that speaks TLS and asks for a token, as one would run that others reach.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start_by_tls(program: &Path, below: &Path) -> Result<Self, RigError> {
        let guarded = Guarded::make(below)?;
        let settings = guarded.settings();
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let daemon = Self::start(program, Journal::Sqlite, below, &settings)?;
        // It has read its files.
        Ok(Self { tls: Some(guarded.tls), token: Some(guarded.token), ..daemon })
    }

    /// Starts a daemon and waits until it is ready. Its directory is made below `below`: on a
    /// disk, if the figures are to tell of one. `settings` go before the built-in ones.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(
        program: &Path,
        journal: Journal,
        below: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, RigError> {
        if !program.is_file() {
            return Err(RigError::NoDaemon(program.to_owned()));
        }
        fs::create_dir_all(below)?;
        let directory = tempfile::Builder::new().prefix("daemon-").tempdir_in(below)?;
        let log = directory.path().join("tercet.log");
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(directory.path());
        if journal == Journal::Memory {
            command.arg("--memory-journal-for-benchmarks");
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TERCET_") {
                command.env_remove(name);
            }
        }
        command.envs(settings.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = Process::new(child.stderr(File::create(&log)?).spawn()?);
        for _ in 0..LOOKS {
            let text = fs::read_to_string(&log)?;
            if let Some(address) = address(&text) {
                let server = ServerProcesses::default();
                let scraped_at = probed_at(&text).unwrap_or(address);
                let (tls, token, _directory) = (None, None, directory);
                return Ok(Self { process, address, server, tls, token, scraped_at, _directory });
            }
            if process.has_ended() {
                break;
            }
            sleep(BETWEEN_LOOKS);
        }
        Err(not_ready(directory, log))
    }

    /// What it counts of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn scrape(&self) -> Result<Scrape, RigError> {
        Scrape::of(self.scraped_at)
    }
}

/// Where it says that it listens, once it is ready.
fn address(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(" ready "))?;
    url(line)
}

/// Where probes are answered, if not there.
fn probed_at(log: &str) -> Option<SocketAddr> {
    url(log.lines().find(|line| line.contains("probes are answered"))?)
}

fn url(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("://")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn not_ready(directory: TempDir, log: PathBuf) -> RigError {
    // Whoever is told may want to read it.
    let _kept = directory.keep();
    let text = fs::read_to_string(&log).unwrap_or_default();
    RigError::NotReady { log, last: text.lines().last().unwrap_or("(empty)").to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_line_that_says_ready() {
        let log = "T  INFO a: opened\n\
                   T  INFO b: ready listen=http://127.0.0.1:4321 version=\"0.1.0\"\n";
        assert_eq!(address(log), Some(SocketAddr::from(([127, 0, 0, 1], 4321))));
        assert_eq!(address("T  INFO a: opened\n"), None);
    }
}
