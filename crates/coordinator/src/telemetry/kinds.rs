//! How many lines of one kind may be logged. What a stranger can cause as often as he likes would
//! otherwise bury everything else.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tercet_wire::Mono;
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

/// Lines of one kind at once; those that need somebody name more.
const BURST: u64 = 20;
const BURST_OF_ERRORS: u64 = 200;
/// One more for each of these, in milliseconds.
const EVERY_MS: u64 = 1_000;

/// Lines by kind: each place in the program that logs is one, so that there is a bound on them.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

/// One kind.
#[derive(Debug)]
struct Kind {
    /// How many may be logged now.
    room: u64,
    /// When one was added to these last.
    filled_at: Mono,
    /// How many were left out since that was last told.
    left_out: u64,
    /// What it is called.
    event: String,
}

/// So many lines of a kind were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) event: String,
    pub(super) lines: u64,
}

impl Kinds {
    fn lock(&self) -> MutexGuard<'_, HashMap<Identifier, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more line may be logged. What is only logged when it was asked for is not
    /// counted.
    pub(super) fn admit(&self, of: &Metadata<'_>, now: Mono) -> bool {
        let burst = match *of.level() {
            Level::ERROR => BURST_OF_ERRORS,
            Level::WARN | Level::INFO => BURST,
            Level::DEBUG | Level::TRACE => return true,
        };
        let mut kinds = self.lock();
        let kind = kinds.entry(of.callsite()).or_insert_with(|| Kind {
            room: burst,
            filled_at: now,
            left_out: 0,
            event: String::new(),
        });
        kind.fill(burst, now);
        match kind.room.checked_sub(1) {
            Some(room) => {
                kind.room = room;
                true
            }
            None => {
                kind.left_out += 1;
                false
            }
        }
    }

    /// The name of a kind of which a line was left out, read off that line.
    pub(super) fn name(&self, of: &Metadata<'_>, line: &str) {
        if let Some(kind) = self.lock().get_mut(&of.callsite())
            && kind.event.is_empty()
        {
            kind.event = event(line).unwrap_or(of.target()).to_owned();
        }
    }

    /// What was left out since this was last asked.
    pub(super) fn take_left_out(&self) -> Vec<LeftOut> {
        let mut kinds = self.lock();
        let left_out = kinds.values_mut().filter(|kind| kind.left_out > 0);
        left_out
            .map(|kind| LeftOut {
                event: kind.event.clone(),
                lines: std::mem::take(&mut kind.left_out),
            })
            .collect()
    }
}

impl Kind {
    fn fill(&mut self, burst: u64, now: Mono) {
        let passed = now.0.saturating_sub(self.filled_at.0) / EVERY_MS;
        self.room = self.room.saturating_add(passed).min(burst);
        self.filled_at = Mono(self.filled_at.0 + passed * EVERY_MS);
    }
}

/// The event that a line names, in either form. It stands before all that others have written.
fn event(line: &str) -> Option<&str> {
    let after = |what: &str| line.split_once(what).map(|(_, rest)| rest);
    let rest = after("\"event\":\"").or_else(|| after("event=\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use tracing::callsite::{Callsite, DefaultCallsite};
    use tracing::field::FieldSet;
    use tracing::metadata::Kind as What;

    use super::*;

    macro_rules! kind {
        ($level:ident) => {{
            static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
            static METADATA: Metadata<'static> = Metadata::new(
                "event",
                "here",
                Level::$level,
                None,
                None,
                None,
                FieldSet::new(&[], Identifier(&CALLSITE)),
                What::EVENT,
            );
            CALLSITE.metadata()
        }};
    }

    /// Keeps P9.
    #[test]
    fn of_each_kind_so_many_are_logged_and_the_rest_is_counted() {
        let (kinds, warns, errors, debugs) =
            (Kinds::default(), kind!(WARN), kind!(ERROR), kind!(DEBUG));
        let admitted = |of, now| (0..600).filter(|_| kinds.admit(of, Mono(now))).count();
        assert_eq!(admitted(warns, 0), 20);
        kinds.name(warns, r#"WARN here: x event="answer_strange" why="event=\"other\"""#);
        // Others have room of their own.
        assert_eq!(admitted(errors, 0), 200);
        kinds.name(errors, r#"{"level":"ERROR","event":"alarm","message":"x"}"#);
        assert_eq!(admitted(debugs, 0), 600);
        let mut told = kinds.take_left_out();
        told.sort_by_key(|left_out| left_out.lines);
        let left_out = |event: &str, lines| LeftOut { event: event.to_owned(), lines };
        assert_eq!(told, [left_out("alarm", 400), left_out("answer_strange", 580)]);
        assert_eq!(kinds.take_left_out(), []);
        // There is room again as time passes, and never for more than at first.
        assert_eq!(admitted(warns, 999), 0);
        assert_eq!(admitted(warns, 3_500), 3);
        assert_eq!(admitted(warns, 4_000), 1);
        assert_eq!(admitted(warns, 1_000_000), 20);
    }
}
