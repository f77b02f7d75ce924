//! The counts kept in the repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Instructions of each workload, for each transaction.
#[derive(Debug)]
pub(crate) struct Counts {
    /// What compiled what was counted.
    pub(crate) compiler: String,
    counts: BTreeMap<String, f64>,
}

const ABOUT: &str = "\
# Instructions for each transaction, counted by callgrind; `make instructions` compares with them
# and `make instructions-update` writes them anew. They depend on the compiler: with another one
# the comparison is shown and fails nobody, and they are to be written anew.
";

impl Counts {
    /// None yet, of what was compiled by this compiler.
    pub(crate) fn new(compiler: String) -> Self {
        Self { compiler, counts: BTreeMap::new() }
    }

    /// Reads them.
    pub(crate) fn read() -> Result<Self, String> {
        let path = path();
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| said(&error))?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| said(&error))?;
        let compiler = table.get("compiler").and_then(toml::Value::as_str).unwrap_or_default();
        let counts =
            table.iter().filter_map(|(name, value)| Some((name.clone(), as_count(value)?)));
        Ok(Self { compiler: compiler.to_owned(), counts: counts.collect() })
    }

    /// Of one workload.
    pub(crate) fn of(&self, name: &str) -> Result<f64, String> {
        let count = self.counts.get(name).copied();
        count.ok_or_else(|| format!("no count is kept of {name}: make instructions-update"))
    }

    /// Says what it is.
    pub(crate) fn set(&mut self, name: &str, count: f64) {
        self.counts.insert(name.to_owned(), count);
    }

    /// Writes them.
    pub(crate) fn write(&self) -> Result<(), String> {
        let mut text = format!("{ABOUT}compiler = \"{}\"\n", self.compiler);
        for (name, count) in &self.counts {
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
