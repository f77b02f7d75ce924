//! One process per SQLite file.

use std::fs::{File, TryLockError};

use super::address::SqliteFile;
use crate::error::JournalError;

/// The lock on the file beside a database. The operating system drops it with the process,
/// however that ends, so a restart need not wait. The file stays: deleting it would let two
/// processes each lock a file of that name.
#[derive(Debug)]
pub(super) struct FileLock {
    /// Holds the lock while it is open.
    _file: File,
}

impl FileLock {
    pub(super) fn take(database: &SqliteFile) -> Result<Self, JournalError> {
        let path = database.lock_path();
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(source) => return Err(JournalError::File { path, source }),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(JournalError::InUse { path: database.path().to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(JournalError::File { path, source }),
        }
    }
}
