//! The programs under test.

use std::path::PathBuf;

use crate::trouble::Trouble;

/// Where they are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) tercet: String,
    pub(crate) demo: String,
}

impl Programs {
    /// Those in this directory; without one, those beside this program.
    pub(crate) fn find(directory: Option<PathBuf>) -> Result<Self, Trouble> {
        let beside = || {
            let own = std::env::current_exe()?;
            // A test's program lies one folder deeper.
            let folder = own.parent().map(PathBuf::from).unwrap_or_default();
            Ok(if folder.ends_with("deps") { folder.join("..") } else { folder })
        };
        let directory = match directory {
            Some(directory) => directory,
            None => beside().map_err(Trouble::io("find this program"))?,
        };
        let find = |name: &str| {
            let path = directory.join(name);
            let found = path.canonicalize();
            let found =
                found.map_err(Trouble::io(format!("find the program {}", path.display())))?;
            Ok(found.display().to_string())
        };
        Ok(Self { tercet: find("tercet")?, demo: find("tercet-demo")? })
    }
}
