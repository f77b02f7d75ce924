//! When a participant does not answer, people hear of it once, not once for each of the thousands
//! that wait for it; then now and then, while it lasts; and once more when it is over.
//!
//! ```text
//!  its breaker opens ──▶ known ── still open after a while ──▶ told ── 1 min, 5 min, 30 min, 1 h … ─┐
//!  a branch is parked ───────── at once ─────────────────────▶  │ ▲ ──────────── reminders ────────┘
//!                                                               ▼
//!                        every breaker closed, or an answer: over, and told if the rest was
//! ```
//!
//! Pure, so that the daemon and a simulation run the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_wire::{Mono, Now, Wall};

use crate::Parked;
use crate::dispatch::Destination;

/// After so long people are reminded; after the last of these, as often as that once more.
const REMINDERS: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(60 * 60),
];

/// How often at most is looked whether one is paused still.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);

/// Participants of which is remembered that they do not answer; whoever begins transactions
/// chooses them. Of further ones each parked branch is told like any other.
const PARTICIPANTS: usize = 1_000;

/// What is known of participants that do not answer.
#[derive(Debug, Clone)]
pub struct Outages {
    /// How long a breaker is open before people are told.
    unreachable_after: Duration,
    known: BTreeMap<String, Outage>,
    /// When the first of them is due.
    next_due: Option<Mono>,
    /// Nobody calls these, so nobody knows whether they answer.
    paused: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Outage {
    since: Wall,
    /// Its destinations whose breakers are open.
    open: BTreeSet<Destination>,
    /// When people are told, or reminded.
    due: Mono,
    told: Option<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    at: Mono,
    reminders: u32,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutageNews {
    /// It does not answer.
    Unreachable {
        /// Which, as `host:port`.
        participant: String,
        /// Since when.
        since: Wall,
        /// 0 when it is told first, then which reminder it is.
        reminder: u32,
    },
    /// It answers again.
    Reachable {
        /// Which, as `host:port`.
        participant: String,
        /// Since when it had not.
        since: Wall,
        /// Until when.
        until: Wall,
    },
}

impl Outages {
    /// None so far. `unreachable_after`: how long a breaker is open before people are told.
    #[must_use]
    pub fn new(unreachable_after: Duration) -> Self {
        let paused = BTreeSet::new();
        Self { unreachable_after, known: BTreeMap::new(), next_due: None, paused }
    }

    /// Of these nothing is told from now on, and of all others what there is.
    pub fn set_paused(&mut self, participants: BTreeSet<String>) {
        self.paused = participants;
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether it is taken for one that does not answer.
    #[must_use]
    pub fn is_known(&self, participant: &str) -> bool {
        self.known.contains_key(participant)
    }

    /// The breaker of a destination has opened.
    pub fn opened(&mut self, destination: &Destination, now: Now) {
        let due = now.mono.after(self.unreachable_after);
        if let Some(outage) = self.of(destination.participant(), now.wall, due) {
            outage.open.insert(destination.clone());
            let due = outage.due;
            self.is_due(due);
        }
    }

    /// The breaker of a destination has closed.
    pub fn closed(&mut self, destination: &Destination, now: Now) -> Option<OutageNews> {
        let participant = destination.participant();
        self.known.get_mut(&participant)?.open.remove(destination);
        self.over(&participant, now)
    }

    /// A destination was forgotten with its breaker open: nobody knows how it is. If people were
    /// told, the next answer of its participant ends that.
    pub fn forgotten(&mut self, destination: &Destination) {
        let participant = destination.participant();
        let Some(outage) = self.known.get_mut(&participant) else { return };
        outage.open.remove(destination);
        if outage.open.is_empty() && outage.told.is_none() {
            self.known.remove(&participant);
        }
        self.find_next_due();
    }

    /// A call to a participant was answered by itself. While a breaker of its is open, that alone
    /// does not end its outage.
    pub fn answered(&mut self, participant: &str, now: Now) -> Option<OutageNews> {
        self.over(participant, now)
    }

    /// A branch of a participant is shown to people. Whether that is told as the participant's
    /// outage: it does not answer, or a breaker of it is open; but not what it has answered itself
    /// and calling it again will not change.
    pub fn parked(&mut self, participant: &str, parked: &Parked, now: Now) -> bool {
        let is_away = parked.unreachable || self.is_known(participant);
        if parked.hopeless || !is_away {
            return false;
        }
        let outage = self.of(participant.to_owned(), parked.since, now.mono);
        let Some(outage) = outage else { return false };
        if outage.told.is_none() {
            outage.due = outage.due.min(now.mono);
        }
        let due = outage.due;
        self.is_due(due);
        true
    }

    /// What is to be told now.
    pub fn take_due(&mut self, now: Mono) -> Vec<OutageNews> {
        let mut news = Vec::new();
        if self.next_due.is_none_or(|due| due > now) {
            return news;
        }
        for (participant, outage) in &mut self.known {
            if outage.due > now {
                continue;
            }
            if self.paused.contains(participant) {
                outage.due = now.after(self.unreachable_after.max(LOOKS_AGAIN));
                continue;
            }
            let told = match outage.told {
                None => Told { at: now, reminders: 0 },
                Some(told) => Told { reminders: told.reminders.saturating_add(1), ..told },
            };
            outage.told = Some(told);
            outage.due = next_reminder(told, now);
            let (participant, since) = (participant.clone(), outage.since);
            news.push(OutageNews::Unreachable { participant, since, reminder: told.reminders });
        }
        self.find_next_due();
        news
    }

    /// When there is something to be told.
    #[must_use]
    pub fn next_due(&self) -> Option<Mono> {
        self.next_due
    }

    /// One of them is due then, and no other is due later than it was. Each of thousands of branches
    /// that are parked comes here, so it looks at no other.
    fn is_due(&mut self, at: Mono) {
        self.next_due = Some(self.next_due.map_or(at, |due| due.min(at)));
    }

    fn find_next_due(&mut self) {
        self.next_due = self.known.values().map(|outage| outage.due).min();
    }

    fn of(&mut self, participant: String, since: Wall, due: Mono) -> Option<&mut Outage> {
        if !self.known.contains_key(&participant) && self.known.len() >= PARTICIPANTS {
            return None;
        }
        let outage = self.known.entry(participant);
        Some(outage.or_insert(Outage { since, open: BTreeSet::new(), due, told: None }))
    }

    fn over(&mut self, participant: &str, now: Now) -> Option<OutageNews> {
        if !self.known.get(participant)?.open.is_empty() {
            return None;
        }
        let outage = self.known.remove(participant)?;
        self.find_next_due();
        let (participant, since, until) = (participant.to_owned(), outage.since, now.wall);
        outage.told.map(|_| OutageNews::Reachable { participant, since, until })
    }
}

/// A clock that stood still is no reason to remind several times at once.
fn next_reminder(told: Told, now: Mono) -> Mono {
    let [.., last] = REMINDERS;
    let place = usize::try_from(told.reminders).unwrap_or(usize::MAX);
    match REMINDERS.get(place) {
        Some(after) => told.at.after(*after).max(now.after(Duration::from_secs(1))),
        None => now.after(last),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tercet_wire::{BranchSpec, Fingerprint, Instance, Op, PerOp, TryBy};
    use uuid::Uuid;

    use super::*;

    fn at(ms: u64) -> Now {
        let wall = Wall(1_763_640_000_000).after(Duration::from_millis(ms));
        Now { mono: Mono(ms), wall, entropy: 0 }
    }

    fn destination(path: &str) -> Destination {
        Destination::of(&format!("http://pay:80/{path}").parse().expect("a URL"), 1)
    }

    /// A branch whose participant has not answered since then.
    fn parked(since: u64) -> Parked {
        let branch = BranchSpec {
            id: "a".parse().expect("an id"),
            position: 0,
            urls: PerOp::default(),
            headers: BTreeMap::new(),
            payload: Arc::from("{}"),
            timeout: Duration::from_secs(3),
            try_by: TryBy::Coordinator,
            options: None,
            fingerprint: Fingerprint::from_text("a"),
        };
        Parked {
            asks: false,
            instance: Instance::new(Uuid::nil()),
            branch: Arc::new(branch),
            op: Op::Confirm,
            attempts: 1,
            last_error: None,
            last_answer: None,
            unreachable: true,
            hopeless: false,
            since: at(since).wall,
            since_mono: at(since).mono,
            at: at(since).wall,
        }
    }

    fn outages() -> Outages {
        Outages::new(Duration::from_secs(3))
    }

    fn told(since: u64, reminder: u32) -> Vec<OutageNews> {
        let participant = "pay:80".to_owned();
        vec![OutageNews::Unreachable { participant, since: at(since).wall, reminder }]
    }

    /// Keeps P9.
    #[test]
    fn an_outage_is_told_once_then_reminded_of_ever_more_seldom_and_ended_once() {
        let mut outages = outages();
        outages.opened(&destination("a"), at(1_000));
        for _ in 0..1_000 {
            assert!(outages.is_known("pay:80"));
        }
        assert_eq!(
            (outages.take_due(Mono(3_999)), outages.next_due()),
            (vec![], Some(Mono(4_000)))
        );
        assert_eq!(outages.take_due(Mono(4_000)), told(1_000, 0));
        let mut reminded = Vec::new();
        while reminded.len() < 6 {
            let due = outages.next_due().expect("a reminder");
            assert_eq!(outages.take_due(Mono(due.0 - 1)), []);
            let number = u32::try_from(reminded.len()).expect("few") + 1;
            assert_eq!(outages.take_due(due), told(1_000, number));
            reminded.push((due.0 - 4_000) / 60_000);
        }
        assert_eq!(reminded, [1, 5, 30, 60, 120, 180], "minutes");
        let over = outages.closed(&destination("a"), at(9_000_000));
        let (since, until) = (at(1_000).wall, at(9_000_000).wall);
        let participant = "pay:80".to_owned();
        assert_eq!(over, Some(OutageNews::Reachable { participant, since, until }));
        assert_eq!(outages.closed(&destination("a"), at(9_000_001)), None);
        assert_eq!((outages.is_empty(), outages.next_due()), (true, None));
    }

    #[test]
    fn what_is_over_before_it_was_told_is_not_told() {
        let mut outages = outages();
        outages.opened(&destination("a"), at(0));
        assert_eq!(outages.closed(&destination("a"), at(2_999)), None);
        assert_eq!(outages.take_due(Mono(60_000)), []);
    }

    #[test]
    fn that_nobody_asks_for_a_participant_any_more_does_not_mean_that_it_is_back() {
        let mut outages = outages();
        outages.opened(&destination("a"), at(0));
        outages.forgotten(&destination("a"));
        assert_eq!((outages.is_empty(), outages.next_due()), (true, None));
        outages.opened(&destination("a"), at(1_000));
        assert_eq!(outages.take_due(Mono(4_000)), told(1_000, 0));
        outages.forgotten(&destination("a"));
        assert!(outages.is_known("pay:80"));
        assert!(outages.answered("pay:80", at(5_000)).is_some(), "now it is");
    }

    #[test]
    fn an_outage_lasts_until_all_breakers_of_its_participant_have_closed() {
        let mut outages = outages();
        outages.opened(&destination("a"), at(0));
        outages.opened(&destination("b"), at(100));
        assert_eq!(outages.take_due(Mono(3_000)), told(0, 0));
        assert_eq!(outages.answered("pay:80", at(3_100)), None, "its breakers are open");
        assert_eq!(outages.closed(&destination("a"), at(3_200)), None);
        assert!(outages.closed(&destination("b"), at(3_300)).is_some());
    }

    #[test]
    fn what_is_parked_for_it_is_told_at_once_and_an_answer_ends_it() {
        let mut outages = outages();
        assert!(!outages.parked(
            "pay:80",
            &Parked { unreachable: false, ..parked(400) },
            at(60_400)
        ));
        assert!(outages.parked("pay:80", &parked(500), at(60_500)));
        assert!(outages.parked(
            "pay:80",
            &Parked { unreachable: false, ..parked(600) },
            at(60_600)
        ));
        assert_eq!(outages.take_due(Mono(60_600)), told(500, 0));
        assert_eq!(outages.answered("stock:80", at(61_000)), None);
        assert!(outages.answered("pay:80", at(61_000)).is_some());
    }

    /// Keeps P3.
    #[test]
    fn what_a_participant_has_answered_itself_is_not_told_as_its_outage() {
        let mut outages = outages();
        outages.opened(&destination("a"), at(0));
        let answered = Parked { unreachable: false, hopeless: true, ..parked(0) };
        assert!(!outages.parked("pay:80", &answered, at(100)), "by its other path");
        assert!(outages.is_known("pay:80"));
    }

    /// Keeps P9.
    #[test]
    fn so_many_participants_are_remembered() {
        let mut outages = outages();
        for number in 0..PARTICIPANTS + 10 {
            let remembered = outages.parked(&format!("h{number}:80"), &parked(0), at(0));
            assert_eq!(remembered, number < PARTICIPANTS);
        }
        assert_eq!(outages.known.len(), PARTICIPANTS);
    }
}
