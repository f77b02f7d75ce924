//! Logs: where they go, in which form, and which of them.

use std::io::{IsTerminal, stderr};

use serde::Deserialize;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::TryInitError;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter is no filter.
    #[error("the log filter {filter:?} is not of the form info,tercet_coordinator=debug: {cause}")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        cause: ParseError,
    },
    /// Something else has set up logging in this process.
    #[error("logging is set up already")]
    AlreadySet(#[from] TryInitError),
}

/// Sends logs to stderr from here on. `filter` is a list of levels by module, such as
/// `info,tercet_coordinator::dispatcher=debug`; what it leaves out costs a comparison.
///
/// # Errors
/// The filter cannot be read, or logging was set up before.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let builder = tracing_subscriber::fmt().with_env_filter(parse(filter)?).with_writer(stderr);
    // Whoever read the log is gone; complaining about it on the same stderr would panic.
    let builder = builder.log_internal_errors(false);
    match format {
        LogFormat::Text => {
            builder.compact().with_ansi(stderr().is_terminal()).finish().try_init()?;
        }
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|cause| TelemetryError::Filter { filter: filter.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        assert!(parse("info,tercet_coordinator::dispatcher=debug").is_ok());
        let error = parse("info,tercet=loud").expect_err("loud is no level").to_string();
        assert!(error.contains("info,tercet=loud"), "{error}");
    }
}
