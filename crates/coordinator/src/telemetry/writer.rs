//! What becomes of a line once it is put together.

use std::io;

use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::metric;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::kinds::Kinds;
use super::queue::LogQueue;
use crate::escape::{for_people, in_json};

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Text.
    Plain,
    /// Text with colours of ours.
    Coloured,
    /// A JSON object.
    Json,
}

/// Makes lines safe to show, and puts them into the queue as far as their kind may.
pub(super) struct LogWriter {
    pub(super) queue: LogQueue,
    pub(super) kinds: Kinds,
    pub(super) look: Look,
    pub(super) clock: SystemClock,
}

/// One line.
pub(super) struct Line<'a> {
    writer: &'a LogWriter,
    /// What it is of, if it is one too many.
    left_out: Option<&'a Metadata<'a>>,
}

impl LogWriter {
    fn push(&self, line: &str) {
        let text = line.strip_suffix('\n').unwrap_or(line);
        let mut shown = match self.look {
            Look::Plain => for_people(text).into_owned(),
            Look::Coloured => with_colours(text),
            Look::Json => in_json(text).into_owned(),
        };
        shown.push('\n');
        self.queue.push(shown.into_bytes());
    }
}

impl<'a> MakeWriter<'a> for &'static LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { writer: self, left_out: None }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a> {
        // What tells of lines that are missing is not missing itself. All else has its bound, the
        // line of a panic too: whoever finds a request that causes one can send it again.
        let tells_of_missing = of.target() == super::missing::TARGET;
        let admitted = tells_of_missing || self.kinds.admit(of, self.clock.mono());
        Line { writer: self, left_out: (!admitted).then(|| of.callsite().0.metadata()) }
    }
}

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        match self.left_out {
            None => self.writer.push(&line),
            Some(of) => {
                self.writer.kinds.name(of, &line);
                metrics::counter!(metric::LOG_LINES_DROPPED).increment(1);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes all but what only changes the colour of text.
fn with_colours(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        shown += &for_people(before);
        let numbers = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        if after[numbers..].starts_with('m') {
            shown += "\u{1b}[";
            shown += &after[..=numbers];
            rest = &after[numbers + 1..];
        } else {
            shown += "\\u{1b}[";
            rest = after;
        }
    }
    shown + &for_people(rest)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use tracing::Level;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Keeps P9.
    #[test]
    fn only_lines_about_missing_lines_have_no_bound() {
        let written = Written::default();
        let queue = LogQueue::start(written.clone()).expect("a thread");
        let (kinds, clock) = (Kinds::default(), SystemClock::start());
        let writer: &'static LogWriter =
            Box::leak(Box::new(LogWriter { queue, kinds, look: Look::Plain, clock }));
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..3_000 {
                tracing::event!(target: super::super::missing::TARGET, Level::WARN, "of missing ones");
                // As the panic hook's.
                tracing::event!(target: "tercet_coordinator::telemetry", Level::ERROR, "of a panic");
                tracing::event!(target: "tercet_coordinator::telemetry::missing::x", Level::ERROR, "of a neighbour");
                tracing::event!(target: "tercet_coordinator::telemetry_of_others", Level::ERROR, "of a stranger");
            }
        });
        writer.queue.finish(Duration::from_secs(60));
        let written = written.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = |of: &str| String::from_utf8_lossy(&written).matches(of).count();
        assert_eq!(lines("of missing ones"), 3_000);
        for of in ["of a panic", "of a neighbour", "of a stranger"] {
            // One more for each second that this takes.
            assert!((200..1_000).contains(&lines(of)), "{of}: {}", lines(of));
        }
    }

    #[test]
    fn colours_stay_and_nothing_else_that_a_terminal_obeys() {
        let text = "\u{1b}[2mINFO\u{1b}[0m a\nb \u{1b}[2J \u{1b}]0;x\u{7} \u{1b}[1;31mred\u{1b}[";
        let shown =
            "\u{1b}[2mINFO\u{1b}[0m a\\nb \\u{1b}[2J \\u{1b}]0;x\\u{7} \u{1b}[1;31mred\\u{1b}[";
        assert_eq!(with_colours(text), shown);
    }
}
