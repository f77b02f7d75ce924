//! A program that is started, killed, stopped, and started again with the same arguments.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::error::ChaosError;

/// Longer than any of them takes to start, also on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Longer than any of them takes to end once it was asked to.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// What is shown of a log that ends badly.
const LAST_LINES: usize = 20;

/// A program and the process it is at the moment. The process ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    /// The program and its arguments.
    command: Vec<String>,
    settings: Vec<(String, String)>,
    /// Where it finds what is relative, and where its log is.
    directory: PathBuf,
    /// What its line contains that says it can be called.
    ready: &'static str,
    child: Option<Child>,
    /// Whether nobody reads what it says.
    unread: watch::Sender<bool>,
}

impl Process {
    /// Nothing is started yet.
    pub(crate) fn new(
        name: &'static str,
        command: Vec<String>,
        directory: &Path,
        ready: &'static str,
    ) -> Self {
        let directory = directory.to_owned();
        let unread = watch::Sender::new(false);
        Self { name, command, settings: Vec::new(), directory, ready, child: None, unread }
    }

    /// Adds to its environment.
    pub(crate) fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.settings.push((key.into(), value.into()));
    }

    /// Starts it, and waits for the line in which it says that it is ready.
    pub(crate) async fn start(&mut self) -> Result<(), ChaosError> {
        let (sender, mut lines) = mpsc::unbounded_channel();
        self.spawn(&sender)?;
        drop(sender);
        let ready = self.ready;
        let said = async move {
            while let Some(line) = lines.recv().await {
                let line: String = line;
                if line.contains(ready) {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(READY_WITHIN, said).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.died("ended before it was ready")),
            Err(_) => Err(self.died("is not ready in time")),
        }
    }

    fn spawn(&mut self, lines: &mpsc::UnboundedSender<String>) -> Result<(), ChaosError> {
        let (program, arguments) =
            self.command.split_first().map_or(("", [].as_slice()), |(p, a)| (p.as_str(), a));
        let mut command = Command::new(program);
        // The settings of whoever runs this are none of the run's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TERCET_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(self.settings.iter().map(|(key, value)| (key, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(ChaosError::io(format!("start {program}")))?;
        if let Some(output) = child.stdout.take() {
            follow(output, self.log(), lines.clone(), self.unread.subscribe());
        }
        if let Some(output) = child.stderr.take() {
            follow(output, self.log(), lines.clone(), self.unread.subscribe());
        }
        self.child = Some(child);
        Ok(())
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), ChaosError> {
        match self.child.take() {
            Some(mut child) => {
                child.kill().await.map_err(ChaosError::io(format!("kill {}", self.name)))
            }
            None => Ok(()),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> Result<(), ChaosError> {
        self.signal("TERM").await?;
        self.ends().await
    }

    /// Waits until it has ended, in order.
    pub(crate) async fn ends(&mut self) -> Result<(), ChaosError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        match tokio::time::timeout(ENDED_WITHIN, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(_)) => Err(self.died("did not end in order")),
            Ok(Err(error)) => Err(ChaosError::io(format!("wait for {}", self.name))(error)),
            Err(_) => Err(self.died("does not end")),
        }
    }

    /// Sends it a signal by its name: `STOP`, `CONT`.
    pub(crate) async fn signal(&self, signal: &str) -> Result<(), ChaosError> {
        let Some(pid) = self.pid() else { return Err(self.died("is gone")) };
        crate::tool::run("sh", &["-c", &format!("kill -{signal} {pid}")]).await
    }

    /// Reads nothing of what it says any more, and fills the pipe that it says it into.
    pub(crate) async fn stop_reading(&self) -> Result<(), ChaosError> {
        let Some(pid) = self.pid() else { return Err(self.died("is gone")) };
        self.unread.send_replace(true);
        // It ends when there is no room left, which is as it should be.
        let fill = format!("yes | dd of=/proc/{pid}/fd/2 bs=4096 oflag=nonblock 2>/dev/null; true");
        crate::tool::run("sh", &["-c", &fill]).await
    }

    /// Reads again.
    pub(crate) fn read_again(&self) {
        self.unread.send_replace(false);
    }

    /// Bytes of memory it has in use, as the kernel counts them; 0 if it is gone.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = self.pid().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")));
        let Some(Ok(status)) = status else { return 0 };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or(0) * 1_024
    }

    /// Processor time it has used since it was started last; nothing if it is gone.
    pub(crate) fn processor_time(&self) -> Duration {
        /// Ticks a second in which the kernel tells it, on every Linux.
        const TICKS: u64 = 100;
        let stat = self.pid().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")));
        let Some(Ok(stat)) = stat else { return Duration::ZERO };
        // The name in brackets may hold anything; user and system time are the 12th and 13th
        // fields after it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1_000 / TICKS)
    }

    fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    fn log(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name))
    }

    fn died(&self, how: &'static str) -> ChaosError {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        ChaosError::Process { name: self.name, how, log: last }
    }
}

/// Writes what it says to its log, and hands the lines on while somebody waits for one.
fn follow(
    output: impl AsyncRead + Unpin + Send + 'static,
    log: PathBuf,
    lines: mpsc::UnboundedSender<String>,
    mut unread: watch::Receiver<bool>,
) {
    tokio::spawn(async move {
        let mut log = OpenOptions::new().create(true).append(true).open(log).ok();
        let mut output = BufReader::new(output).lines();
        loop {
            let line = tokio::select! {
                biased;
                () = until(&mut unread, true) => {
                    until(&mut unread, false).await;
                    continue;
                }
                line = output.next_line() => line,
            };
            let Ok(Some(line)) = line else { return };
            // A log that cannot be written is only missing where something else went wrong.
            let _ = log.as_mut().map(|log| writeln!(log, "{line}"));
            // Nobody waits any more once it was ready.
            let _ = lines.send(line);
        }
    });
}

/// Waits until it is so.
async fn until(unread: &mut watch::Receiver<bool>, expected: bool) {
    while *unread.borrow_and_update() != expected {
        if unread.changed().await.is_err() {
            // Nobody will say so any more.
            std::future::pending::<()>().await;
        }
    }
}
