//! The counts kept in the repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Instructions of each workload, for each transaction.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, f64>);

const ABOUT: &str = "\
# Instructions for each transaction, counted by callgrind; `make instructions` compares with them
# and `make instructions-update` writes them anew. They depend on the compiler: a new one is a
# reason to write them anew, in a commit of its own.
";

impl Counts {
    /// Reads them.
    pub(crate) fn read() -> Result<Self, String> {
        let path = path();
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| said(&error))?;
        let counts: BTreeMap<String, f64> = toml::from_str::<BTreeMap<String, toml::Value>>(&text)
            .map_err(|error| said(&error))?
            .into_iter()
            .filter_map(|(name, value)| Some((name, as_count(&value)?)))
            .collect();
        Ok(Self(counts))
    }

    /// Of one workload.
    pub(crate) fn of(&self, name: &str) -> Result<f64, String> {
        let count = self.0.get(name).copied();
        count.ok_or_else(|| format!("no count is kept of {name}: make instructions-update"))
    }

    /// Says what it is.
    pub(crate) fn set(&mut self, name: &str, count: f64) {
        self.0.insert(name.to_owned(), count);
    }

    /// Writes them.
    pub(crate) fn write(&self) -> Result<(), String> {
        let mut text = ABOUT.to_owned();
        for (name, count) in &self.0 {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name} = {count:.0}");
        }
        std::fs::write(path(), text).map_err(|error| format!("{}: {error}", path().display()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
fn as_count(value: &toml::Value) -> Option<f64> {
    value.as_integer().map(|count| count as f64).filter(|count| *count > 0.0)
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}
