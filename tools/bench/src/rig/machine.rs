//! The machine that figures are of.

use std::fmt;
use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::path::Path;

use serde::Serialize;

use super::RigError;
use crate::clock;

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) memory_mib: u64,
    /// Median time of writing 4 KiB and having them on disk, where the journal is.
    pub(crate) fdatasync_ms: f64,
}

/// How often fdatasync is timed.
const SYNCS: usize = 201;

impl Machine {
    /// Looks at this machine, and at the disk that `directory` is on.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub(crate) fn look(directory: &Path) -> Result<Self, RigError> {
        let line = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let found = text.lines().find(|line| line.starts_with(name));
            let value = found.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
            value.unwrap_or("unknown").to_owned()
        };
        let memory = line("/proc/meminfo", "MemTotal");
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: line("/proc/cpuinfo", "model name"),
            kernel: kernel.trim().to_owned(),
            memory_mib: kib / 1024,
            fdatasync_ms: fdatasync_ms(directory)?,
        })
    }
}

fn fdatasync_ms(directory: &Path) -> Result<f64, RigError> {
    fs::create_dir_all(directory)?;
    let file = tempfile::NamedTempFile::new_in(directory)?;
    let mut file: File = file.reopen()?;
    let block = [7; 4096];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.rewind()?;
        let before = clock::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(clock::now().saturating_duration_since(before));
    }
    times.sort();
    Ok(times[SYNCS / 2].as_secs_f64() * 1e3)
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, kernel, memory_mib, fdatasync_ms } = self;
        write!(
            f,
            "{cores} cores ({processor}), {memory_mib} MiB, Linux {kernel}, fdatasync of 4 KiB \
             {fdatasync_ms:.2} ms"
        )
    }
}
