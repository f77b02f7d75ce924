//! Settings: built-in defaults (config/tercet.toml) < a file < the environment < flags.
//!
//! `layers` puts them together and remembers where each came from, `range` says which
//! values a setting can have, `settings` is what the rest of the daemon gets, `show` prints.

mod error;
mod layers;
mod range;
mod settings;
mod show;

pub use error::ConfigError;
pub use layers::{Flags, Layers, Origin};
pub use settings::{
    AlertSection, DatabaseSettings, DispatcherSection, HistorySettings, JournalSection,
    LimitSettings, LogSettings, NodeSettings, RetentionSettings, RetrySettings, ServerSection,
    Settings, ShutdownSettings,
};

#[cfg(test)]
mod tests;
