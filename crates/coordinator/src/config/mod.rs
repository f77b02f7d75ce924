//! Settings: built-in defaults (config/tercet.toml) < a file < the environment < flags.
//!
//! ```text
//!  schema: every setting and its kind ──▶ layers: one value each, and where it came from
//!                                             │                  │
//!                                             ▼                  ▼
//!                               settings: for the daemon    show: for people
//! ```
//!
//! A kind (`kind`) says what a value must be, down to the fields of tables in lists, and how it
//! is shown; `inline` reads one from a variable or a flag; `renamed` knows the names of old.

mod auth;
mod error;
mod inline;
mod kind;
mod layers;
mod participants;
mod renamed;
mod schema;
mod settings;
mod show;
mod shown;
mod tls;

pub use auth::{AuthSection, JwtSection};
pub use error::ConfigError;
pub use kind::{Field, Kind, Text};
pub use layers::{Flags, Layers, Origin};
pub use participants::{ParticipantSection, SigningTable};
pub use schema::Schema;
#[cfg(test)]
pub(crate) use schema::TERCET;
pub use settings::{
    AlertSection, ClusterSection, ConsoleSection, DatabaseSettings, DispatcherSection,
    HistorySettings, JobsSettings, JournalSection, LimitSettings, LogSettings, NodeSettings,
    RetentionSettings, RetrySettings, ServerSection, Settings, ShutdownSettings,
};

pub use shown::{ShownSetting, ShownSettings};
pub use tls::{CallsTlsSection, ServerTlsSection};

pub(crate) use auth::tokens_of;

#[cfg(test)]
mod structured_tests;
#[cfg(test)]
mod tests;
