//! What is made of files, and made anew when they change.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tercet_wire::Wall;

use super::files::NamedFile;
use super::{Loaded, TlsError, TlsFiles};
use crate::reading_again::ReadAgain;

/// What counts at the moment.
pub(crate) struct Held<T> {
    files: TlsFiles,
    make: fn(Loaded) -> Result<T, TlsError>,
    now: RwLock<Arc<T>>,
    last: Mutex<Last>,
}

/// What was read of the files last.
#[derive(Debug, Default)]
struct Last {
    /// What counts.
    digest: [u8; 32],
    /// When the certificate that counts ends.
    ends: Option<Wall>,
    /// What differs from it, and is not taken before two looks have found it: several files are written
    /// one after the other.
    unsettled: Option<Unsettled>,
    /// What was said of them.
    objection: Option<String>,
    group_mode: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
enum Unsettled {
    Whole([u8; 32]),
    Wrong(String),
}

impl<T> Held<T> {
    /// What these files say now.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) fn begin(
        files: TlsFiles,
        make: fn(Loaded) -> Result<T, TlsError>,
    ) -> Result<Self, TlsError> {
        let loaded = files.read()?;
        let mut last = Last { digest: loaded.digest, ends: loaded.ends(), ..Last::default() };
        warn_of_group(&mut last, loaded.group_mode.as_ref());
        let now = RwLock::new(Arc::new(make(loaded)?));
        Ok(Self { files, make, now, last: Mutex::new(last) })
    }

    /// What counts now.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// When the certificate that is shown ends, if one is.
    pub(super) fn ends(&self) -> Option<Wall> {
        self.last().ends
    }

    /// From here on that counts.
    fn take(&self, last: &mut Last, loaded: Loaded) -> Result<(), TlsError> {
        let (digest, ends) = (loaded.digest, loaded.ends());
        let made = Arc::new((self.make)(loaded)?);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = made;
        *last = Last { digest, ends, group_mode: last.group_mode, ..Last::default() };
        Ok(())
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        // It is put together before it is written, so it is whole.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what was found is what the look before has found.
    fn is_settled(last: &mut Last, found: Unsettled, at_once: bool) -> bool {
        let is_settled = at_once || last.unsettled.as_ref() == Some(&found);
        last.unsettled = Some(found);
        is_settled
    }
}

impl<T: Send + Sync> ReadAgain for Held<T> {
    fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    fn read_again(&self, at_once: bool) {
        let read = self.files.read();
        let mut last = self.last();
        let taken = match read {
            Ok(loaded) => {
                warn_of_group(&mut last, loaded.group_mode.as_ref());
                if loaded.digest == last.digest && !at_once {
                    last.unsettled = None;
                    last.objection = None;
                    return;
                }
                if !Self::is_settled(&mut last, Unsettled::Whole(loaded.digest), at_once) {
                    return;
                }
                self.take(&mut last, loaded)
            }
            Err(error) => {
                let said = Unsettled::Wrong(with_cause(&error));
                if !Self::is_settled(&mut last, said, at_once) {
                    return;
                }
                Err(error)
            }
        };
        match taken {
            Ok(()) => {
                tracing::info!(
                    event = "tls_files_read",
                    settings = self.files.settings(),
                    "files of TLS were read again: new connections go by them"
                );
            }
            Err(error) => self.object(&mut last, &error, at_once),
        }
    }
}

impl<T> Held<T> {
    /// Says what is wrong with them, once for as long as it is the same.
    fn object(&self, last: &mut Last, error: &TlsError, at_once: bool) {
        let said = with_cause(error);
        if at_once || last.objection.as_ref() != Some(&said) {
            tracing::error!(
                event = "tls_files_not_read",
                settings = self.files.settings(),
                why = said,
                "files of TLS cannot be used as they are now; what was read of them before holds"
            );
        }
        last.objection = Some(said);
    }
}

fn warn_of_group(last: &mut Last, group_mode: Option<&(NamedFile, u32)>) {
    if let (Some((file, mode)), None) = (group_mode, last.group_mode) {
        tracing::warn!(
            event = "key_file_readable",
            setting = file.setting,
            path = %file.path.display(),
            mode = %format_args!("{mode:03o}"),
            "its group may read or write a key of TLS: chmod 600 it, unless that is meant"
        );
    }
    last.group_mode = group_mode.map(|(_, mode)| *mode);
}

fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
