//! From defaults, file, environment and flags to one value for each setting, with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::error::ConfigError;
use crate::config::range;
use crate::config::settings::Settings;

/// The defaults, and with them every setting there is.
pub(super) const DEFAULTS: &str = include_str!("../../../../config/tercet.toml");

/// What environment variables of ours begin with.
const PREFIX: &str = "TERCET_";

/// These serve the command line's client and are no settings.
const NOT_SETTINGS: [&str; 2] = ["TERCET_URL", "TERCET_TOKEN"];

/// Settings that had another name before the first release, and the one they have. Whoever still
/// uses an old one is told the new one.
pub(super) const RENAMED: &[(&str, &str)] = &[
    ("alerts.gather_ms", "alerts.group_wait_ms"),
    ("alerts.give_up_after_ms", "alerts.max_age_ms"),
    ("alerts.queue", "alerts.queue_capacity"),
    ("dispatcher.breaker_failures", "dispatcher.breaker_threshold"),
    ("dispatcher.idle_connection_ms", "dispatcher.pool_idle_timeout_ms"),
    ("dispatcher.probe_every_ms", "dispatcher.probe_interval_ms"),
    ("journal.answer_within_ms", "journal.request_timeout_ms"),
    ("limits.resting_transactions", "limits.paged_out_transactions"),
    ("limits.waiting_bytes", "limits.in_memory_waiting_bytes"),
    ("limits.waiting_transactions", "limits.in_memory_waiting_transactions"),
    ("node.longest_stop_ms", "node.max_expected_downtime_ms"),
    ("retention.every_ms", "retention.interval_ms"),
    ("retry.ack_alone_after_ms", "retry.ack_flush_after_ms"),
    ("retry.cap_ms", "retry.max_backoff_ms"),
    ("retry.first_ms", "retry.initial_backoff_ms"),
    ("retry.park_after_doubt_ms", "retry.park_after_ms"),
    ("retry.park_after_wrong", "retry.park_after_permanent_errors"),
];

/// Settings that are gone, and why nobody needs them.
const GONE: &[(&str, &str)] =
    &[("retry.no_room_pause_ms", "a full queue tells when it has room, so nothing asks again")];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What the command line sets: a flag, its setting, its value.
pub type Flags = Vec<(&'static str, &'static str, String)>;

/// One value for each setting, by `section.key`.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<String, (Value, Origin)>,
}

impl Layers {
    /// Puts the layers together; later ones win.
    ///
    /// # Errors
    /// The file cannot be read, or something given is no setting or no value for one.
    pub fn gather(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self::defaults()?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
            layers.add_toml(&text, &Origin::File(path.to_owned()), path)?;
        }
        for (name, text) in environment {
            layers.add_variable(&name, &text)?;
        }
        for (flag, key, text) in flags {
            layers.set_text(key, text, Origin::Flag(flag))?;
        }
        Ok(layers)
    }

    fn defaults() -> Result<Self, ConfigError> {
        let mut layers = Self { values: BTreeMap::new() };
        let path = Path::new("config/tercet.toml");
        for (section, keys) in parse(DEFAULTS, path)? {
            for (key, value) in keys.as_table().into_iter().flatten() {
                let name = format!("{section}.{key}");
                layers.values.insert(name, (value.clone(), Origin::Default));
            }
        }
        Ok(layers)
    }

    fn add_toml(&mut self, text: &str, origin: &Origin, path: &Path) -> Result<(), ConfigError> {
        for (section, keys) in parse(text, path)? {
            let Value::Table(keys) = keys else {
                return Err(self.unknown(&section, origin));
            };
            if keys.is_empty() && !self.has_section(&section) {
                return Err(self.unknown(&format!("{section}.*"), origin));
            }
            for (key, value) in keys {
                self.set(&format!("{section}.{key}"), value, origin.clone())?;
            }
        }
        Ok(())
    }

    fn add_variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(()) };
        if NOT_SETTINGS.contains(&name) {
            return Ok(());
        }
        let key = rest.replacen("__", ".", 1).to_ascii_lowercase();
        self.set_text(&key, text, Origin::Environment(name.to_owned()))
    }

    /// A value given as text is read as the setting's type.
    fn set_text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some((current, _)) = self.values.get(key) else {
            return Err(self.unknown(key, &origin));
        };
        let read = match current {
            Value::Integer(_) => text.parse().map(Value::Integer).ok(),
            Value::Boolean(_) => text.parse().map(Value::Boolean).ok(),
            Value::Float(_) => text.parse().map(Value::Float).ok(),
            Value::String(_) => Some(Value::from(text)),
            Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
        };
        // What cannot be read is a text where another type is wanted.
        self.set(key, read.unwrap_or_else(|| Value::from(text)), origin)
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let Some((current, _)) = self.values.get(key) else {
            return Err(self.unknown(key, &origin));
        };
        let objection = if current.same_type(&value) {
            range::objection(key, &value)
        } else {
            Some(format!("must be {}, not {}", in_words(current), in_words(&value)))
        };
        if let Some(what) = objection {
            return Err(ConfigError::Invalid { key: key.to_owned(), origin, what });
        }
        self.values.insert(key.to_owned(), (value, origin));
        Ok(())
    }

    fn has_section(&self, section: &str) -> bool {
        self.values.keys().any(|key| key.split('.').next() == Some(section))
    }

    fn unknown(&self, key: &str, origin: &Origin) -> ConfigError {
        let named = |table: &[(&str, &'static str)]| {
            table.iter().find(|(old, _)| *old == key).map(|(_, other)| *other)
        };
        let hint = match (named(RENAMED), named(GONE)) {
            (Some(new), _) => Some(format!("it is called {new} now")),
            (None, Some(why)) => Some(format!("it is gone: {why}")),
            (None, None) => None,
        };
        if let Some(hint) = hint {
            return ConfigError::Unknown { key: key.to_owned(), origin: origin.clone(), hint };
        }
        let section = key.split('.').next().unwrap_or_default();
        let siblings = self.values.keys().filter_map(|known| {
            let (of, name) = known.split_once('.')?;
            (of == section).then_some(name)
        });
        let siblings: Vec<&str> = siblings.collect();
        let hint = if siblings.is_empty() {
            let mut sections: Vec<&str> =
                self.values.keys().filter_map(|known| known.split('.').next()).collect();
            sections.dedup();
            format!("the sections are {}", sections.join(", "))
        } else {
            format!("[{section}] has {}", siblings.join(", "))
        };
        ConfigError::Unknown { key: key.to_owned(), origin: origin.clone(), hint }
    }

    /// Every setting, its value and where that came from, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value, &Origin)> {
        self.values.iter().map(|(key, (value, origin))| (key.as_str(), value, origin))
    }

    /// What the daemon works with.
    ///
    /// # Errors
    /// None that could come from outside: every value was checked when it was set. That the
    /// defaults fit the settings is a test's concern.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let mut root = Table::new();
        for (key, value, _) in self.iter() {
            let (section, key) = key.split_once('.').unwrap_or((key, ""));
            let section = root.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(key.to_owned(), value.clone());
            }
        }
        root.try_into().map_err(|error: toml::de::Error| ConfigError::Invalid {
            key: "settings".to_owned(),
            origin: Origin::Default,
            what: error.message().to_owned(),
        })
    }
}

fn parse(text: &str, path: &Path) -> Result<Table, ConfigError> {
    text.parse()
        .map_err(|cause| ConfigError::Syntax { path: path.to_owned(), cause: Box::new(cause) })
}

fn in_words(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Boolean(_) => "true or false",
        Value::Float(_) => "a number with a fraction",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
