//! Which connection a call goes by: one that is kept from an earlier call, or a fresh one.
//!
//! A kept connection may be dead without anybody having been told: a server that was replaced, an
//! address that moved, a firewall that forgot it. So what a call meets speaks about its siblings
//! too: who has been silent or has gone makes those suspect that have not answered since.
//!
//! ```text
//!  take ──▶ (a call) ──▶ whole answer ─────────▶ keep
//!    ▲                ├─▶ 502, 503, 504 ───────▶ closed
//!    │                ├─▶ lost before a byte ──▶ sent again at once on a fresh one
//!    │                └─▶ lost, silent ────────▶ the siblings are suspect
//!    └── not those that are suspect, nor any after the breaker has opened
//! ```
//!
//! Time is an argument, so that the dispatcher and a simulation run the same code; what a
//! connection is, is theirs.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tercet_wire::Mono;

/// For so long after a connection was lost or silent, attempts after the first go by a fresh one.
pub const FRESH_AFTER_TROUBLE: Duration = Duration::from_secs(60);

/// Origins whose troubles are remembered. Beyond it they are noted only where connections are
/// kept, whose number is bounded by the calls that were under way.
const TROUBLED: usize = 4_096;

/// Connections that are kept, by scheme, host and port.
#[derive(Debug)]
pub struct KeptConnections<C> {
    kept_for: Duration,
    origins: BTreeMap<Box<str>, Origin<C>>,
}

#[derive(Debug)]
struct Origin<C> {
    /// The one kept last is at the end.
    idle: VecDeque<Idle<C>>,
    /// The latest that a connection was lost or silent.
    trouble: Option<Trouble>,
}

#[derive(Debug, Clone, Copy)]
struct Trouble {
    at: Mono,
    /// A connection that has not answered since then may be as dead.
    suspect_until: Mono,
}

#[derive(Debug)]
struct Idle<C> {
    connection: C,
    since: Mono,
}

/// What became of a connection that a call went by, other than that it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoAnswer {
    /// It is gone.
    Lost,
    /// Nothing came on it.
    Silent {
        /// When the call was sent.
        since: Mono,
    },
}

/// Whether a call whose connection is gone is sent again at once, on a fresh one, without it
/// being an attempt: its server had closed a connection that was `kept`, and has not said a byte,
/// so that it cannot have been the call that broke it. Source: RFC 9110, 9.2.2; calls are
/// idempotent by contract.
#[must_use]
pub fn is_sent_again(kept: bool, heard: bool) -> bool {
    kept && !heard
}

/// Whether a connection is kept after this status: proxies say 502, 503 and 504 of a server that
/// is not there, and may say it again where another connection finds one that is.
#[must_use]
pub fn is_kept_after(status: u16) -> bool {
    !matches!(status, 502..=504)
}

impl<C> KeptConnections<C> {
    /// Keeps connections for so long.
    #[must_use]
    pub fn new(kept_for: Duration) -> Self {
        Self { kept_for, origins: BTreeMap::new() }
    }

    /// Takes the connection that was kept last of those that are `at_hand`, else of all, if it may be used; those
    /// before it that may not go to `over`.
    pub fn take(
        &mut self,
        origin: &str,
        now: Mono,
        at_hand: impl Fn(&C) -> bool,
        over: &mut Vec<C>,
    ) -> Option<C> {
        let Origin { idle, trouble } = self.origins.get_mut(origin)?;
        let is_it = |it: &Idle<C>| {
            at_hand(&it.connection) && is_good(it.since, self.kept_for, *trouble, now)
        };
        if let Some(place) = idle.iter().rposition(is_it) {
            return idle.remove(place).map(|it| it.connection);
        }
        while let Some(Idle { connection, since }) = idle.pop_back() {
            if is_good(since, self.kept_for, *trouble, now) {
                return Some(connection);
            }
            over.push(connection);
        }
        None
    }

    /// Keeps a connection that was answered on. Gives it back where none is kept.
    #[must_use]
    pub fn keep(&mut self, origin: &str, connection: C, now: Mono) -> Option<C> {
        if self.kept_for.is_zero() {
            return Some(connection);
        }
        let idle = Idle { connection, since: now };
        match self.origins.get_mut(origin) {
            Some(known) => known.idle.push_back(idle),
            None => {
                let known = Origin { idle: VecDeque::from([idle]), trouble: None };
                self.origins.insert(Box::from(origin), known);
            }
        }
        None
    }

    /// A call was not answered on its connection.
    pub fn troubled(&mut self, origin: &str, how: NoAnswer, now: Mono) {
        let suspect_until = match how {
            NoAnswer::Lost => now,
            NoAnswer::Silent { since } => since,
        };
        if !self.origins.contains_key(origin) {
            if self.origins.len() >= TROUBLED {
                return;
            }
            let unknown = Origin { idle: VecDeque::new(), trouble: None };
            self.origins.insert(Box::from(origin), unknown);
        }
        if let Some(Origin { trouble, .. }) = self.origins.get_mut(origin) {
            let before = trouble.map_or(suspect_until, |trouble| trouble.suspect_until);
            *trouble = Some(Trouble { at: now, suspect_until: before.max(suspect_until) });
        }
    }

    /// Whether this attempt goes by a fresh connection, whatever is kept: the one before may
    /// have met a dead one, and another of the kind would use up this one as well.
    #[must_use]
    pub fn wants_fresh(&self, origin: &str, attempt: u32, now: Mono) -> bool {
        let trouble = || self.origins.get(origin).and_then(|known| known.trouble);
        attempt > 1 && trouble().is_some_and(|trouble| now.since(trouble.at) < FRESH_AFTER_TROUBLE)
    }

    /// Gives up all that are kept of an origin: its breaker has opened.
    #[must_use]
    pub fn forget(&mut self, origin: &str) -> Vec<C> {
        let idle = self.origins.get_mut(origin).map(|known| std::mem::take(&mut known.idle));
        idle.unwrap_or_default().into_iter().map(|idle| idle.connection).collect()
    }

    /// Gives up all that are kept.
    #[must_use]
    pub fn forget_all(&mut self) -> Vec<C> {
        let all = self.origins.values_mut().flat_map(|known| std::mem::take(&mut known.idle));
        all.map(|idle| idle.connection).collect()
    }

    /// Gives up what was kept for long enough, what is suspect, and what is not `alive`.
    #[must_use]
    pub fn tidy(&mut self, now: Mono, mut alive: impl FnMut(&mut C) -> bool) -> Vec<C> {
        let mut over = Vec::new();
        let kept_for = self.kept_for;
        self.origins.retain(|_, Origin { idle, trouble }| {
            for mut one in std::mem::take(idle) {
                if is_good(one.since, kept_for, *trouble, now) && alive(&mut one.connection) {
                    idle.push_back(one);
                } else {
                    over.push(one.connection);
                }
            }
            *trouble = trouble.filter(|trouble| now.since(trouble.at) < FRESH_AFTER_TROUBLE);
            !idle.is_empty() || trouble.is_some()
        });
        over
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.origins.values().map(|known| known.idle.len()).sum()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn is_good(since: Mono, kept_for: Duration, trouble: Option<Trouble>, now: Mono) -> bool {
    let suspect = trouble.is_some_and(|trouble| since <= trouble.suspect_until);
    now.since(since) < kept_for && !suspect
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAY: &str = "http://pay:80";
    const STOCK: &str = "http://stock:80";

    fn kept(connections: &[(&str, u32, u64)]) -> KeptConnections<u32> {
        let mut all = KeptConnections::new(Duration::from_secs(4));
        for (origin, number, at) in connections {
            assert_eq!(all.keep(origin, *number, Mono(*at)), None);
        }
        all
    }

    fn take(all: &mut KeptConnections<u32>, origin: &str, at: u64) -> (Option<u32>, Vec<u32>) {
        let mut over = Vec::new();
        let taken = all.take(origin, Mono(at), |_| true, &mut over);
        (taken, over)
    }

    #[test]
    fn one_at_hand_goes_before_one_that_was_kept_later() {
        let mut all = kept(&[(PAY, 1, 0), (PAY, 2, 1), (PAY, 3, 2)]);
        let mut at_hand = |number: u32, at| {
            let mut over = Vec::new();
            let taken = all.take(PAY, Mono(at), |it| *it == number, &mut over);
            (taken, over)
        };
        assert_eq!(at_hand(1, 3), (Some(1), vec![]));
        // None is, and any is better than a fresh one.
        assert_eq!(at_hand(1, 3), (Some(3), vec![]));
        // Kept for long enough.
        assert_eq!(at_hand(2, 4_001), (None, vec![2]));
    }

    #[test]
    fn the_one_kept_last_is_taken_for_as_long_as_it_is_kept() {
        let mut all = kept(&[(PAY, 1, 0), (PAY, 2, 100), (STOCK, 3, 100)]);
        assert_eq!(take(&mut all, PAY, 4_099), (Some(2), vec![]));
        assert_eq!(take(&mut all, PAY, 4_099), (None, vec![1]));
        assert_eq!(take(&mut all, STOCK, 4_100), (None, vec![3]));
        let mut none = KeptConnections::new(Duration::ZERO);
        assert_eq!(none.keep(PAY, 1, Mono(0)), Some(1));
    }

    /// Keeps P6.
    #[test]
    fn what_has_not_answered_since_a_call_was_silent_is_not_used() {
        let mut all = kept(&[(PAY, 1, 100), (PAY, 2, 1_500), (STOCK, 3, 100)]);
        all.troubled(PAY, NoAnswer::Silent { since: Mono(1_000) }, Mono(2_000));
        assert_eq!(take(&mut all, PAY, 2_000), (Some(2), vec![]), "it has answered since");
        assert_eq!(take(&mut all, PAY, 2_000), (None, vec![1]));
        assert_eq!(take(&mut all, STOCK, 2_000), (Some(3), vec![]), "another's trouble");
        all = kept(&[(PAY, 1, 100), (PAY, 2, 1_500)]);
        all.troubled(PAY, NoAnswer::Lost, Mono(2_000));
        assert_eq!(take(&mut all, PAY, 2_000), (None, vec![2, 1]), "before it was lost");
        assert_eq!(all.keep(PAY, 4, Mono(2_001)), None);
        assert_eq!(take(&mut all, PAY, 2_002), (Some(4), vec![]));
        // The later of two troubles says what is suspect, whichever is heard of last.
        all = kept(&[(PAY, 1, 1_500)]);
        all.troubled(PAY, NoAnswer::Lost, Mono(2_000));
        all.troubled(PAY, NoAnswer::Silent { since: Mono(1_000) }, Mono(2_100));
        assert_eq!(take(&mut all, PAY, 2_100), (None, vec![1]));
    }

    /// Keeps P6.
    #[test]
    fn an_attempt_after_a_troubled_one_goes_by_a_fresh_connection() {
        let mut all = kept(&[(PAY, 1, 100)]);
        assert!(!all.wants_fresh(PAY, 2, Mono(100)), "nothing was wrong with it");
        all.troubled(PAY, NoAnswer::Lost, Mono(1_000));
        assert!(!all.wants_fresh(PAY, 1, Mono(1_000)), "a first attempt");
        assert!(all.wants_fresh(PAY, 2, Mono(1_000)));
        assert!(!all.wants_fresh(STOCK, 2, Mono(1_000)));
        assert!(all.wants_fresh(PAY, 9, Mono(60_999)));
        assert!(!all.wants_fresh(PAY, 9, Mono(61_000)), "long ago");
    }

    #[test]
    fn only_a_kept_connection_that_said_nothing_is_forgiven() {
        assert!(is_sent_again(true, false));
        assert!(!is_sent_again(true, true) && !is_sent_again(false, false));
        assert!(!is_sent_again(false, true));
        let closed: Vec<u16> = (100..1_000).filter(|status| !is_kept_after(*status)).collect();
        assert_eq!(closed, [502, 503, 504]);
    }

    /// Keeps P9.
    #[test]
    fn what_is_over_is_given_up_and_troubles_are_bounded() {
        let mut all = kept(&[(PAY, 1, 0), (PAY, 2, 3_000), (PAY, 3, 3_000), (STOCK, 4, 3_000)]);
        assert_eq!(all.tidy(Mono(4_000), |number| *number != 3), [1, 3]);
        assert_eq!(all.forget(PAY), [2]);
        assert_eq!(all.forget("http://nobody:80"), Vec::<u32>::new());
        assert_eq!((all.len(), all.forget_all(), all.is_empty()), (1, vec![4], true));
        for n in 0..TROUBLED * 2 {
            all.troubled(&format!("http://h{n}"), NoAnswer::Lost, Mono(5_000));
        }
        assert_eq!(all.origins.len(), TROUBLED);
        assert_eq!(all.tidy(Mono(65_000), |_| true), Vec::<u32>::new());
        assert!(all.origins.is_empty(), "nobody asks any more");
    }
}
