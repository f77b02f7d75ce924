//! What the process lives on, looked at every few seconds: processor, memory and open files; room where the
//! database lies; how long certificates last. A machine that does not say leaves the metric out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use tercet_wire::{Wall, metric};
use tokio::time::{MissedTickBehavior, interval};

use crate::tls::Tls;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is looked at.
pub(crate) struct Resources {
    process: Process,
    disk: Option<Disk>,
    tls: Tls,
}

/// The process itself, under the names that every Prometheus client gives.
struct Process {
    processor_time: Counter,
    memory: Gauge,
    open_files: Gauge,
}

/// The file system of a database.
struct Disk {
    file: PathBuf,
    taken: Gauge,
    free: Gauge,
    size: Gauge,
}

impl Resources {
    /// Those of this process, which was started then, of a database that is a file, and of what TLS is
    /// spoken with.
    pub(crate) fn of(started: Wall, database: Option<PathBuf>, tls: Tls) -> Self {
        gauge!(metric::PROCESS_START).set(seconds(started));
        if let Some(most) = getrlimit(Resource::Nofile).current {
            gauge!(metric::PROCESS_MAX_FILES).set(amount(most));
        }
        // What a container may use counts, not what its machine has.
        let processors = available_parallelism().map_or(1, usize::from);
        gauge!(metric::PROCESSORS).set(amount(processors as u64));
        let disk = database.map(|file| Disk {
            file,
            taken: gauge!(metric::DATABASE_SIZE),
            free: gauge!(metric::DATABASE_DISK_FREE),
            size: gauge!(metric::DATABASE_DISK_SIZE),
        });
        Self { process: Process::register(), disk, tls }
    }

    /// Looks for as long as the process lives.
    pub(crate) async fn keep_looking(mut self) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            // A disk that does not answer holds up nobody but this.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(again) => self = again,
                Err(_) => return,
            }
        }
    }

    fn look(&self) {
        self.process.look();
        self.disk.iter().for_each(Disk::look);
        for (of, ends) in self.tls.ends() {
            if let Some(ends) = ends {
                gauge!(metric::CERTIFICATE_END, "of" => of).set(seconds(ends));
            }
        }
    }
}

impl Process {
    fn register() -> Self {
        Self {
            processor_time: counter!(metric::PROCESS_CPU),
            memory: gauge!(metric::PROCESS_MEMORY),
            open_files: gauge!(metric::PROCESS_OPEN_FILES),
        }
    }

    fn look(&self) {
        // A clock of what was used, not of what time it is.
        let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
        self.processor_time.absolute(u64::try_from(used).unwrap_or(0));
        if let Some(pages) = resident_pages() {
            self.memory.set(amount(pages.saturating_mul(page_size() as u64)));
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // The one by which they are listed is none of them.
            self.open_files.set(amount((open.count() as u64).saturating_sub(1)));
        }
    }
}

/// The second number of proc(5)'s `statm`.
fn resident_pages() -> Option<u64> {
    let counted = std::fs::read_to_string("/proc/self/statm").ok()?;
    counted.split(' ').nth(1)?.parse().ok()
}

impl Disk {
    fn look(&self) {
        let mut log = self.file.clone().into_os_string();
        log.push("-wal");
        let taken = length(&self.file) + length(Path::new(&log));
        self.taken.set(amount(taken));
        // Of the folder, since a file that somebody has moved away says nothing.
        let folder = match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if let Ok(disk) = rustix::fs::statvfs(folder) {
            self.free.set(amount(disk.f_bavail.saturating_mul(disk.f_frsize)));
            self.size.set(amount(disk.f_blocks.saturating_mul(disk.f_frsize)));
        }
    }
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |of| of.len())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact up to 2^53")]
fn amount(of: u64) -> f64 {
    of as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds until the year 9999 are exact")]
fn seconds(since_1970: Wall) -> f64 {
    since_1970.0 as f64 / 1_000.0
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").finish_non_exhaustive()
    }
}
