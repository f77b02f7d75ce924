//! What people are told of participants that do not answer: in the log one line, and one when they
//! answer again; by the webhook reminders too.
//!
//! Each piece of news says how many branches wait, and to count them means to look at every live
//! transaction. So what comes within a moment is told together, after one look: a thousand
//! participants may be away at once, and nothing else gets on meanwhile.
//!
//! A branch that is parked meanwhile is not told by itself. If what it was answered was the
//! participant's own failure, the end of the outage need not be the end of that: it is looked at once
//! more when it must have been called again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tercet_engine::{Destination, OutageNews, Outages, Parked, WaitingFor};
use tercet_wire::{Gid, Mono, Now};

use crate::alerts::OutageReport;

/// The least time between two looks at all live transactions.
const EVERY: Duration = Duration::from_secs(1);
/// So much news does not wait for that.
const MOST: usize = 2_000;
/// Branches of which nothing is told by itself for now.
const MOST_WITHHELD: usize = 1_000;

/// Outages, and the news of them that is not told yet.
#[derive(Debug)]
pub(super) struct OutageLog {
    outages: Outages,
    news: Vec<OutageNews>,
    /// When news may be told again.
    not_before: Mono,
    /// By participant, what it has answered itself, and is told as its outage for now.
    withheld: BTreeMap<String, Vec<(Gid, Parked)>>,
    /// The same of participants that are back, and when it is looked at.
    to_look_at: VecDeque<(Mono, Gid, Parked)>,
    /// How long after an outage what waits has been called again.
    called_within: Duration,
}

impl OutageLog {
    /// None so far. `unreachable_after`: how long a breaker is open before people are told.
    /// `called_within`: how long after an outage what waits has been called again. `paused`: who is
    /// paused, of whom nothing is told.
    pub(super) fn new(
        unreachable_after: Duration,
        called_within: Duration,
        paused: BTreeSet<String>,
    ) -> Self {
        let mut outages = Outages::new(unreachable_after);
        outages.set_paused(paused);
        Self {
            outages,
            news: Vec::new(),
            not_before: Mono(0),
            withheld: BTreeMap::new(),
            to_look_at: VecDeque::new(),
            called_within,
        }
    }

    /// Of these nothing is told, since nobody calls them.
    pub(super) fn set_paused(&mut self, participants: BTreeSet<String>) {
        self.outages.set_paused(participants);
    }

    /// Whether no participant is away.
    pub(super) fn is_empty(&self) -> bool {
        self.outages.is_empty()
    }

    /// The breaker of a destination has opened.
    pub(super) fn opened(&mut self, destination: &Destination, now: Now) {
        self.outages.opened(destination, now);
    }

    /// The breaker of a destination has closed.
    pub(super) fn closed(&mut self, destination: &Destination, now: Now) {
        self.news.extend(self.outages.closed(destination, now));
        self.may_be_over(&destination.participant(), now.mono);
    }

    /// A destination was forgotten with its breaker open.
    pub(super) fn forgotten(&mut self, destination: &Destination, now: Mono) {
        self.outages.forgotten(destination);
        self.may_be_over(&destination.participant(), now);
    }

    /// A call to a participant was answered by itself.
    pub(super) fn answered(&mut self, participant: &str, now: Now) {
        self.news.extend(self.outages.answered(participant, now));
        self.may_be_over(participant, now.mono);
    }

    /// A branch is parked. Whether that is told as its participant's outage.
    pub(super) fn parked(
        &mut self,
        participant: &str,
        gid: &Gid,
        parked: &Parked,
        now: Now,
    ) -> bool {
        let is_told = self.outages.parked(participant, parked, now);
        if is_told && !parked.unreachable && self.withheld_count() < MOST_WITHHELD {
            let withheld = self.withheld.entry(participant.to_owned()).or_default();
            withheld.push((gid.clone(), parked.clone()));
        }
        is_told
    }

    /// What was told as an outage that is over, and is to be told by itself if it is parked still.
    pub(super) fn take_to_look_at(&mut self, now: Mono) -> Option<(Gid, Parked)> {
        if self.to_look_at.front().is_none_or(|(due, ..)| *due > now) {
            return None;
        }
        self.to_look_at.pop_front().map(|(_, gid, parked)| (gid, parked))
    }

    fn may_be_over(&mut self, participant: &str, now: Mono) {
        if self.withheld.is_empty() || self.outages.is_known(participant) {
            return;
        }
        let due = now.after(self.called_within);
        let withheld = self.withheld.remove(participant).unwrap_or_default();
        self.to_look_at.extend(withheld.into_iter().map(|(gid, parked)| (due, gid, parked)));
    }

    fn withheld_count(&self) -> usize {
        self.withheld.values().map(Vec::len).sum::<usize>() + self.to_look_at.len()
    }

    /// When there is something to be told.
    pub(super) fn next_due(&self) -> Option<Mono> {
        let news = (!self.news.is_empty()).then_some(self.not_before);
        let to_look_at = self.to_look_at.front().map(|(due, ..)| *due);
        news.into_iter().chain(self.outages.next_due()).chain(to_look_at).min()
    }

    /// What is to be told now. Reminders are for the webhook alone. `waiting_for` is asked of all
    /// participants at once, if there is anything to be told.
    pub(super) fn take(
        &mut self,
        now: Mono,
        with_reminders: bool,
        waiting_for: impl FnOnce(&[&str]) -> BTreeMap<String, WaitingFor>,
    ) -> Vec<OutageReport> {
        let due = self.outages.take_due(now).into_iter();
        self.news.extend(due.filter(|news| with_reminders || !is_reminder(news)));
        if self.news.is_empty() || (now < self.not_before && self.news.len() < MOST) {
            return Vec::new();
        }
        self.not_before = now.after(EVERY);
        let news = std::mem::take(&mut self.news);
        let participants: Vec<&str> = news.iter().map(participant).collect();
        let waiting_for = waiting_for(&participants);
        let reports = news.into_iter().filter_map(|news| {
            let waiting = waiting_for.get(participant(&news)).cloned().unwrap_or_default();
            report(news, waiting)
        });
        reports.collect()
    }
}

fn participant(news: &OutageNews) -> &str {
    match news {
        OutageNews::Unreachable { participant, .. } | OutageNews::Reachable { participant, .. } => {
            participant
        }
    }
}

fn is_reminder(news: &OutageNews) -> bool {
    match news {
        OutageNews::Unreachable { reminder, .. } => *reminder > 0,
        OutageNews::Reachable { .. } => false,
    }
}

fn report(news: OutageNews, waiting_for: WaitingFor) -> Option<OutageReport> {
    let WaitingFor { waiting, called: _, parked, last_error } = waiting_for;
    // Whom nobody waits for is not called either: nobody knows whether it is back.
    if waiting == 0 && is_reminder(&news) {
        return None;
    }
    let (participant, since, until, reminder) = match news {
        OutageNews::Unreachable { participant, since, reminder } => {
            (participant, since, None, Some(reminder))
        }
        OutageNews::Reachable { participant, since, until } => {
            (participant, since, Some(until), None)
        }
    };
    let last_error = last_error.as_deref().map(str::to_owned);
    Some(OutageReport { participant, since, until, waiting, parked, last_error, reminder })
}

/// A participant does not answer, or does again; reminders are for the webhook.
pub(super) fn write(report: &OutageReport) {
    let OutageReport { participant, since, until, waiting, parked, last_error, reminder } = report;
    let why = last_error.as_deref().unwrap_or("no answer");
    match (until, reminder) {
        (None, Some(0)) => tracing::warn!(
            event = "participant_unreachable",
            participant,
            %since,
            waiting,
            parked,
            why,
            "a participant does not answer: what waits for it goes on by itself once it does. Bring \
             it back; nothing needs to be done here",
        ),
        (None, _) => {}
        (Some(until), _) => tracing::info!(
            event = "participant_reachable",
            participant,
            %since,
            %until,
            "a participant answers again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tercet_wire::{BranchSpec, Fingerprint, Instance, Op, PerOp, TryBy, Wall};
    use uuid::Uuid;

    use super::*;

    const CALLED_WITHIN: Duration = Duration::from_secs(60);

    /// Of `h0`.
    fn parked(unreachable: bool) -> Parked {
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
            unreachable,
            hopeless: false,
            since: at(0).wall,
            since_mono: at(0).mono,
            at: at(0).wall,
        }
    }

    fn at(ms: u64) -> Now {
        let wall = Wall(1_763_640_000_000).after(Duration::from_millis(ms));
        Now { mono: Mono(ms), wall, entropy: 0 }
    }

    fn away(participants: usize) -> OutageLog {
        let mut log = OutageLog::new(Duration::ZERO, CALLED_WITHIN, BTreeSet::new());
        for number in 0..participants {
            log.opened(&destination(number), at(0));
        }
        log
    }

    fn destination(number: usize) -> Destination {
        Destination::of(&format!("http://h{number}/a").parse().expect("a URL"), 1)
    }

    /// One branch waits for each.
    fn one_each(participants: &[&str]) -> BTreeMap<String, WaitingFor> {
        let one = WaitingFor { waiting: 1, ..WaitingFor::default() };
        participants.iter().map(|participant| ((*participant).to_owned(), one.clone())).collect()
    }

    fn nobody_looks(_: &[&str]) -> BTreeMap<String, WaitingFor> {
        panic!("nothing is to be told")
    }

    /// That it looks once is in the type: who waits can be asked once.
    ///
    /// Keeps P6, P9.
    #[test]
    fn a_thousand_outages_at_once_are_told_after_one_look() {
        let mut log = away(1_000);
        let mut looked_for = 0;
        let reports = log.take(Mono(0), true, |participants| {
            looked_for = participants.len();
            one_each(participants)
        });
        assert_eq!((reports.len(), looked_for), (1_000, 1_000));
        assert!(reports.iter().all(|report| (report.waiting, report.reminder) == (1, Some(0))));
        // They come back one by one, which is told together as well.
        log.closed(&destination(0), at(500));
        assert_eq!(log.take(Mono(500), true, nobody_looks), []);
        assert_eq!(log.next_due(), Some(Mono(1_000)));
        for number in 1..1_000 {
            log.closed(&destination(number), at(600));
            assert_eq!(log.take(Mono(600), true, nobody_looks), []);
        }
        let reports = log.take(Mono(1_000), true, one_each);
        assert_eq!(reports.len(), 1_000);
        assert_eq!(reports[0].until, Some(at(500).wall), "told late, as it was");
        assert_eq!((log.next_due(), log.is_empty()), (None, true));
    }

    /// Keeps P9.
    #[test]
    fn what_a_participant_had_answered_is_looked_at_after_its_outage() {
        let mut log = away(1);
        let participant = destination(0).participant();
        let gid = |number: usize| format!("tx-{number}").parse::<Gid>().expect("a gid");
        assert!(log.parked(&participant, &gid(1), &parked(true), at(10)), "it goes on by itself");
        assert!(log.parked(&participant, &gid(2), &parked(false), at(20)), "it may not");
        assert_eq!(log.take(Mono(20), true, one_each).len(), 1);
        assert!(log.take_to_look_at(Mono(1_000_000)).is_none(), "it lasts");
        log.closed(&destination(0), at(5_000));
        assert_eq!(log.take(Mono(5_000), true, one_each).len(), 1);
        assert_eq!(log.next_due(), Some(Mono(65_000)));
        assert!(log.take_to_look_at(Mono(64_999)).is_none());
        let found = log.take_to_look_at(Mono(65_000)).map(|(gid, _)| gid);
        assert_eq!(found, Some(gid(2)));
        assert!(log.take_to_look_at(Mono(65_000)).is_none());
        assert_eq!(log.next_due(), None);
    }

    /// Keeps P9.
    #[test]
    fn what_is_looked_at_after_an_outage_has_a_bound() {
        let mut log = away(1);
        let participant = destination(0).participant();
        for number in 0..MOST_WITHHELD + 10 {
            let gid = format!("tx-{number}").parse().expect("a gid");
            assert!(log.parked(&participant, &gid, &parked(false), at(20)));
        }
        log.closed(&destination(0), at(30));
        let due = at(30).mono.after(CALLED_WITHIN);
        let found = std::iter::from_fn(|| log.take_to_look_at(due)).count();
        assert_eq!(found, MOST_WITHHELD);
    }

    #[test]
    fn nobody_looks_for_the_sake_of_a_reminder_that_nobody_gets() {
        for wanted in [false, true] {
            let mut log = away(1);
            assert_eq!(log.take(Mono(0), wanted, one_each).len(), 1);
            let reminder = log.next_due().expect("a reminder");
            match wanted {
                false => assert_eq!(log.take(reminder, wanted, nobody_looks), []),
                true => assert_eq!(log.take(reminder, wanted, one_each)[0].reminder, Some(1)),
            }
            // That it is over is told in either case.
            log.closed(&destination(0), at(reminder.0 + 5_000));
            assert_eq!(log.take(Mono(reminder.0 + 5_000), wanted, one_each).len(), 1);
        }
    }

    #[test]
    fn who_has_nobody_waiting_is_told_once_and_not_reminded_of() {
        let mut log = away(1);
        let none = |_: &[&str]| BTreeMap::new();
        assert_eq!(log.take(Mono(0), true, none).len(), 1);
        let reminder = log.next_due().expect("a reminder");
        assert_eq!(log.take(reminder, true, none), []);
    }

    /// Keeps P9.
    #[test]
    fn news_that_waits_to_be_told_has_a_bound() {
        let mut log = away(1);
        assert_eq!(log.take(Mono(0), true, one_each).len(), 1);
        let mut told = 0;
        for _ in 0..MOST {
            log.closed(&destination(0), at(1));
            log.opened(&destination(0), at(1));
            told += log.take(Mono(1), true, one_each).len();
            assert!(log.news.len() < MOST);
        }
        assert_eq!(told + log.news.len(), 2 * MOST);
    }
}
