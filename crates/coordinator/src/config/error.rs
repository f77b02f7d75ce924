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
    /// The file is not TOML.
    #[error("{}: {cause}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        cause: Box<toml::de::Error>,
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
