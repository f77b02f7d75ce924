//! A disk that can be full, and have room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Tercet;

/// Bytes of the disk.
const SIZE: usize = 8 * 1024 * 1024;

/// A directory that can be full.
#[derive(Debug)]
pub struct SmallDisk {
    directory: TempDir,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A file system of its own, which something else fills.
    Mounted,
    /// The daemon's files may not grow beyond what they are.
    Limited,
}

impl SmallDisk {
    /// A small file system where this machine lets us mount one; else as `limited`.
    #[must_use]
    pub fn mounted() -> Self {
        let directory = TempDir::new().expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"]).arg(directory.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        Self { directory, kind: if mounted { Kind::Mounted } else { Kind::Limited } }
    }

    /// A directory whose files can be kept from growing, on any machine.
    #[must_use]
    pub fn limited() -> Self {
        Self { directory: TempDir::new().expect("a directory"), kind: Kind::Limited }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// From now on nothing can grow.
    pub fn fill(&self, tercet: &Tercet) {
        match self.kind {
            Kind::Mounted => {
                let mut filler = File::create(self.filler()).expect("a file");
                // Until there is no room for a page more, and then for a byte.
                for piece in [vec![0; 4096], vec![0]] {
                    while filler.write_all(&piece).is_ok() {}
                }
            }
            Kind::Limited => {
                let log = tercet.database().with_extension("db-wal");
                let longest = [tercet.database(), log]
                    .iter()
                    .filter_map(|path| fs::metadata(path).ok())
                    .map(|found| found.len())
                    .max();
                limit(tercet.pid(), &longest.expect("a database").to_string());
            }
        }
    }

    /// From now on there is room.
    pub fn free(&self, tercet: &Tercet) {
        match self.kind {
            Kind::Mounted => fs::remove_file(self.filler()).expect("it was filled"),
            Kind::Limited => limit(tercet.pid(), "unlimited"),
        }
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.kind == Kind::Mounted {
            // Lazily: the daemon may be on its way out.
            let _ = Command::new("umount").arg("-l").arg(self.path()).status();
        }
    }
}

/// Sets the length beyond which a process cannot write its files.
fn limit(pid: u32, length: &str) {
    let set = ["--pid", &pid.to_string(), &format!("--fsize={length}:")];
    let status = Command::new("prlimit").args(set).status().expect("prlimit, of util-linux");
    assert!(status.success(), "no limit of {length} for {pid}");
}
