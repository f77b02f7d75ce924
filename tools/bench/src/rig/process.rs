//! A process: what it has used so far, as the kernel counts it; ended when it is dropped.

use std::fs;
use std::process::Child;
use std::time::Duration;

use super::RigError;

/// The kernel counts processor time in hundredths of a second, on every Linux there is
/// (`USER_HZ`); over the seconds that a round takes that is well below a percent.
const TICK: Duration = Duration::from_millis(10);

/// Processor time, its own and the kernel's, of the process that this is the `stat` of.
pub(super) fn cpu_of(stat: &str) -> Option<Duration> {
    // The name, in brackets, may hold anything; what is counted here follows it.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11).map(str::parse::<u32>);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Some(TICK * user.saturating_add(system)),
        _ => None,
    }
}

/// A process that we have started.
#[derive(Debug)]
pub(crate) struct Process(Child);

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident_kib: u64,
    /// The most that was ever resident.
    pub(crate) peak_kib: u64,
}

impl Process {
    pub(super) fn new(child: Child) -> Self {
        Self(child)
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        // One that cannot be asked is not there.
        self.0.try_wait().map_or(true, |status| status.is_some())
    }

    /// Processor time it has used, its own and the kernel's for it.
    pub(crate) fn cpu(&self) -> Result<Duration, RigError> {
        let (path, text) = self.read("stat")?;
        cpu_of(&text).ok_or(RigError::Unreadable { what: path })
    }

    /// Bytes that it had written to disks, as the kernel counts them: pages that it made dirty.
    pub(crate) fn written(&self) -> Result<u64, RigError> {
        let (path, text) = self.read("io")?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        bytes.and_then(|bytes| bytes.parse().ok()).ok_or(RigError::Unreadable { what: path })
    }

    /// Memory it takes, and the most it took.
    pub(crate) fn memory(&self) -> Result<Memory, RigError> {
        let (path, text) = self.read("status")?;
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        match (kib("VmRSS:"), kib("VmHWM:")) {
            (Some(resident_kib), Some(peak_kib)) => Ok(Memory { resident_kib, peak_kib }),
            _ => Err(RigError::Unreadable { what: path }),
        }
    }

    fn read(&self, what: &str) -> Result<(String, String), RigError> {
        let path = format!("/proc/{}/{what}", self.0.id());
        let text = fs::read_to_string(&path)?;
        Ok((path, text))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If it has ended already, so much the better.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
