//! How calls to each participant went lately: counts per ten seconds of the last quarter of an hour, for
//! the small lines of the console. In memory alone, and of this node.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::ParticipantHealth;
use tercet_wire::{BreakerState, Mono, Now, Wall};

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What one count is of.
const SLOT: Duration = Duration::from_secs(10);
/// Counts that are kept.
const SLOTS: usize = 90;
/// Participants that are looked at; the first by name, where there are more.
const PARTICIPANTS: usize = 500;

/// What was called and what failed within one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallCount {
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that are made again.
    pub failures: u64,
}

/// How it went with one participant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recent {
    /// Oldest first, the last one under way.
    pub slots: Vec<CallCount>,
    /// Since when it does not answer, or answers mostly in a way that is no success.
    pub unwell_since: Option<Wall>,
    /// Whether what failed last was mostly not answered at all.
    pub is_silent: bool,
}

/// Of all of them. Cheap to clone; all clones are of the same.
#[derive(Debug, Clone, Default)]
pub struct RecentCalls(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    participants: BTreeMap<String, OfOne>,
    /// When the slot under way began.
    began: Option<Mono>,
}

#[derive(Debug, Default)]
struct OfOne {
    slots: VecDeque<CallCount>,
    /// What was counted in all when it was looked at last.
    last: CallCount,
    /// Of those the ones without an answer.
    last_unanswered: u64,
    unwell_since: Option<Wall>,
    /// When its breaker opened, if it was not closed when it was looked at last.
    open_since: Option<Mono>,
    is_silent: bool,
}

impl RecentCalls {
    /// Looks again and again, for as long as it is driven.
    pub async fn keep(
        self,
        participants: impl Fn() -> Vec<ParticipantHealth> + Send,
        clock: Arc<dyn Clock>,
    ) {
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            self.look(&participants(), clock.now());
        }
    }

    /// How it went with this one; nothing is known of one that was not called for long.
    #[must_use]
    pub fn of(&self, participant: &str) -> Recent {
        let kept = self.kept();
        let Some(of_one) = kept.participants.get(participant) else { return Recent::default() };
        let slots = of_one.slots.iter().copied().collect();
        let OfOne { unwell_since, is_silent, .. } = *of_one;
        Recent { slots, unwell_since, is_silent }
    }

    fn look(&self, all: &[ParticipantHealth], now: Now) {
        let mut kept = self.kept();
        let passed = kept.began.map(|began| now.mono.since(began));
        let turns = match passed {
            None => 1,
            Some(passed) => passed.as_secs() / SLOT.as_secs(),
        };
        // A process that stood still for long has nothing to tell of that time.
        let turns = usize::try_from(turns).unwrap_or(SLOTS).min(SLOTS);
        if turns > 0 {
            kept.began = Some(now.mono);
        }
        kept.participants.retain(|name, _| all.iter().any(|health| health.participant == *name));
        for health in all.iter().take(PARTICIPANTS) {
            let is_new = !kept.participants.contains_key(&health.participant);
            let of_one = kept.participants.entry(health.participant.clone()).or_default();
            for _ in 0..turns {
                of_one.slots.push_back(CallCount::default());
            }
            of_one.add(health, is_new, now);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here panics half-way, so a poisoned one is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfOne {
    fn add(&mut self, health: &ParticipantHealth, is_new: bool, now: Now) {
        let total = CallCount { calls: health.calls, failures: health.failures };
        // Counts go back where a participant was forgotten and begins anew.
        let since = CallCount {
            calls: total.calls.checked_sub(self.last.calls).unwrap_or(total.calls),
            failures: total.failures.checked_sub(self.last.failures).unwrap_or(total.failures),
        };
        self.last = total;
        let unanswered = health.answers.unanswered;
        let newly = unanswered.checked_sub(self.last_unanswered).unwrap_or(unanswered);
        self.last_unanswered = unanswered;
        if since.calls > 0 {
            self.is_silent = newly * 2 > since.failures;
        }
        if self.slots.is_empty() {
            self.slots.push_back(CallCount::default());
        }
        // What was counted before anybody looked is of no slot.
        if !is_new && let Some(slot) = self.slots.back_mut() {
            slot.calls += since.calls;
            slot.failures += since.failures;
        }
        while self.slots.len() > SLOTS {
            self.slots.pop_front();
        }
        let fails = since.failures > 0 && since.failures * 2 >= since.calls;
        let is_unwell = health.breaker == BreakerState::Open || fails;
        let has_closed = self.open_since.is_some() && self.open_since != health.open_since;
        self.open_since = health.open_since;
        let says_nothing = since.calls == 0 && health.breaker != BreakerState::Closed;
        match (is_unwell, self.unwell_since) {
            (true, None) => self.unwell_since = Some(now.wall),
            // It was well between two looks, and is so no more.
            (true, Some(_)) if has_closed && since.calls > since.failures => {
                self.unwell_since = Some(health.open_since.map_or(now.wall, |at| wall_of(at, now)));
            }
            (false, Some(_)) if since.calls > since.failures => self.unwell_since = None,
            (false, Some(_)) if !says_nothing && since.calls == 0 && health.waiting == 0 => {
                // Nobody calls it any more, and nobody waits for it.
                if self.slots.iter().rev().take(6).all(|slot| slot.calls == 0) {
                    self.unwell_since = None;
                }
            }
            (true, Some(_)) | (false, _) => {}
        }
    }
}

/// What people call a moment that has passed.
fn wall_of(at: Mono, now: Now) -> Wall {
    let ago = i64::try_from(now.mono.since(at).as_millis()).unwrap_or(i64::MAX);
    Wall(now.wall.0.saturating_sub(ago))
}

#[cfg(test)]
mod tests {
    use tercet_wire::AnswersView;

    use super::*;

    fn health(calls: u64, failures: u64, breaker: BreakerState) -> ParticipantHealth {
        ParticipantHealth {
            participant: "pay:80".to_owned(),
            in_flight: 0,
            waiting: 0,
            breaker,
            open_since: None,
            calls,
            failures,
            answers: AnswersView::default(),
        }
    }

    fn at(seconds: u64) -> Now {
        let mono = Mono::default().after(Duration::from_secs(seconds));
        Now { mono, wall: Wall(i64::try_from(seconds).expect("small") * 1_000), entropy: 0 }
    }

    fn counts(recent: &RecentCalls) -> Vec<(u64, u64)> {
        recent.of("pay:80").slots.iter().map(|slot| (slot.calls, slot.failures)).collect()
    }

    #[test]
    fn calls_are_counted_by_ten_seconds() {
        let recent = RecentCalls::default();
        for (seconds, calls, failures) in
            [(0, 7, 0), (2, 10, 0), (9, 12, 1), (10, 20, 1), (31, 21, 2)]
        {
            recent.look(&[health(calls, failures, BreakerState::Closed)], at(seconds));
        }
        // What was called before the first look is of no slot, and between two looks slots can pass.
        assert_eq!(counts(&recent), [(5, 1), (8, 0), (0, 0), (1, 1)]);
    }

    #[test]
    fn who_answers_with_failures_is_told_from_who_does_not_answer() {
        let recent = RecentCalls::default();
        for (seconds, calls, unanswered, expected) in [
            (0, 10, 0, false),
            (2, 12, 2, true),
            (4, 12, 2, true),
            (6, 16, 3, false),
            (8, 17, 4, true),
        ] {
            let answers = AnswersView { unanswered, ..AnswersView::default() };
            let health =
                ParticipantHealth { answers, ..health(calls, calls, BreakerState::Closed) };
            recent.look(&[health], at(seconds));
            assert_eq!(recent.of("pay:80").is_silent, expected, "at {seconds} s");
        }
    }

    /// Keeps P9.
    #[test]
    fn counts_are_kept_for_a_quarter_of_an_hour() {
        let recent = RecentCalls::default();
        for turn in 0..1_000 {
            recent.look(&[health(turn, 0, BreakerState::Closed)], at(turn * 10));
        }
        assert_eq!(counts(&recent).len(), SLOTS);
        recent.look(&[], at(10_001));
        assert_eq!(recent.of("pay:80"), Recent::default(), "it was forgotten");
    }

    #[test]
    fn counts_that_begin_anew_are_taken_as_they_are() {
        let recent = RecentCalls::default();
        for (seconds, calls) in [(0, 100), (2, 105), (4, 3)] {
            recent.look(&[health(calls, 0, BreakerState::Closed)], at(seconds));
        }
        assert_eq!(counts(&recent), [(8, 0)]);
    }

    #[test]
    fn a_participant_is_unwell_from_its_first_failures_to_its_first_success() {
        let recent = RecentCalls::default();
        let look = |seconds, calls, failures, breaker| {
            recent.look(&[health(calls, failures, breaker)], at(seconds));
            recent.of("pay:80").unwell_since.map(|since| since.0 / 1_000)
        };
        let (open, closed) = (BreakerState::Open, BreakerState::Closed);
        assert_eq!(look(0, 10, 0, closed), None);
        assert_eq!(look(2, 14, 1, closed), None, "one in four is not most of them");
        assert_eq!(look(4, 18, 5, closed), Some(4));
        assert_eq!(look(6, 18, 5, open), Some(4));
        assert_eq!(look(8, 18, 5, BreakerState::HalfOpen), Some(4));
        assert_eq!(look(10, 19, 5, closed), None);
        assert_eq!(look(12, 19, 5, open), Some(12));
    }

    #[test]
    fn a_recovery_between_two_looks_ends_what_was_before() {
        let recent = RecentCalls::default();
        let look = |seconds, calls, failures, opened: Option<u64>| {
            let breaker = match opened {
                Some(_) => BreakerState::Open,
                None => BreakerState::Closed,
            };
            let open_since = opened.map(|seconds| at(seconds).mono);
            let health = ParticipantHealth { open_since, ..health(calls, failures, breaker) };
            recent.look(&[health], at(seconds));
            recent.of("pay:80").unwell_since.map(|since| since.0 / 1_000)
        };
        assert_eq!(look(0, 10, 0, None), None);
        assert_eq!(look(4, 16, 6, Some(3)), Some(4));
        assert_eq!(look(6, 18, 8, Some(3)), Some(4), "it is the same time");
        assert_eq!(look(10, 40, 20, Some(9)), Some(9), "it has answered, and opened anew");
        assert_eq!(look(12, 60, 38, None), Some(12), "it has answered, and fails again");
        assert_eq!(look(14, 65, 43, Some(13)), Some(12));
        // Other failures than silence close a breaker too.
        assert_eq!(look(16, 70, 48, None), Some(12));
    }
}
