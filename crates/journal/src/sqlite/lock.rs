//! One process per SQLite file, and nobody else reads it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::address::SqliteFile;
use super::file_system;
use super::ownership::{Owned, look};
use super::restored::{Note, refuse_a_log_of_another_file};
use crate::error::JournalError;

/// The locks on a database. The operating system drops them with the process, however that
/// ends, so a restart need not wait.
///
/// There are two. The file beside the database stays: deleting it would let two processes each
/// lock a file of that name. The lock on the database itself holds where the other does not: a
/// database that is mounted at two places lies beside two files to lock.
#[derive(Debug)]
pub(super) struct FileLock {
    /// Holds its lock while it is open.
    beside: File,
    /// Likewise. It must not be closed while SQLite has the database open: with any handle of a
    /// file the system drops all of a process's locks on it.
    database: File,
    owned: Owned,
}

impl FileLock {
    /// Takes both, once it is clear that the file is ours or nobody's, that it has one name, and
    /// that the log beside it is its own. Makes the file if it is missing. A file that is
    /// refused is left as it was, and nothing is left beside it.
    pub(super) fn take(file: &SqliteFile) -> Result<Self, JournalError> {
        refuse_strange_companions(file)?;
        let path = file.lock_path();
        let is_new = !path.exists();
        let beside = locked(private_file(&path).map_err(of(&path))?, file)?;
        let taken = Self::take_database(file, beside);
        if is_new && matches!(taken, Err(JournalError::Foreign { .. })) {
            // It was made a moment ago, beside a file that nobody of ours uses.
            let _ = std::fs::remove_file(&path);
        }
        taken
    }

    /// Takes both, whatever lies there of the database: it may be damaged, or have a log that is not
    /// its own. What was never ours is refused.
    pub(super) fn take_to_replace(file: &SqliteFile) -> Result<(File, Option<File>), JournalError> {
        let lock = file.lock_path();
        let is_known = File::open(&lock).map(Note::read).is_ok_and(|note| !note.lives.is_empty());
        match look(file) {
            Ok(_) => {}
            Err(error) if !is_known => return Err(error),
            // It is damaged: a daemon of ours had it.
            Err(_) => {}
        }
        let beside = locked(private_file(&lock).map_err(of(&lock))?, file)?;
        let path = file.path();
        if !path.exists() || file_system::is_of_a_network(file) {
            return Ok((beside, None));
        }
        let database = locked(private_file(path).map_err(of(path))?, file)?;
        Ok((beside, Some(database)))
    }

    fn take_database(file: &SqliteFile, mut beside: File) -> Result<Self, JournalError> {
        let (owned, header) = look(file)?;
        refuse_a_log_of_another_file(file, header, &Note::read(&mut beside))?;
        let path = file.path();
        let database = private_file(path).map_err(of(path))?;
        // The locks of such a file system are SQLite's own, over the network.
        let database = match file_system::is_of_a_network(file) {
            true => database,
            false => locked(database, file)?,
        };
        for companion in file.companions() {
            make_private(&companion);
        }
        Ok(Self { beside, database, owned })
    }

    /// Whose the file was.
    pub(super) fn owned(&self) -> Owned {
        self.owned
    }

    /// The database as its bytes lie there, without what is only in its log.
    pub(super) fn database(&self) -> impl Read + '_ {
        let mut database = &self.database;
        // A file that cannot be rewound cannot be read either, which is told.
        let _ = database.seek(SeekFrom::Start(0));
        database
    }

    /// Notes durably what the file is known by.
    pub(super) fn note(&mut self, note: &Note) -> io::Result<()> {
        self.beside.seek(SeekFrom::Start(0))?;
        self.beside.set_len(0)?;
        self.beside.write_all(note.to_string().as_bytes())?;
        self.beside.sync_all()
    }
}

fn of(path: &Path) -> impl FnOnce(io::Error) -> JournalError + use<'_> {
    |source| JournalError::File { path: path.to_owned(), source }
}

fn locked(handle: File, file: &SqliteFile) -> Result<File, JournalError> {
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: file.path().to_owned() }),
        Err(TryLockError::Error(source)) => {
            Err(JournalError::File { path: file.path().to_owned(), source })
        }
    }
}

/// Refuses a database beside which something lies under a name of its own that leads elsewhere:
/// two databases would then write into one log, or one database into two.
fn refuse_strange_companions(file: &SqliteFile) -> Result<(), JournalError> {
    // The path of the database itself has no links in it any more.
    for path in file.companions().into_iter().chain([file.path().to_owned()]) {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_file() => return Err(JournalError::NoFile { path }),
            Ok(_) => refuse_other_names(&path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(of(&path)(error)),
        }
    }
    Ok(())
}

/// Refuses a file that has a second name: each has a log of its own beside it.
#[cfg(unix)]
fn refuse_other_names(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.nlink() > 1 => {
            Err(JournalError::Linked { path: path.to_owned(), names: metadata.nlink() })
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_other_names(_: &Path) -> Result<(), JournalError> {
    Ok(())
}

/// Opens a file, made if it is missing, that its owner alone can read, whatever the umask:
/// payloads lie in it, and headers that are secrets.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    make_private(path);
    Ok(file)
}

/// SQLite gives files that it makes beside the database the database's own mode; those that are
/// there already have what they were given.
#[cfg(unix)]
fn make_private(path: &Path) {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.mode() & 0o7777 == 0o600 {
        return;
    }
    if let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(0o600)) {
        tracing::warn!(
            event = "file_not_private",
            path = %path.display(),
            %error,
            "others may be able to read what lies in this file: its mode cannot be set to 0600"
        );
    }
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}
