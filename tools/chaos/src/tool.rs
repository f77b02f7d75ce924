//! The system's own tools: `ip`, `tc`, `mount`.

use tokio::process::Command;

use crate::error::ChaosError;

/// Runs a tool to its end.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Result<(), ChaosError> {
    let command = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().await;
    let output = output.map_err(ChaosError::io(command.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ChaosError::Command { command, said })
}

/// Runs a tool while something is being dropped, where nothing can wait and nobody listens.
pub(crate) fn run_at_the_end(program: &str, arguments: &[&str]) {
    // What cannot be taken away now was never there, or goes with the machine.
    let _ = std::process::Command::new(program).args(arguments).output();
}

/// Words as owned text, as a command line is kept.
pub(crate) fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}
