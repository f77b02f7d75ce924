//! What an answer says about the health of the destination it came from, whatever it means
//! for the branch (that is the verdict's).

use tercet_wire::{Answer, AnswersView, Mono, ParticipantView};

use super::BreakerState;
use crate::engine::WaitingFor;

/// What the end of a call says about the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// It answered by itself, whatever it said: a proof of life.
    Alive,
    /// No connection, no answer in time, or a gateway that says so.
    Failed,
    /// The call was not made, by a fault of ours.
    Unknown,
}

/// Reads an answer. 502, 503 and 504 are what proxies say of a service that is not there,
/// and what a service says that is overwhelmed; any other status, 500 too, was said by
/// somebody who is there. Source: RFC 9110, 15.6.
#[must_use]
pub fn health(answer: &Answer) -> Health {
    match answer {
        Answer::Nothing { .. } => Health::Failed,
        Answer::NotAllowed { .. } => Health::Unknown,
        // Only a Try that is done has a result.
        Answer::Result { .. } | Answer::ResultTooLarge { .. } => Health::Alive,
        Answer::Status { code, .. } => match code {
            502..=504 => Health::Failed,
            _ => Health::Alive,
        },
    }
}

/// How it stands with one participant, over all its destinations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParticipantHealth {
    /// `host:port`.
    pub participant: String,
    /// Calls under way.
    pub in_flight: usize,
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// The worst of its destinations'.
    pub breaker: BreakerState,
    /// When the first of those opened that have not closed since.
    pub open_since: Option<Mono>,
    /// Calls that ended since it was first called, or called again after a long silence.
    pub calls: u64,
    /// Those of them that did not come to what they were made for, and are made again.
    pub failures: u64,
    /// What they came to.
    pub answers: AnswersView,
}

impl ParticipantHealth {
    /// That of one that was not called.
    #[must_use]
    pub fn uncalled(participant: String) -> Self {
        Self {
            participant,
            in_flight: 0,
            waiting: 0,
            breaker: BreakerState::Closed,
            open_since: None,
            calls: 0,
            failures: 0,
            answers: AnswersView::default(),
        }
    }

    /// As operators are shown it, with what the engine knows of who waits for it.
    #[must_use]
    pub fn view(self, waiting_for: &WaitingFor) -> ParticipantView {
        let Self { participant, in_flight, waiting, breaker, calls, failures, answers, .. } = self;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        // Whose call is with the dispatcher has been counted there.
        let not_called = waiting_for.waiting.saturating_sub(waiting_for.called);
        let rate = if calls == 0 { 0.0 } else { failures as f64 / calls as f64 };
        ParticipantView {
            participant,
            in_flight: count(in_flight),
            waiting: count(waiting.saturating_add(not_called)),
            parked: count(waiting_for.parked),
            breaker,
            calls,
            failures,
            // Three places say all that can be told apart by eye.
            failure_rate: (rate * 1_000.0).round() / 1_000.0,
            answers,
            paused: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps P6.
    #[test]
    fn only_silence_and_three_statuses_speak_against_a_destination() {
        let failed = [502, 503, 504];
        for code in 100..1_000 {
            let answer = Answer::Status { code, retry_after: None, excerpt: String::new() };
            let expected = if failed.contains(&code) { Health::Failed } else { Health::Alive };
            assert_eq!(health(&answer), expected, "{code}");
        }
        for why in ["connection refused", "timeout after 100 ms"] {
            assert_eq!(health(&Answer::Nothing { why: why.to_owned() }), Health::Failed, "{why}");
        }
    }
}
