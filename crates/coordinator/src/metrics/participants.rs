//! Counts calls, by participant. Whoever begins a transaction names its participants,
//! so their number is not ours to choose: the first hundred get a label of their own,
//! all others share one.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tercet_wire::{Answer, CallOp, FailureKind, PerOp, Verdict, check_verdict, metric, verdict};

/// How many participants have a label of their own.
const MAX_PARTICIPANTS: usize = 100;
/// The label of the rest.
const OTHER: &str = "other";

/// What a call came to, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// The participant has done it.
    Done,
    /// A Try was refused, or an initiator says that nothing came of it.
    Refused,
    /// The participant is at it.
    InProgress,
    /// An answer that time may mend: an overload, a fault of the participant's.
    TransientError,
    /// An answer that cannot become right by itself.
    PermanentError,
    /// The reservation is gone.
    ReservationLost,
    /// No answer.
    Unanswered,
}

impl CallResult {
    /// Every one, in their order.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Refused,
        Self::InProgress,
        Self::TransientError,
        Self::PermanentError,
        Self::ReservationLost,
        Self::Unanswered,
    ];

    /// What an answer comes to.
    #[must_use]
    pub fn of(op: CallOp, answer: &Answer) -> Self {
        let verdict = match op {
            CallOp::Leg(op) => verdict(op, answer),
            CallOp::Check => check_verdict(answer),
        };
        match (verdict, answer) {
            (Verdict::Done, _) => Self::Done,
            (Verdict::Refused, _) => Self::Refused,
            (Verdict::InProgress(_), _) => Self::InProgress,
            (Verdict::Again { .. }, Answer::Nothing { .. }) => Self::Unanswered,
            (
                Verdict::Again { failure, .. },
                Answer::Status { .. }
                | Answer::Result { .. }
                | Answer::ResultTooLarge { .. }
                | Answer::NotAllowed { .. },
            ) => match failure {
                FailureKind::Transient => Self::TransientError,
                FailureKind::Permanent | FailureKind::NotAllowed => Self::PermanentError,
                FailureKind::ReservationLost => Self::ReservationLost,
            },
        }
    }

    /// Whether the call did not come to what it was made for and is made again. A Try that was
    /// refused is answered.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Done | Self::Refused | Self::InProgress => false,
            Self::TransientError
            | Self::PermanentError
            | Self::ReservationLost
            | Self::Unanswered => true,
        }
    }

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::InProgress => "in_progress",
            Self::TransientError => "transient_error",
            Self::PermanentError => "permanent_error",
            Self::ReservationLost => "reservation_lost",
            Self::Unanswered => "unanswered",
        }
    }
}

/// The participants that are counted by name.
#[derive(Debug)]
pub struct Participants {
    named: Mutex<HashMap<Box<str>, Arc<ParticipantMetrics>>>,
    other: Arc<ParticipantMetrics>,
}

impl Default for Participants {
    fn default() -> Self {
        Self { named: Mutex::default(), other: Arc::new(ParticipantMetrics::new(OTHER)) }
    }
}

impl Participants {
    /// The metrics of a participant, given as `host:port`. Keep what is returned
    /// rather than asking for every call.
    #[must_use]
    pub fn of(&self, host_port: &str) -> Arc<ParticipantMetrics> {
        // Nothing in here panics half-way, so a poisoned map is a whole one.
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.get(host_port) {
            return Arc::clone(known);
        }
        if named.len() >= MAX_PARTICIPANTS {
            return Arc::clone(&self.other);
        }
        let metrics = Arc::new(ParticipantMetrics::new(host_port));
        named.insert(Box::from(host_port), Arc::clone(&metrics));
        metrics
    }
}

/// What is counted by the call it belongs to.
#[derive(Default)]
struct PerCall<T> {
    legs: PerOp<T>,
    check: T,
}

impl<T> PerCall<T> {
    fn get(&self, op: CallOp) -> &T {
        match op {
            CallOp::Leg(op) => self.legs.get(op),
            CallOp::Check => &self.check,
        }
    }
}

/// The metrics of one participant. Each is registered when it first has something to
/// say: most participants never answer in most ways.
pub struct ParticipantMetrics {
    label: Arc<str>,
    waiting: OnceLock<Gauge>,
    open_breakers: OnceLock<Gauge>,
    paused: OnceLock<Gauge>,
    calls: PerCall<[OnceLock<Counter>; CallResult::ALL.len()]>,
    durations: PerCall<OnceLock<Histogram>>,
}

impl ParticipantMetrics {
    fn new(label: &str) -> Self {
        Self {
            label: Arc::from(label),
            waiting: OnceLock::new(),
            open_breakers: OnceLock::new(),
            paused: OnceLock::new(),
            calls: PerCall::default(),
            durations: PerCall::default(),
        }
    }

    /// The participant, or `other`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A call has ended.
    pub fn ended(&self, op: CallOp, result: CallResult, took: Duration) {
        let calls = self.calls.get(op)[result as usize].get_or_init(|| {
            counter!(
                metric::BRANCH_CALLS,
                "participant" => Arc::clone(&self.label),
                "op" => op.as_str(),
                "result" => result.as_str()
            )
        });
        calls.increment(1);
        let durations = self.durations.get(op).get_or_init(|| {
            histogram!(
                metric::BRANCH_CALL_DURATION,
                "participant" => Arc::clone(&self.label),
                "op" => op.as_str()
            )
        });
        durations.record(took);
        // Shown from the first call on, also if none ever waits or fails.
        self.waiting();
        self.open_breakers();
    }

    /// So many calls waited for their turn at one destination, and now so many do.
    pub fn waiting_changed(&self, before: usize, now: usize) {
        match now.cmp(&before) {
            Ordering::Less => self.waiting().decrement((before - now) as f64),
            Ordering::Equal => {}
            Ordering::Greater => self.waiting().increment((now - before) as f64),
        }
    }

    /// One of the participant's destinations does not answer.
    pub fn breaker_opened(&self) {
        self.open_breakers().increment(1.0);
    }

    /// It answers again, or is not called any more.
    pub fn breaker_closed(&self) {
        self.open_breakers().decrement(1.0);
    }

    /// An operator has paused it, as this node has heard.
    pub fn paused(&self) {
        self.is_paused().increment(1.0);
    }

    /// It is called again.
    pub fn resumed(&self) {
        self.is_paused().decrement(1.0);
    }

    fn waiting(&self) -> &Gauge {
        self.waiting.get_or_init(
            || gauge!(metric::PARTICIPANT_QUEUE, "participant" => Arc::clone(&self.label)),
        )
    }

    fn open_breakers(&self) -> &Gauge {
        self.open_breakers.get_or_init(
            || gauge!(metric::PARTICIPANT_BREAKER_OPEN, "participant" => Arc::clone(&self.label)),
        )
    }

    fn is_paused(&self) -> &Gauge {
        self.paused.get_or_init(
            || gauge!(metric::PARTICIPANT_PAUSED, "participant" => Arc::clone(&self.label)),
        )
    }
}

impl fmt::Debug for ParticipantMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParticipantMetrics").field("label", &self.label).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::Op;

    use super::*;

    /// Keeps P9.
    #[test]
    fn the_hundred_and_first_participant_shares_a_label() {
        let participants = Participants::default();
        for n in 0..MAX_PARTICIPANTS {
            let host = format!("h{n}:80");
            assert_eq!(participants.of(&host).label(), host);
        }
        assert_eq!(participants.of("one-more:80").label(), "other");
        assert_eq!(participants.of("another:80").label(), "other");
        assert_eq!(participants.of("h0:80").label(), "h0:80");
    }

    #[test]
    fn a_check_is_counted_by_itself() {
        let of = |code| {
            let answer = Answer::Status { code, retry_after: None, excerpt: String::new() };
            CallResult::of(CallOp::Check, &answer).as_str()
        };
        assert_eq!(
            [200, 404, 202, 403, 500].map(of),
            ["done", "refused", "in_progress", "permanent_error", "transient_error"]
        );
    }

    #[test]
    fn a_result_says_what_the_answer_means() {
        let status = |code| Answer::Status { code, retry_after: None, excerpt: String::new() };
        let table = [
            (Op::Try, status(204), "done"),
            (Op::Try, status(409), "refused"),
            (Op::Try, status(202), "in_progress"),
            (Op::Confirm, status(500), "transient_error"),
            (Op::Confirm, status(404), "permanent_error"),
            (Op::Confirm, status(410), "reservation_lost"),
            (Op::Cancel, status(410), "done"),
            (Op::Cancel, Answer::Nothing { why: "timeout".to_owned() }, "unanswered"),
            (Op::Try, Answer::NotAllowed { why: String::new() }, "refused"),
            (Op::Cancel, Answer::NotAllowed { why: String::new() }, "permanent_error"),
        ];
        for (op, answer, expected) in table {
            let found = CallResult::of(op.into(), &answer).as_str();
            assert_eq!(found, expected, "{op} {answer:?}");
        }
        for (index, result) in CallResult::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, index, "the array of counters goes by it");
        }
    }
}
