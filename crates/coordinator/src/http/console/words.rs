//! The words and the colours of how things stand: one for each state, the same on every page.

use askama::Template;
use tercet_wire::{BranchStatus, BranchView, BreakerState, ParticipantView, Status, Wall};

use crate::http::console::moment::Moment;

/// How it stands with somebody or something. Shown by its colour, a sign and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// People must look.
    Bad,
    /// It does not go as it should, and may mend by itself.
    Warn,
    /// People have stopped it.
    Paused,
    /// It goes on.
    Busy,
    /// As it should be.
    Good,
    /// Over, without anything to be said of it.
    Quiet,
}

impl Tone {
    /// As the style sheet calls it.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Paused => "paused",
            Self::Busy => "busy",
            Self::Good => "good",
            Self::Quiet => "quiet",
        }
    }

    /// What is seen of it without colours.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Bad => "▲",
            Self::Warn => "◆",
            Self::Paused => "❚❚",
            Self::Busy => "●",
            Self::Good => "✓",
            Self::Quiet => "○",
        }
    }
}

/// A state in its colour.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "console/pill.html")]
pub(super) struct Pill {
    pub(super) tone: Tone,
    pub(super) word: String,
}

impl Pill {
    pub(super) fn new(tone: Tone, word: impl Into<String>) -> Self {
        Self { tone, word: word.into() }
    }

    pub(super) fn of_status(status: Status, is_parked: bool) -> Self {
        let tone = match status {
            _ if is_parked => Tone::Bad,
            Status::Trying | Status::Confirming | Status::Cancelling => Tone::Busy,
            Status::Confirmed => Tone::Good,
            Status::Cancelled => Tone::Quiet,
        };
        Self::new(tone, status.as_str())
    }

    pub(super) fn of_branch(branch: &BranchView) -> Self {
        let tone = match branch.status {
            _ if branch.parked => Tone::Bad,
            BranchStatus::Refused => Tone::Warn,
            BranchStatus::Registered | BranchStatus::Tried if branch.last_error.is_some() => {
                Tone::Warn
            }
            BranchStatus::Registered | BranchStatus::Tried => Tone::Busy,
            BranchStatus::Confirmed => Tone::Good,
            BranchStatus::Cancelled | BranchStatus::Skipped => Tone::Quiet,
        };
        Self::new(tone, branch.status.as_str())
    }

    /// How it stands with a participant of which so many percent of the calls have failed lately, mostly
    /// without an answer where it is silent.
    pub(super) fn of_participant(
        view: &ParticipantView,
        failing: Option<f64>,
        is_silent: bool,
    ) -> Self {
        let is_failing = failing.is_some_and(|percent| percent >= FAILING_PERCENT);
        match view.breaker {
            _ if view.paused.is_some() => Self::new(Tone::Paused, "paused"),
            BreakerState::Open => Self::new(Tone::Bad, "not answering"),
            BreakerState::HalfOpen => Self::new(Tone::Warn, "coming back"),
            BreakerState::Closed if is_failing && is_silent => {
                Self::new(Tone::Bad, "not answering")
            }
            BreakerState::Closed if view.parked > 0 && is_failing => {
                Self::new(Tone::Bad, "refusing")
            }
            BreakerState::Closed if view.parked > 0 => Self::new(Tone::Bad, "parked"),
            BreakerState::Closed if is_failing => Self::new(Tone::Warn, "failing"),
            BreakerState::Closed => Self::new(Tone::Good, "ok"),
        }
    }
}

/// From so many failed calls in a hundred on, people are warned.
const FAILING_PERCENT: f64 = 5.0;

/// Whether a branch needs no more calls.
pub(super) fn is_done(branch: &BranchView) -> bool {
    branch.finished_at.is_some()
        || matches!(
            branch.status,
            BranchStatus::Confirmed | BranchStatus::Cancelled | BranchStatus::Skipped
        )
}

/// What a participant has said last to a branch that does not get on, in words.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "console/words.html")]
pub(super) struct LastWords {
    /// To which call, where that is known.
    pub(super) op: Option<&'static str>,
    /// With which status; none where nothing was answered.
    pub(super) status: Option<u16>,
    pub(super) text: String,
    pub(super) at: Option<Moment>,
}

impl LastWords {
    /// None where nothing has gone wrong. The last error is newer than an answer it does not tell.
    pub(super) fn of(branch: &BranchView, now: Wall) -> Option<Self> {
        let shown = |text: &str| crate::escape::for_people(text.trim()).into_owned();
        let error = branch.last_error.as_deref();
        match &branch.last_answer {
            Some(answer) if error.is_none_or(|error| tells(error, answer.status)) => Some(Self {
                op: Some(answer.op.as_str()),
                status: Some(answer.status),
                text: shown(&answer.body),
                at: Some(Moment::new(answer.at, now)),
            }),
            Some(_) | None => {
                let text = shown(error?);
                Some(Self { op: None, status: None, text, at: None })
            }
        }
    }
}

/// Whether an error is that this status was answered.
fn tells(error: &str, status: u16) -> bool {
    error.strip_prefix("answered ").is_some_and(|rest| rest.starts_with(&status.to_string()))
}

#[cfg(test)]
mod tests {
    use tercet_wire::{AnswersView, PausedView};

    use super::*;

    #[test]
    fn a_participant_is_as_bad_as_the_worst_that_is_known_of_it() {
        let view = |breaker, parked, is_paused: bool| ParticipantView {
            participant: "pay:80".to_owned(),
            in_flight: 0,
            waiting: 0,
            parked,
            breaker,
            calls: 0,
            failures: 0,
            failure_rate: 0.0,
            answers: AnswersView::default(),
            paused: is_paused.then(|| PausedView { by: "ann".into(), note: None, at: Wall(0) }),
        };
        let (open, half, closed) =
            (BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed);
        let silent = Pill::of_participant(&view(closed, 1, false), Some(100.0), true);
        assert_eq!(silent.word, "not answering");
        for (breaker, parked, is_paused, failing, expected) in [
            (closed, 0, false, None, "ok"),
            (closed, 0, false, Some(4.9), "ok"),
            (closed, 0, false, Some(5.0), "failing"),
            (closed, 1, false, Some(50.0), "refusing"),
            (closed, 1, false, Some(0.0), "parked"),
            (half, 1, false, Some(50.0), "coming back"),
            (open, 1, false, None, "not answering"),
            (open, 1, true, None, "paused"),
        ] {
            let pill = Pill::of_participant(&view(breaker, parked, is_paused), failing, false);
            assert_eq!(pill.word, expected);
        }
    }
}
