//! `tercet backup`: a copy of the database, also of one that a daemon has open.
//!
//! ```text
//!   copy of one moment ─▶ FILE.part ─▶ read through, schema compared ─▶ fsync ─▶ FILE ─▶ fsync of its directory
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::address::SqliteFile;
use super::copying;
use super::ownership::{Owned, as_it_lies, look};
use super::restored::{Note, refuse_a_log_of_another_file};
use crate::error::JournalError;

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// How large the copy is.
    pub bytes: u64,
    /// Transactions in it.
    pub transactions: u64,
    /// Those of them that are unfinished.
    pub unfinished: u64,
}

/// Copies the SQLite database at a URL into a file, whoever uses it meanwhile. What is there already
/// is replaced only if that is said.
///
/// # Errors
/// It is no such database, the file is there, or cannot be written; or the copy is not whole.
pub fn backup(database_url: &str, to: &Path, replaces: bool) -> Result<BackedUp, JournalError> {
    let file = SqliteFile::of_url(database_url)?;
    let of_path = |source| JournalError::File { path: file.path().to_owned(), source };
    let mode = mode(&fs::metadata(file.path()).map_err(of_path)?);
    let (owned, header) = look(&file)?;
    if owned == Owned::Nobodys {
        return Err(JournalError::Foreign { path: file.path().to_owned(), why: "it is empty" });
    }
    let note = File::open(file.lock_path()).map(Note::read).unwrap_or_default();
    refuse_a_log_of_another_file(&file, header, &note)?;
    let target = SqliteFile::of_path(to);
    let to = target.path();
    if to == file.path() || file.companions().iter().any(|companion| companion == to) {
        return Err(JournalError::OntoItself { path: to.to_owned() });
    }
    refuse_what_is_there(to, replaces)?;
    let part = Part::make(to)?;
    let copied = copying::to_copy(&file)?;
    copying::copy_into((&copied, file.path()), &part.path)?;
    let copy = SqliteFile::of_path(&part.path);
    copying::check(&copy).map_err(copying::blamed_on(file.path()))?;
    let found = as_it_lies(&copy)?;
    if copying::steps(&found)? != copying::steps(&copied)? {
        let why = "its schema is another than that of the database".to_owned();
        return Err(JournalError::Damaged { path: to.to_owned(), why });
    }
    let (transactions, unfinished) = copying::counts(&found)?;
    drop((found, copied));
    let bytes = part.put_in_place(to, mode, replaces)?;
    Ok(BackedUp { bytes, transactions, unfinished })
}

fn refuse_what_is_there(to: &Path, replaces: bool) -> Result<(), JournalError> {
    match fs::symlink_metadata(to) {
        Ok(metadata) if !metadata.is_file() => Err(JournalError::NoFile { path: to.to_owned() }),
        Ok(_) if !replaces => Err(JournalError::Exists { path: to.to_owned() }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(JournalError::File { path: to.to_owned(), source }),
    }
}

/// A file that becomes another, if all goes well; else it goes, with all that SQLite has put beside it.
pub(super) struct Part {
    pub(super) path: PathBuf,
}

impl Part {
    /// An empty one beside what it is to become, for its owner alone.
    pub(super) fn make(to: &Path) -> Result<Self, JournalError> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let path = to.with_file_name(name);
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(_) => Ok(Self { path }),
            Err(source) => Err(JournalError::File { path, source }),
        }
    }

    /// Makes it durable, and gives it the name; how large it is.
    pub(super) fn put_in_place(
        self,
        to: &Path,
        mode: u32,
        replaces: bool,
    ) -> Result<u64, JournalError> {
        let of = |path: &Path, source| JournalError::File { path: path.to_owned(), source };
        let made = File::options().write(true).open(&self.path);
        let made = made.map_err(|source| of(&self.path, source))?;
        set_mode(&made, mode).map_err(|source| of(&self.path, source))?;
        made.sync_all().map_err(|source| of(&self.path, source))?;
        let bytes = made.metadata().map_err(|source| of(&self.path, source))?.len();
        match replaces {
            true => fs::rename(&self.path, to),
            // Unlike a rename it fails where somebody has made such a file meanwhile.
            false => fs::hard_link(&self.path, to),
        }
        .map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => JournalError::Exists { path: to.to_owned() },
            _ => of(to, source),
        })?;
        drop(self);
        sync_directory(to).map_err(|source| of(to, source))?;
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for ending in ["", "-journal", "-wal", "-shm", ".lock"] {
            let mut path = self.path.clone().into_os_string();
            path.push(ending);
            // Most of them are not there.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes durable which names a directory has.
pub(super) fn sync_directory(of: &Path) -> io::Result<()> {
    let directory = of.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(unix)]
pub(super) fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[cfg(not(unix))]
pub(super) fn mode(_: &fs::Metadata) -> u32 {
    0
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}
