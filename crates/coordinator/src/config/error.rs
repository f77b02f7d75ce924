//! What is wrong with the settings, and where it came from.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::Origin;

/// Settings that cannot be used. Each says where they came from.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not TOML. The line itself is not shown: a secret may stand on it.
    #[error("{}: TOML parse error at line {line}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// There is no such setting.
    #[error("{origin}: there is no setting {key}; {hint}")]
    Unknown {
        /// What was given.
        key: String,
        /// Where.
        origin: Origin,
        /// What there is.
        hint: String,
    },
    /// The value is not one that the setting can have.
    #[error("{origin}: {key} {what}")]
    Invalid {
        /// The setting.
        key: String,
        /// Where the value was given.
        origin: Origin,
        /// What it must be.
        what: String,
    },
}
