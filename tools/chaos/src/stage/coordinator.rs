//! The coordinator as a process.

use std::path::Path;

use tercet_testing::Port;

use super::Programs;
use crate::error::ChaosError;
use crate::process::Process;
use crate::strangers::with_own_names;
use crate::tool::words;

/// Starts one on this port, with its database in `data`, its log in `directory` and these
/// settings, each as `("SECTION__KEY", "value")`; with names of the run's own, if it is to be.
pub(crate) async fn start<K: AsRef<str>, V: AsRef<str>>(
    programs: &Programs,
    port: &Port,
    data: &Path,
    directory: &Path,
    settings: &[(K, V)],
    own_names: bool,
) -> Result<Process, ChaosError> {
    let (listen, file) = (port.address().to_string(), data.join("tercet.db"));
    let url = format!("sqlite://{}", file.display());
    let command = words([&programs.tercet, "serve", "--listen", &listen, "--database-url", &url]);
    let command = if own_names { with_own_names(command, directory)? } else { command };
    let mut coordinator = Process::new("coordinator", command, directory, "ready");
    for (key, value) in settings {
        coordinator.set(format!("TERCET_{}", key.as_ref()), value.as_ref());
    }
    coordinator.start().await?;
    Ok(coordinator)
}
