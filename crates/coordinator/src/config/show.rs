//! `tercet config show`: the settings that hold, as a file that could be given back, with
//! where each came from. Secrets are masked.

use std::fmt;

use crate::config::layers::Layers;

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut current = None;
        for (section, key, value, origin) in self.shown() {
            if current.is_some_and(|current| current != section) {
                writeln!(f)?;
            }
            if current != Some(section) {
                writeln!(f, "[{section}]")?;
                current = Some(section);
            }
            let setting = format!("{key} = {value}");
            writeln!(f, "{setting:<48} # {origin}")?;
        }
        Ok(())
    }
}
