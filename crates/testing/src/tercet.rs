//! The daemon as a process, on a database of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::log::Log;
use crate::port::Port;
use crate::small_disk::SmallDisk;
use crate::{Client, binary, soon};

/// A running daemon, or one that was stopped and can be started again on the same address
/// and the same database. It ends with the test; if the test fails, its log is shown.
#[derive(Debug)]
pub struct Tercet {
    /// `None` while it is stopped.
    child: Option<Child>,
    port: Port,
    settings: Vec<(String, String)>,
    log: Log,
    directory: TempDir,
    /// Where the database is, if not there.
    disk: Option<PathBuf>,
    /// Its URL, if it is a server's.
    server: Option<String>,
    /// How many files it may have open, if not as many as the test itself.
    files: Option<u32>,
    /// Further flags of `serve`.
    flags: Vec<String>,
}

impl Tercet {
    /// Starts one with the default settings on an empty database.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with other settings, each as `("SECTION__KEY", "value")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_at(None, None, settings).await
    }

    /// Starts one whose database is on a disk that can be full.
    pub async fn start_on(disk: &SmallDisk, settings: &[(&str, &str)]) -> Self {
        Self::start_at(Some(disk.path().to_owned()), None, settings).await
    }

    /// Starts one on a server's database, which others may use, too.
    pub async fn start_on_server(database_url: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_at(None, Some(database_url.to_owned()), settings).await
    }

    async fn start_at(
        disk: Option<PathBuf>,
        server: Option<String>,
        settings: &[(&str, &str)],
    ) -> Self {
        let owned = |(key, value): &(&str, &str)| (format!("TERCET_{key}"), (*value).to_owned());
        let mut tercet = Self {
            child: None,
            port: Port::free(),
            settings: settings.iter().map(owned).collect(),
            log: Log::new(),
            directory: TempDir::new().expect("a directory"),
            disk,
            server,
            files: None,
            flags: Vec::new(),
        };
        tercet.restart().await;
        tercet
    }

    /// From its next start on it may have so many files open.
    pub fn set_open_files(&mut self, files: u32) {
        self.files = Some(files);
    }

    /// From its next start on it is given these flags beside its own.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// From its next start on it has this setting, whatever it was before.
    pub fn set(&mut self, name: &str, value: &str) {
        let name = format!("TERCET_{name}");
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
    }

    /// Starts it again on the same address and the same database, and waits until it is ready.
    ///
    /// # Panics
    /// It runs already, or ends before it is ready.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let from = self.log.len();
        let mut child = self.command("serve").spawn().expect("the daemon starts");
        self.log.follow(child.stderr.take().expect("stderr is piped"));
        self.child = Some(child);
        let ready = soon("the daemon says it is ready", self.log.find(from, ready)).await;
        let address = ready.unwrap_or_else(|| panic!("it ended before it was ready"));
        assert_eq!(address, self.address(), "it listens where it was told to");
    }

    /// Ends it as a power cut would, and waits until it is gone.
    ///
    /// # Panics
    /// It does not run.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        soon("the killed daemon ends", child.kill()).await.expect("it can be killed");
        soon("the end of its log", self.log.ended()).await;
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// It does not run.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.ended().await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// It does not run.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let status = soon("the daemon ends", child.wait()).await.expect("it can be waited for");
        soon("the end of its log", self.log.ended()).await;
        status
    }

    /// Sends it a signal: `TERM`, `STOP`, `CONT`, …
    ///
    /// # Panics
    /// It does not run.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid();
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await;
        assert!(kill.expect("a shell").success(), "no process {pid} to send {name}");
    }

    /// Runs another of the daemon's commands on the same database to its end: its exit
    /// status, what it wrote to stdout, and to stderr.
    pub async fn run(&self, command: &[&str]) -> (ExitStatus, String, String) {
        let (first, rest) = command.split_first().expect("a command");
        let output = self.command(first).args(rest).stdout(Stdio::piped()).output();
        let output = soon("the command ends", output).await.expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status, text(&output.stdout), text(&output.stderr))
    }

    /// A client for it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// Where it listens; the same after every restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.disk.as_deref().unwrap_or(self.directory.path()).join("tercet.db")
    }

    /// Its process.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("it runs")
    }

    /// What it has logged, over all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until a line containing this is logged.
    ///
    /// # Panics
    /// It ended without.
    pub async fn logged(&self, text: &str) -> String {
        let pick = |line: &str| line.contains(text).then(|| line.to_owned());
        let line = soon(&format!("{text:?} in the log"), self.log.find(0, pick)).await;
        line.unwrap_or_else(|| panic!("it ended without logging {text:?}"))
    }

    fn command(&self, command: &str) -> Command {
        let mut process = match (&self.disk, self.files) {
            (None, None) => program(self.directory.path()),
            (Some(_), _) => by_shell(self.directory.path(), "trap '' XFSZ"),
            (None, Some(files)) => {
                by_shell(self.directory.path(), &format!("ulimit -n {files} || exit"))
            }
        };
        let file = || format!("sqlite://{}", self.database().display());
        let database_url = self.server.clone().unwrap_or_else(file);
        process
            .envs(self.settings.iter().map(|(key, value)| (key, value)))
            .arg(command)
            .args(["--database-url", &database_url])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if command == "serve" {
            process.args(["--listen", &self.address().to_string(), "--log-format", "text"]);
            process.args(&self.flags);
        }
        process
    }
}

impl Drop for Tercet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}\n---", self.log.text());
        }
    }
}

/// The program, to be started in this directory with whatever arguments. It ends with the
/// test.
#[must_use]
pub fn program(directory: &Path) -> Command {
    in_peace(Command::new(binary::tercet()), directory)
}

fn in_peace(mut process: Command, directory: &Path) -> Command {
    // The tester's own settings are none of the test's.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TERCET_") {
            process.env_remove(name);
        }
    }
    process.current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    process
}

/// As `program`, after a shell has prepared the process: that a file that may not grow any more is
/// an error to it, not its end, or that it may have few files open.
fn by_shell(directory: &Path, prepare: &str) -> Command {
    let script = format!("{prepare}; exec \"$0\" \"$@\"");
    let mut process = in_peace(Command::new("sh"), directory);
    process.args(["-c", &script]).arg(binary::tercet());
    process
}

/// The address in the line that says it is ready.
fn ready(line: &str) -> Option<SocketAddr> {
    let (scheme, url) = line.split_once("://").filter(|_| line.contains("ready"))?;
    if !scheme.ends_with("http") && !scheme.ends_with("https") {
        return None;
    }
    let end = url.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)));
    url[..end.unwrap_or(url.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_that_says_ready() {
        let table = [
            ("2026-11-20T12:00:00Z  INFO tercet: ready listen=http://127.0.0.1:43211", true),
            ("INFO ready on http://127.0.0.1:43211, press Ctrl-C to stop", true),
            ("INFO tercet: ready listen=https://127.0.0.1:43211", true),
            ("INFO tercet: ready listen=tcp://127.0.0.1:43211", false),
            ("INFO listening on http://127.0.0.1:43211", false),
            ("INFO ready", false),
        ];
        for (line, found) in table {
            let expected = found.then(|| SocketAddr::from(([127, 0, 0, 1], 43211)));
            assert_eq!(ready(line), expected, "{line}");
        }
    }
}
