//! From defaults, file, environment and flags to one value for each setting, with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::config::error::ConfigError;
use crate::config::kind::Objection;
use crate::config::schema::{Schema, TERCET};
use crate::config::settings::Settings;
use crate::config::shown::ShownSettings;
use crate::config::{inline, renamed};

/// What environment variables of ours begin with.
const PREFIX: &str = "TERCET_";

/// What stands between section and key in a variable. Only names that have it are settings.
const SEPARATOR: &str = "__";

/// These serve the command line's client and are no settings.
const NOT_SETTINGS: [&str; 3] = ["TERCET_URL", "TERCET_TOKEN", "TERCET_CA"];

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

/// One value for each setting of a schema.
#[derive(Debug, Clone)]
pub struct Layers {
    schema: &'static Schema,
    /// By section and key, so that a section's own settings stand together before those of the
    /// sections within it.
    values: BTreeMap<(String, String), (Value, Origin)>,
    /// Variables that are none of ours by their form, and the one each may be meant as.
    unheard: Vec<(String, String)>,
}

impl Layers {
    /// Puts the layers of Tercet's settings together; later ones win.
    ///
    /// # Errors
    /// The file cannot be read, or something given is no setting or no value for one.
    pub fn gather(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        Self::gather_by(&TERCET, file, environment, flags)
    }

    /// The same for settings of any schema.
    ///
    /// # Errors
    /// As for `gather`; also if the schema's own defaults do not fit it.
    pub fn gather_by(
        schema: &'static Schema,
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self { schema, values: BTreeMap::new(), unheard: Vec::new() };
        let defaults = parse(schema.defaults, Path::new("config/tercet.toml"))?;
        layers.add_table("", defaults, &Origin::Default)?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
            layers.add_table("", parse(&text, path)?, &Origin::File(path.to_owned()))?;
        }
        for (name, text) in environment {
            layers.add_variable(&name, &text)?;
        }
        for (flag, key, text) in flags {
            layers.set_text(key, text, Origin::Flag(flag))?;
        }
        Ok(layers)
    }

    /// What a text says, as it stands in a file, and nothing else.
    ///
    /// # Errors
    /// As for `gather`.
    pub(super) fn of_text(
        schema: &'static Schema,
        path: &Path,
        text: &str,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self::gather_by(schema, None, [], &Flags::new())?;
        layers.add_table("", parse(text, path)?, &Origin::File(path.to_owned()))?;
        Ok(layers)
    }

    /// A table is a section, or the value of a setting that is one: the schema knows.
    fn add_table(&mut self, of: &str, table: Table, origin: &Origin) -> Result<(), ConfigError> {
        for (key, value) in table {
            let name = if of.is_empty() { key.clone() } else { format!("{of}.{key}") };
            // A quoted key with a dot in it looks like a section and is none.
            let is_plain = !key.contains('.');
            match value {
                value if is_plain && self.schema.kind(&name).is_some() => {
                    self.set(&name, value, origin.clone())?;
                }
                Value::Table(section) if is_plain && self.schema.has_section(&name) => {
                    self.add_table(&name, section, origin)?;
                }
                Value::Table(section) if of.is_empty() => {
                    let first = section.keys().next().map_or("*", String::as_str);
                    return Err(self.unknown(&format!("{name}.{first}"), origin));
                }
                _ => return Err(self.unknown(&name, origin)),
            }
        }
        Ok(())
    }

    fn add_variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(()) };
        if NOT_SETTINGS.contains(&name) {
            return Ok(());
        }
        if !name.contains(SEPARATOR) {
            // Kubernetes names a service's links so: TERCET_SERVICE_HOST, TERCET_PORT, …
            self.unheard.extend(self.meant(rest).map(|meant| (name.to_owned(), meant)));
            return Ok(());
        }
        let key = rest.replace(SEPARATOR, ".").to_ascii_lowercase();
        self.set_text(&key, text, Origin::Environment(name.to_owned()))
    }

    /// The variable of the setting that one without a separator reads like.
    fn meant(&self, rest: &str) -> Option<String> {
        let is_like = |name: &str| name.replace('.', "_").eq_ignore_ascii_case(rest);
        let (name, _) = self.schema.settings.iter().find(|(name, _)| is_like(name))?;
        Some(format!("{PREFIX}{}", name.to_ascii_uppercase().replace('.', SEPARATOR)))
    }

    /// Variables that set nothing since they have no `__`, each with the one that it is
    /// probably meant as.
    #[must_use]
    pub fn unheard(&self) -> &[(String, String)] {
        &self.unheard
    }

    /// A value given as text is read as the setting's kind.
    fn set_text(&mut self, name: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some(kind) = self.schema.kind(name) else {
            return Err(self.unknown(name, &origin));
        };
        match inline::read(kind, text) {
            Ok(value) => self.set(name, value, origin),
            Err(what) => Err(ConfigError::Invalid { key: name.to_owned(), origin, what }),
        }
    }

    fn set(&mut self, name: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let Some(kind) = self.schema.kind(name) else {
            return Err(self.unknown(name, &origin));
        };
        kind.check(name, &value).map_err(|objection| match objection {
            Objection::Unknown { place: key, hint } => {
                ConfigError::Unknown { key, origin: origin.clone(), hint }
            }
            Objection::Invalid { place: key, what } => {
                ConfigError::Invalid { key, origin: origin.clone(), what }
            }
        })?;
        let (section, key) = name.rsplit_once('.').unwrap_or(("", name));
        self.values.insert((section.to_owned(), key.to_owned()), (value, origin));
        Ok(())
    }

    fn unknown(&self, name: &str, origin: &Origin) -> ConfigError {
        let hint = renamed::fate(name).unwrap_or_else(|| self.schema.hint(name));
        ConfigError::Unknown { key: name.to_owned(), origin: origin.clone(), hint }
    }

    /// Every setting by section and key, its value as it may be shown, and where that came
    /// from.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&str, &str, Value, &Origin)> {
        self.values.iter().map(|((section, key), (value, origin))| {
            let kind = self.schema.kind(&format!("{section}.{key}"));
            let shown = kind.map_or_else(|| Value::from("***"), |kind| kind.shown(value));
            (section.as_str(), key.as_str(), shown, origin)
        })
    }

    /// How many settings are not as built in.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.values.values().filter(|(_, origin)| *origin != Origin::Default).count()
    }

    /// What the daemon works with.
    ///
    /// # Errors
    /// None that could come from outside: every value was checked when it was set. That the
    /// schema fits the settings is a test's concern.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let settings: Settings = self.read()?;
        let settings = Settings { shown: ShownSettings::of(self), ..settings };
        match settings.objection() {
            None => Ok(settings),
            Some((key, what)) => Err(self.invalid(key, what)),
        }
    }

    fn invalid(&self, key: &str, what: String) -> ConfigError {
        let (section, name) = key.rsplit_once('.').unwrap_or_default();
        let given = self.values.get(&(section.to_owned(), name.to_owned()));
        let origin = given.map_or(Origin::Default, |(_, origin)| origin.clone());
        ConfigError::Invalid { key: key.to_owned(), origin, what }
    }

    /// The values as fields of a struct that has one for each section.
    ///
    /// # Errors
    /// The struct does not fit the schema.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let mut root = Table::new();
        for ((section, key), (value, _)) in &self.values {
            if let Some(table) = section_of(&mut root, section) {
                table.insert(key.clone(), value.clone());
            }
        }
        root.try_into().map_err(|error: toml::de::Error| ConfigError::Invalid {
            key: "settings".to_owned(),
            origin: Origin::Default,
            what: error.message().to_owned(),
        })
    }
}

/// The table of a section, made if it is not there yet. None if a setting has its name, which a
/// schema that fits its struct does not say.
fn section_of<'a>(root: &'a mut Table, section: &str) -> Option<&'a mut Table> {
    let parts = section.split('.').filter(|part| !part.is_empty());
    parts.into_iter().try_fold(root, |table, part| {
        table.entry(part).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
    })
}

fn parse(text: &str, path: &Path) -> Result<Table, ConfigError> {
    text.parse().map_err(|cause: toml::de::Error| {
        let at = cause.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        ConfigError::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            what: cause.message().to_owned(),
        }
    })
}
