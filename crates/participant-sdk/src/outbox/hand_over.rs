//! What becomes of a message after what the coordinator said of it.

use std::time::Duration;

use tercet_wire::{Backoff, Status};

use super::state::OutboxState;

/// The most of a reason that is kept, in characters.
const REASON_CHARS: usize = 1_000;

/// Between attempts with one message that alone is in trouble.
const ODD_PAUSE: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// Between attempts while the coordinator is away: as long as it may take to notice that it is back.
const AWAY_PAUSE: Backoff =
    Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(5) };
/// Between questions how a message stands that was handed over.
const FOLLOW_PAUSE: Backoff =
    Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };

/// Why one is dead that the coordinator had.
const FORGOTTEN: &str = "the coordinator does not know it any more: it ended long ago, or its database is not the \
                         one that had it";

/// What a coordinator says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It has it.
    Has(Status),
    /// It will never take it.
    Refused(String),
    /// It knows nothing of it.
    Unknown,
    /// Something is wrong with this one alone, as far as can be told.
    Odd(String),
    /// It cannot be asked now, whoever asks, or takes nothing from us.
    Away {
        /// What went wrong.
        why: String,
        /// The least pause that it asked for.
        asked: Option<Duration>,
    },
}

/// What becomes of a row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Next {
    /// Where it stands from now on.
    pub state: OutboxState,
    /// When it is to be seen to next, in milliseconds from now; nothing for what has ended.
    pub due_in_ms: i64,
    /// What becomes of the count of attempts.
    pub attempts: Attempts,
    /// What went wrong, if anything did.
    pub reason: Option<String>,
}

/// What becomes of the count of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attempts {
    /// The next step counts anew.
    Anew,
    /// This one counts.
    Counted,
    /// It was not tried after all.
    NotThisOne,
}

/// What becomes of a row in `from` whose `attempts`-th attempt was told this.
#[must_use]
pub fn next(from: OutboxState, attempts: u32, told: Told, entropy: u64) -> Next {
    let later = |pause: Duration, reason| Next {
        state: from,
        due_in_ms: whole_millis(pause),
        attempts: Attempts::Counted,
        reason,
    };
    match told {
        Told::Has(Status::Confirmed) => ended(OutboxState::Confirmed, None),
        Told::Has(Status::Cancelled) => ended(OutboxState::Cancelled, None),
        Told::Has(Status::Trying | Status::Confirming | Status::Cancelling) => match from {
            OutboxState::Sent => later(at_least_half(FOLLOW_PAUSE, attempts, entropy), None),
            _ => Next {
                state: OutboxState::Sent,
                due_in_ms: whole_millis(FOLLOW_PAUSE.first),
                attempts: Attempts::Anew,
                reason: None,
            },
        },
        Told::Refused(why) => ended(OutboxState::Dead, Some(why)),
        Told::Unknown => match from {
            // To begin it anew may do twice what it did once: the participants' guards forget as well.
            OutboxState::Sent => ended(OutboxState::Dead, Some(FORGOTTEN.to_owned())),
            _ => later(at_least_half(ODD_PAUSE, attempts, entropy), cut("not found")),
        },
        Told::Odd(why) => later(at_least_half(ODD_PAUSE, attempts, entropy), cut(&why)),
        Told::Away { why, .. } => later(at_least_half(AWAY_PAUSE, attempts, entropy), cut(&why)),
    }
}

/// A row that was claimed and not tried.
#[must_use]
pub fn given_back(from: OutboxState) -> Next {
    Next { state: from, due_in_ms: 0, attempts: Attempts::NotThisOne, reason: None }
}

/// How long a relay waits after so many rounds in a row in which the coordinator was away.
#[must_use]
pub fn pause_while_away(rounds: u32, asked: Option<Duration>, entropy: u64) -> Duration {
    let asked = asked.map(|asked| asked.min(AWAY_PAUSE.cap));
    at_least_half(AWAY_PAUSE, rounds, entropy).max(asked.unwrap_or_default())
}

fn ended(state: OutboxState, reason: Option<String>) -> Next {
    let reason = reason.as_deref().and_then(cut);
    Next { state, due_in_ms: 0, attempts: Attempts::Counted, reason }
}

/// Rows that fell due together are not to come back together, nor at once.
fn at_least_half(backoff: Backoff, attempts: u32, entropy: u64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let least = backoff.first.saturating_mul(1 << doublings).min(backoff.cap) / 2;
    least + backoff.pause(attempts, entropy, None) / 2
}

fn whole_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// At most what is kept of a reason; U+0000 is in no text of PostgreSQL.
fn cut(why: &str) -> Option<String> {
    Some(why.replace('\0', "\u{fffd}").chars().take(REASON_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutboxState::{Cancelled, Confirmed, Dead, Pending, Sent};

    #[test]
    fn every_answer_leads_to_one_state() {
        let away = || Told::Away { why: "away".to_owned(), asked: None };
        let table = [
            (Pending, Told::Has(Status::Confirming), Sent),
            (Pending, Told::Has(Status::Trying), Sent),
            (Pending, Told::Has(Status::Confirmed), Confirmed),
            (Pending, Told::Has(Status::Cancelled), Cancelled),
            (Pending, Told::Refused("no".to_owned()), Dead),
            (Pending, Told::Unknown, Pending),
            (Pending, Told::Odd("odd".to_owned()), Pending),
            (Pending, away(), Pending),
            (Sent, Told::Has(Status::Confirming), Sent),
            (Sent, Told::Has(Status::Confirmed), Confirmed),
            (Sent, Told::Has(Status::Cancelled), Cancelled),
            (Sent, Told::Unknown, Dead),
            (Sent, Told::Odd("odd".to_owned()), Sent),
            (Sent, away(), Sent),
        ];
        for (from, told, expected) in table {
            assert_eq!(next(from, 1, told.clone(), 7).state, expected, "{from} {told:?}");
        }
    }

    /// Keeps P9.
    #[test]
    fn pauses_grow_and_have_a_bound() {
        for (told, most) in [
            (Told::Odd(String::new()), 60_000),
            (Told::Away { why: String::new(), asked: None }, 5_000),
        ] {
            let pause =
                |attempts, entropy| next(Pending, attempts, told.clone(), entropy).due_in_ms;
            assert!(pause(1, 0) < pause(4, 0), "{told:?}");
            for attempts in [1, 2, 30, u32::MAX] {
                assert!((0..=most).contains(&pause(attempts, u64::MAX)), "{told:?} {attempts}");
                assert!(pause(attempts, 0) > 0, "{told:?} {attempts}");
            }
        }
        let asked = Some(Duration::from_secs(3_600));
        assert!(pause_while_away(1, asked, 0) <= AWAY_PAUSE.cap);
    }

    #[test]
    fn a_reason_can_be_stored_anywhere() {
        let next = next(Pending, 1, Told::Refused(format!("a\0{}", "é".repeat(2_000))), 0);
        let reason = next.reason.expect("a reason");
        assert!(reason.starts_with("a\u{fffd}é") && reason.chars().count() == REASON_CHARS);
    }
}
