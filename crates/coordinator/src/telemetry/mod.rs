//! Logs: where they go, in which form, and which of them.
//!
//! ```text
//!  an event ──▶ a line ──▶ one too many of its kind? ──▶ queue ──▶ a thread of its own ──▶ stderr
//!                              │ left out, counted         │ full: lost, counted
//!                              └──────────▶ told every few seconds ◀┘
//! ```

mod about;
mod kinds;
mod missing;
mod queue;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, stderr};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;
use tercet_clock::SystemClock;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::TryInitError;

pub(crate) use self::about::{About, about};
use self::kinds::Kinds;
use self::queue::LogQueue;
use self::writer::{LogWriter, Look};

/// How often people are told of lines that they do not see.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How long the last lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where lines go, once that was said.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

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
    /// There is no thread for them.
    #[error("the log's thread cannot be started")]
    Thread(#[from] std::io::Error),
    /// Something else has set up logging in this process.
    #[error("logging is set up already")]
    AlreadySet(#[from] TryInitError),
}

/// Sends logs to stderr from here on, by a thread of their own. `filter` is a list of levels by
/// module, such as `info,tercet_coordinator::dispatcher=debug`; what it leaves out costs a comparison.
///
/// # Errors
/// The filter cannot be read, or logging was set up before.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let filter = parse(filter)?;
    let look = match format {
        LogFormat::Text if stderr().is_terminal() => Look::Coloured,
        LogFormat::Text => Look::Plain,
        LogFormat::Json => Look::Json,
    };
    let queue = LogQueue::start(stderr())?;
    let writer = WRITER.get_or_init(|| LogWriter {
        queue,
        kinds: Kinds::default(),
        look,
        clock: SystemClock::start(),
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // Whoever read the log is gone; complaining about it on the same stderr would panic.
    let builder = builder.log_internal_errors(false);
    match format {
        LogFormat::Text => {
            builder.compact().with_ansi(look == Look::Coloured).finish().try_init()?;
        }
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    std::panic::set_hook(Box::new(tell_of_panic));
    Ok(())
}

/// A panic is logged as anything else is: written to stderr by whoever panics, it could wait for
/// ever.
fn tell_of_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        event = "panicked",
        at = panic.location().map(tracing::field::display),
        thread = std::thread::current().name(),
        backtrace,
        "{}",
        panic.payload_as_str().unwrap_or("a panic without words")
    );
}

/// Tells every few seconds of lines that people do not see. Never returns.
pub async fn tell_of_missing_lines() {
    let mut beat = tokio::time::interval(TELL_EVERY);
    loop {
        beat.tick().await;
        tell_of_missing();
    }
}

fn tell_of_missing() {
    if let Some(writer) = WRITER.get() {
        missing::tell(writer);
    }
}

/// Waits until what was logged is written, unless nobody reads it. To be called before the
/// process ends.
pub fn finish() {
    tell_of_missing();
    if let Some(writer) = WRITER.get() {
        writer.queue.finish(LAST_LINES);
    }
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
