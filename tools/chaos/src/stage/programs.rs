//! The programs under test.

use std::path::{Path, PathBuf};

use crate::error::ChaosError;

/// Where they are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) tercet: String,
    pub(crate) demo: String,
    /// What the demo's services are started with beside the usual.
    pub(crate) demo_options: Vec<String>,
    /// This one.
    pub(crate) own: String,
    /// Where they are looked for.
    directory: PathBuf,
}

impl Programs {
    /// Those in this directory; without one, those beside this program.
    pub(crate) fn find(
        directory: Option<PathBuf>,
        demo_options: Vec<String>,
    ) -> Result<Self, ChaosError> {
        let own = std::env::current_exe().map_err(ChaosError::io("find this program"))?;
        let beside = || own.parent().map(PathBuf::from).unwrap_or_default();
        let directory = directory.unwrap_or_else(beside);
        let (tercet, demo) = (find(&directory, "tercet")?, find(&directory, "tercet-demo")?);
        Ok(Self { tercet, demo, demo_options, own: own.display().to_string(), directory })
    }

    /// The program that hands messages over, which few runs need.
    pub(crate) fn relay(&self) -> Result<String, ChaosError> {
        find(&self.directory, "tercet-relay")
    }
}

fn find(directory: &Path, name: &str) -> Result<String, ChaosError> {
    let path = directory.join(name);
    let found = path.canonicalize();
    let found = found.map_err(ChaosError::io(format!("find the program {}", path.display())))?;
    Ok(found.display().to_string())
}
