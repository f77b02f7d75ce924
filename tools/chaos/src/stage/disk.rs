//! A disk small enough to be filled.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::ChaosError;
use crate::tool;

/// Room for the journal of a run, and little more.
const SIZE: &str = "size=256m";

/// Written at a time while it is filled.
static BLOCK: [u8; 65_536] = [0; 65_536];

/// A file system in memory. It goes with this value.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one below this directory; needs root.
    pub(crate) async fn mount(below: &Path) -> Result<Self, ChaosError> {
        let path = below.join("disk");
        fs::create_dir(&path).map_err(ChaosError::io("make a mount point"))?;
        let at = path.display().to_string();
        tool::run("mount", &["-t", "tmpfs", "-o", SIZE, "tercet-chaos", &at]).await?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves no byte of room.
    pub(crate) fn fill(&self) -> Result<(), ChaosError> {
        let mut filler = File::create(self.filler()).map_err(ChaosError::io("fill the disk"))?;
        for block in [&BLOCK[..], &BLOCK[..1]] {
            loop {
                match filler.write_all(block) {
                    Ok(()) => {}
                    Err(full) if full.kind() == ErrorKind::StorageFull => break,
                    Err(other) => return Err(ChaosError::io("fill the disk")(other)),
                }
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub(crate) fn clear(&self) -> Result<(), ChaosError> {
        fs::remove_file(self.filler()).map_err(ChaosError::io("make room on the disk"))
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there is about to end.
        tool::run_at_the_end("umount", &["--lazy", &self.path.display().to_string()]);
    }
}
