//! What a participant's answer means: the README's table of answers, and nothing else.

use std::time::Duration;

use crate::branch_result::BranchResult;
use crate::op::Op;

/// Shortest pause a participant can ask for with `Retry-After`.
pub const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);
/// Longest pause a participant can ask for with `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Pause after an answer "in progress" that asks for none.
pub const IN_PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// What came back from one call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A status line arrived.
    Status {
        /// The HTTP status code.
        code: u16,
        /// `Retry-After`, as sent.
        retry_after: Option<Duration>,
        /// The beginning of the body, for people; it never changes the verdict.
        excerpt: String,
    },
    /// A Try was done, and what it was answered with is kept: its body is part of the answer.
    Result {
        /// The HTTP status code.
        code: u16,
        /// What it was answered with.
        result: BranchResult,
    },
    /// Likewise, and it is more than is kept.
    ResultTooLarge {
        /// The HTTP status code.
        code: u16,
        /// The beginning of the body, for people.
        excerpt: String,
    },
    /// None arrived: no connection, a timeout, a broken answer. The call may have had its effect.
    Nothing {
        /// What happened, for people.
        why: String,
    },
    /// It was not asked: the operator lets nobody call it.
    NotAllowed {
        /// By which setting, for people.
        why: String,
    },
}

/// What `last_error` says of a Try whose result is more than is kept.
const RESULT_TOO_LARGE: &str = "result-too-large";
/// What `last_error` begins with where a participant may not be called.
const NOT_ALLOWED: &str = "participant-not-allowed";

impl Answer {
    /// One line for `last_error` and the history.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Status { code, .. } | Self::Result { code, .. } => format!("answered {code}"),
            Self::ResultTooLarge { .. } => RESULT_TOO_LARGE.to_owned(),
            Self::Nothing { why } => why.clone(),
            Self::NotAllowed { why } => format!("{NOT_ALLOWED}: {why}"),
        }
    }
}

/// What to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The participant has done what it was asked.
    Done,
    /// A Try that will never succeed: the transaction is cancelled.
    Refused,
    /// The participant is at it: ask again after this pause. Uses up no attempt.
    InProgress(Duration),
    /// It failed, or nobody knows: call again.
    Again {
        /// How it failed.
        failure: FailureKind,
        /// The least pause the participant asked for.
        pause: Option<Duration>,
    },
}

/// How a call failed that is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Time may mend it: a timeout, no connection, an overload.
    Transient,
    /// It cannot become right by itself: people should look after three in a row.
    Permanent,
    /// The reservation is gone: people should look at once.
    ReservationLost,
    /// The participant may not be called, and said nothing: people should look at once.
    NotAllowed,
}

/// Reads an answer. Source: README.md, "A participant".
#[must_use]
pub fn verdict(op: Op, answer: &Answer) -> Verdict {
    let (code, retry_after) = match answer {
        Answer::Nothing { .. } => {
            return Verdict::Again { failure: FailureKind::Transient, pause: None };
        }
        Answer::NotAllowed { .. } => {
            return match op {
                Op::Try => Verdict::Refused,
                Op::Confirm | Op::Cancel => {
                    Verdict::Again { failure: FailureKind::NotAllowed, pause: None }
                }
            };
        }
        // What cannot be passed on is nothing to build on.
        Answer::ResultTooLarge { .. } if op == Op::Try => return Verdict::Refused,
        Answer::Status { code, retry_after, .. } => (*code, *retry_after),
        Answer::Result { code, .. } | Answer::ResultTooLarge { code, .. } => (*code, None),
    };
    let asked = retry_after.map(|pause| pause.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX));
    let wrong = match op {
        Op::Try => Verdict::Refused,
        Op::Confirm | Op::Cancel => Verdict::Again { failure: FailureKind::Permanent, pause: None },
    };
    match code {
        202 => Verdict::InProgress(asked.unwrap_or(IN_PROGRESS_PAUSE)),
        200..=299 => Verdict::Done,
        409 => match asked {
            Some(pause) => Verdict::InProgress(pause),
            None => wrong,
        },
        410 => match op {
            Op::Try => Verdict::Refused,
            Op::Confirm => Verdict::Again { failure: FailureKind::ReservationLost, pause: None },
            Op::Cancel => Verdict::Done,
        },
        429 | 503 => Verdict::Again { failure: FailureKind::Transient, pause: asked },
        408 | 425 => Verdict::Again { failure: FailureKind::Transient, pause: None },
        400..=499 => wrong,
        // 1xx, 3xx, 5xx and whatever is no status at all: nobody knows.
        _ => Verdict::Again { failure: FailureKind::Transient, pause: None },
    }
}

/// Reads what an initiator answers when it is asked: `Done` is that it has decided for Confirm,
/// `Refused` that it has not and never will. Source: docs/protocol.md, "The initiator is asked".
#[must_use]
pub fn check_verdict(answer: &Answer) -> Verdict {
    let again = |failure, pause| Verdict::Again { failure, pause };
    let (code, retry_after) = match answer {
        Answer::Nothing { .. } => return again(FailureKind::Transient, None),
        Answer::NotAllowed { .. } => return again(FailureKind::NotAllowed, None),
        Answer::Status { code, retry_after, .. } => (*code, *retry_after),
        // Nothing of what an initiator answers is kept.
        Answer::Result { code, .. } | Answer::ResultTooLarge { code, .. } => (*code, None),
    };
    let asked = retry_after.map(|pause| pause.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX));
    match code {
        202 => Verdict::InProgress(asked.unwrap_or(IN_PROGRESS_PAUSE)),
        200..=299 => Verdict::Done,
        404 | 409 | 410 => Verdict::Refused,
        408 | 425 | 429 => again(FailureKind::Transient, asked),
        400..=499 => again(FailureKind::Permanent, asked),
        // 1xx, 3xx, 5xx and whatever is no status at all: nobody knows.
        _ => again(FailureKind::Transient, asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBT: Verdict = Verdict::Again { failure: FailureKind::Transient, pause: None };
    const WRONG: Verdict = Verdict::Again { failure: FailureKind::Permanent, pause: None };
    const GONE: Verdict = Verdict::Again { failure: FailureKind::ReservationLost, pause: None };

    fn of(op: Op, code: u16, retry_after_ms: Option<u64>) -> Verdict {
        let retry_after = retry_after_ms.map(Duration::from_millis);
        verdict(op, &Answer::Status { code, retry_after, excerpt: String::new() })
    }

    /// Keeps P7.
    #[test]
    fn every_row_of_the_contract() {
        use Verdict::{Done, Refused};
        let progress = Verdict::InProgress(IN_PROGRESS_PAUSE);
        let table: &[(&[u16], [Verdict; 3])] = &[
            (&[200, 201, 203, 204, 205, 206, 207, 226, 299], [Done, Done, Done]),
            (&[202], [progress, progress, progress]),
            (&[409, 400, 401, 403, 404, 405, 415, 418, 422, 451, 499], [Refused, WRONG, WRONG]),
            (&[410], [Refused, GONE, Done]),
            (&[408, 425, 429, 500, 501, 502, 503, 504, 599], [DOUBT, DOUBT, DOUBT]),
            (&[100, 300, 301, 302, 303, 304, 307, 308, 399, 600, 999], [DOUBT, DOUBT, DOUBT]),
        ];
        for (codes, expected) in table {
            for code in *codes {
                for (op, expected) in Op::ALL.into_iter().zip(expected) {
                    assert_eq!(of(op, *code, None), *expected, "{op} answered {code}");
                }
            }
        }
        for op in Op::ALL {
            let nothing = Answer::Nothing { why: "timeout".to_owned() };
            assert_eq!(verdict(op, &nothing), DOUBT);
        }
    }

    /// Keeps P7.
    #[test]
    fn every_row_of_the_contract_of_a_check() {
        let of = |code, retry_after_ms: Option<u64>| {
            let retry_after = retry_after_ms.map(Duration::from_millis);
            check_verdict(&Answer::Status { code, retry_after, excerpt: String::new() })
        };
        let table: &[(&[u16], Verdict)] = &[
            (&[200, 201, 203, 204, 226, 299], Verdict::Done),
            (&[202], Verdict::InProgress(IN_PROGRESS_PAUSE)),
            (&[404, 409, 410], Verdict::Refused),
            (&[400, 401, 403, 405, 415, 422, 499], WRONG),
            (&[100, 301, 307, 399, 408, 425, 429, 500, 502, 503, 599, 600, 999], DOUBT),
        ];
        for (codes, expected) in table {
            for code in *codes {
                assert_eq!(of(*code, None), *expected, "answered {code}");
            }
        }
        // Whoever asks for a pause is given it, whatever else it says; who decides decides at once.
        let again =
            |failure, ms| Verdict::Again { failure, pause: Some(Duration::from_millis(ms)) };
        assert_eq!(of(202, Some(3_000)), Verdict::InProgress(Duration::from_secs(3)));
        assert_eq!(of(500, Some(2_000)), again(FailureKind::Transient, 2_000));
        assert_eq!(of(403, Some(1)), again(FailureKind::Permanent, 100));
        assert_eq!(of(302, Some(86_400_000)), again(FailureKind::Transient, 60_000));
        assert_eq!(of(409, Some(2_000)), Verdict::Refused);
        assert_eq!(check_verdict(&Answer::Nothing { why: "timeout".to_owned() }), DOUBT);
        let nobody = Answer::NotAllowed { why: "leads to nobody".to_owned() };
        let for_good = Verdict::Again { failure: FailureKind::NotAllowed, pause: None };
        assert_eq!(check_verdict(&nobody), for_good);
    }

    #[test]
    fn a_try_whose_result_is_too_large_is_refused() {
        let too_large = Answer::ResultTooLarge { code: 200, excerpt: "x".to_owned() };
        assert_eq!(too_large.summary(), "result-too-large");
        let verdicts = Op::ALL.map(|op| verdict(op, &too_large));
        assert_eq!(verdicts, [Verdict::Refused, Verdict::Done, Verdict::Done]);
        let result = Answer::Result { code: 201, result: BranchResult::of_body(b"FAILURE") };
        assert_eq!(result.summary(), "answered 201");
        assert_eq!(verdict(Op::Try, &result), Verdict::Done);
    }

    #[test]
    fn who_may_not_be_called_refuses_a_try_and_fails_for_good() {
        let answer = Answer::NotAllowed { why: "leads to nobody".to_owned() };
        assert_eq!(answer.summary(), "participant-not-allowed: leads to nobody");
        let for_good = Verdict::Again { failure: FailureKind::NotAllowed, pause: None };
        let verdicts = Op::ALL.map(|op| verdict(op, &answer));
        assert_eq!(verdicts, [Verdict::Refused, for_good, for_good]);
    }

    #[test]
    fn retry_after_is_honoured_within_bounds_where_it_may_be() {
        let again = |ms| Verdict::Again {
            failure: FailureKind::Transient,
            pause: Some(Duration::from_millis(ms)),
        };
        let progress = |ms| Verdict::InProgress(Duration::from_millis(ms));
        for op in Op::ALL {
            assert_eq!(of(op, 202, Some(0)), progress(100));
            assert_eq!(of(op, 202, Some(3_000)), progress(3_000));
            assert_eq!(of(op, 409, Some(86_400_000)), progress(60_000));
            assert_eq!(of(op, 503, Some(2_000)), again(2_000));
            assert_eq!(of(op, 429, Some(1)), again(100));
            assert_eq!(of(op, 500, Some(2_000)), DOUBT);
        }
        assert_eq!(of(Op::Try, 404, Some(2_000)), Verdict::Refused);
    }

    /// Keeps P7.
    #[test]
    fn the_body_never_changes_the_verdict() {
        let excerpt = "FAILURE".to_owned();
        let answer = Answer::Status { code: 200, retry_after: None, excerpt };
        assert_eq!(verdict(Op::Try, &answer), Verdict::Done);
    }
}
