//! Whether the database keeps what it acknowledges, and the disk under it has room and is quick.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::statvfs;
use tercet_clock::{Clock as _, SystemClock};
use tercet_journal::{JournalError, ReadThrough};

use super::Findings;
use crate::cli::exit::with_causes;
use crate::config::Settings;

/// Less free space than this, and nothing will be committed soon.
const TOO_LITTLE: u64 = 64 << 20;
/// Less than this, or than a twentieth of the disk, and people are told.
const LITTLE: u64 = 1 << 30;
/// Writes that are made durable one after the other.
const WRITES: usize = 20;
/// Bytes of each: a page of the database.
const PAGE: usize = 4_096;
/// Larger databases are not read through: this much takes a second or two.
const READ_THROUGH: u64 = 256 << 20;
/// An fsync that takes longer holds up every commit so that people notice.
const SLOW: Duration = Duration::from_millis(20);

pub(super) async fn look(settings: &Settings, findings: &mut Findings) {
    let url = settings.database.url.expose();
    if let Some(file) = tercet_journal::database_file(url) {
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        disk(directory, findings);
        let can_be_written = fsync(directory, findings);
        match tercet_journal::untrusted_file_system(url) {
            Some(why) => findings.fail("durability", why),
            None => findings.ok("durability", "a log that is fsynced before anything is told"),
        }
        if !file.exists() {
            let name = file.display();
            match can_be_written {
                true => {
                    findings.ok("database", format!("{name} is not there yet: it will be made"))
                }
                false => {
                    findings.fail("database", format!("{name} is not there, and cannot be made"))
                }
            }
            return;
        }
    }
    match tercet_journal::check(url).await {
        Ok(()) if settings.is_shared() => {
            findings.ok("database", "it can be reached, and keeps what it acknowledges");
        }
        Ok(()) => {
            findings.ok("database", "it is Tercet's, and its log belongs to it");
            pages(url, findings);
        }
        Err(error) => {
            findings.fail("database", with_causes(&error));
            return;
        }
    }
    match tercet_journal::migration_status(url).await {
        Ok(steps) => {
            let missing = steps.iter().filter(|step| !step.applied).count();
            match missing {
                0 => findings.ok("schema", "up to date"),
                _ => {
                    let found = format!("{missing} steps are missing: serve brings it up to date");
                    findings.warn("schema", found);
                }
            }
        }
        Err(error) => findings.fail("schema", with_causes(&error)),
    }
}

/// Whether the database's file is whole.
fn pages(url: &str, findings: &mut Findings) {
    const CHECK: &str = "pages";
    match tercet_journal::read_through(url, READ_THROUGH) {
        Ok(ReadThrough::Whole { bytes }) => {
            let found = format!("all of the database was read ({} KiB): it is whole", bytes >> 10);
            findings.ok(CHECK, found);
        }
        Ok(ReadThrough::TooLarge { bytes }) => {
            let found = format!(
                "not read through: the database has {} MiB, more than {} would take long. tercet backup FILE reads all of it",
                bytes >> 20,
                READ_THROUGH >> 20
            );
            findings.ok(CHECK, found);
        }
        Err(error @ JournalError::Damaged { .. }) => {
            let found = format!("{}. Restore a backup: tercet restore FILE", with_causes(&error));
            findings.fail(CHECK, found);
        }
        Err(error) => findings.warn(CHECK, format!("not read through: {}", with_causes(&error))),
    }
}

fn disk(directory: &Path, findings: &mut Findings) {
    let found = match statvfs(directory) {
        Ok(found) => found,
        Err(error) => return findings.fail("disk", format!("{}: {error}", directory.display())),
    };
    let (free, all) = (found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize);
    let text = format!("{} MiB of {} MiB are free", free >> 20, all >> 20);
    if free < TOO_LITTLE {
        findings.fail("disk", text);
    } else if free < LITTLE || free < all / 20 {
        findings.warn("disk", text);
    } else {
        findings.ok("disk", text);
    }
}

/// Whether something can be written there.
fn fsync(directory: &Path, findings: &mut Findings) -> bool {
    match median_fsync(directory) {
        Ok(median) => {
            let text = format!("{:.1} ms to make a page durable", median.as_secs_f64() * 1_000.0);
            match median > SLOW {
                true => findings.warn("fsync", text),
                false => findings.ok("fsync", text),
            }
            true
        }
        Err(error) => {
            let found = format!("nothing can be written in {}: {error}", directory.display());
            findings.fail("fsync", found);
            false
        }
    }
}

/// How long it takes to make a page durable, in a file that goes again.
fn median_fsync(directory: &Path) -> io::Result<Duration> {
    let path = directory.join(format!(".tercet-doctor-{}", std::process::id()));
    let file = OpenOptions::new().create_new(true).write(true).open(&path)?;
    let took = write_durably(file);
    std::fs::remove_file(&path)?;
    let mut took = took?;
    took.sort_unstable();
    Ok(took.get(WRITES / 2).copied().unwrap_or_default())
}

fn write_durably(mut file: File) -> io::Result<Vec<Duration>> {
    let clock = SystemClock::start();
    let mut took = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let since = clock.mono();
        file.write_all(&[0; PAGE])?;
        file.sync_data()?;
        took.push(clock.mono().since(since));
    }
    Ok(took)
}
