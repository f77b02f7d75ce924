//! Why a run cannot go on: not what it finds, but what it lacks.

use std::io;

use sea_orm::DbErr;

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChaosError {
    /// The machine did not let us.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A tool of the system refused.
    #[error("{command}: {said}")]
    Command {
        /// As it was run.
        command: String,
        /// What it wrote to stderr.
        said: String,
    },
    /// A process ended, or did not begin, before its time.
    #[error("{name} {how}; the end of its log:\n{log}")]
    Process {
        /// Which one.
        name: &'static str,
        /// What it did.
        how: &'static str,
        /// Its last lines.
        log: String,
    },
    /// A participant's books cannot be read or stocked.
    #[error("the books in {file}: {source}")]
    Books {
        /// Whose.
        file: String,
        /// Why not.
        source: DbErr,
    },
    /// The coordinators' database does not do as it is asked.
    #[error("{what}: {source}")]
    Rows {
        /// What was asked.
        what: String,
        /// Why not.
        source: DbErr,
    },
    /// The coordinator was asked something simple and did not know.
    #[error("{0}")]
    Answer(String),
    /// Something that must end by itself did not.
    #[error("after {seconds} s still not seen: {what}")]
    Endless {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
}

impl ChaosError {
    /// For `map_err`: what was tried when the machine said no.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
