//! What the log says of branches that need people, for another reason than that their participant
//! does not answer: one line for each participant at once, and then at most one in a minute, with
//! how many there are by now.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_wire::Mono;

use crate::alerts::ParkedBranch;
use crate::telemetry::about;

/// The least time between two lines about one participant. After so long without news the count
/// begins anew.
const EVERY: Duration = Duration::from_secs(60);

/// Participants whose branches are counted by name; whoever begins transactions chooses them.
const PARTICIPANTS: usize = 1_000;
/// The name of the rest.
const OTHER: &str = "others";

/// What the log has said of which participant lately.
#[derive(Debug, Default)]
pub(super) struct ParkingLog {
    recent: BTreeMap<String, Recent>,
    /// When the first of them is due.
    next_due: Option<Mono>,
}

#[derive(Debug)]
struct Recent {
    told_at: Mono,
    /// Branches that were parked, all together.
    branches: usize,
    /// Whether there is a line of all of them.
    is_told: bool,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    One(ParkedBranch),
    /// `participant`: none, if it is of all that have no name here.
    More {
        participant: Option<String>,
        branches: usize,
    },
}

impl ParkingLog {
    /// A branch has just been parked.
    pub(super) fn tell(&mut self, parked: ParkedBranch, now: Mono) {
        if let Some(line) = self.parked(parked, now) {
            write(&line);
        }
    }

    /// Writes the lines that were held back and are due.
    pub(super) fn tell_overdue(&mut self, now: Mono) {
        for line in self.overdue(now) {
            write(&line);
        }
    }

    /// When a line that was held back is due.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.next_due
    }

    fn parked(&mut self, branch: ParkedBranch, now: Mono) -> Option<Line> {
        let more = |recent: &mut Recent| {
            recent.branches += 1;
            recent.is_told = false;
        };
        if let Some(recent) = self.recent.get_mut(&branch.participant) {
            more(recent);
            return None;
        }
        let recent = Recent { told_at: now, branches: 0, is_told: true };
        let is_known = self.recent.len() < PARTICIPANTS;
        let name = if is_known { branch.participant.as_str() } else { OTHER };
        more(self.recent.entry(name.to_owned()).or_insert(recent));
        if is_known && let Some(recent) = self.recent.get_mut(name) {
            recent.is_told = true;
        }
        // Nothing is due later than it was: thousands come here, and nobody looks through all.
        let due = now.after(EVERY);
        self.next_due = Some(self.next_due.map_or(due, |other| other.min(due)));
        is_known.then_some(Line::One(branch))
    }

    fn overdue(&mut self, now: Mono) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.next_due.is_none_or(|due| due > now) {
            return lines;
        }
        self.recent.retain(|participant, recent| {
            if now < recent.told_at.after(EVERY) {
                return true;
            }
            if std::mem::replace(&mut recent.is_told, true) {
                return false;
            }
            let named = (participant.as_str() != OTHER).then(|| participant.clone());
            let (participant, branches) = (named, recent.branches);
            lines.push(Line::More { participant, branches });
            recent.told_at = now;
            true
        });
        self.find_next_due();
        lines
    }

    fn find_next_due(&mut self) {
        self.next_due = self.recent.values().map(|recent| recent.told_at.after(EVERY)).min();
    }
}

fn write(line: &Line) {
    match line {
        Line::One(parked @ ParkedBranch { branch: None, .. }) => about!(parked => warn!(
            event = "initiator_parked",
            participant = parked.participant,
            op = parked.op.as_str(),
            attempts = parked.attempts,
            why = parked.last_error.as_deref().unwrap_or("no answer"),
            "an initiator does not say what became of its transaction, and is still asked. Repair \
             it, then `tercet tx retry {}`; if it never will, decide: `tercet tx confirm|cancel {}`",
            parked.gid,
            parked.gid,
        )),
        Line::One(parked @ ParkedBranch { branch: Some(branch), .. }) => about!(parked => warn!(
            event = "branch_parked",
            branch = %branch,
            participant = parked.participant,
            op = parked.op.as_str(),
            attempts = parked.attempts,
            why = parked.last_error.as_deref().unwrap_or("no answer"),
            said = parked.last_answer.as_ref().map(|answer| answer.body.as_str()),
            "a branch is parked: it does not get on by itself, and is still called. Repair the \
             participant, then `tercet tx retry {}`; if it can never acknowledge, `tercet tx \
             resolve {} {} --as confirmed|cancelled --note WHY`",
            parked.gid,
            parked.gid,
            branch,
        )),
        Line::More { participant, branches } => {
            let filter = filter(participant.as_deref());
            tracing::warn!(
                event = "branches_parked",
                participant = participant.as_deref().unwrap_or(OTHER),
                branches,
                "so many branches are parked by now; `tercet tx list {filter}` shows them, \
                 `tercet tx retry --all {filter}` calls them once the participant is repaired",
            )
        }
    }
}

/// What finds them. No participant is called as the rest of them is.
fn filter(participant: Option<&str>) -> String {
    match participant {
        Some(participant) => format!("--parked --participant {participant}"),
        None => "--parked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::Op;

    use super::*;

    fn parked(participant: &str, gid: &str) -> ParkedBranch {
        ParkedBranch {
            gid: gid.parse().expect("a gid"),
            instance: "01938d1c-7f00-7abc-8def-0123456789ab".parse().expect("a UUID"),
            branch: "b1".parse().ok(),
            participant: participant.to_owned(),
            op: Op::Confirm.into(),
            attempts: 3,
            last_error: None,
            last_answer: None,
            parked_at: tercet_wire::Wall(0),
            trace_id: None,
        }
    }

    /// Keeps P9.
    #[test]
    fn of_a_thousand_parked_at_once_there_is_one_line_now_and_one_with_their_number() {
        let mut log = ParkingLog::default();
        let first = parked("pay:80", "order-0");
        assert_eq!(log.parked(first.clone(), Mono(500)), Some(Line::One(first)));
        for n in 1..1_000 {
            assert_eq!(log.parked(parked("pay:80", &format!("order-{n}")), Mono(500 + n)), None);
        }
        // Another participant has its own.
        assert!(log.parked(parked("stock:80", "order-1"), Mono(600)).is_some());
        assert_eq!(log.next_due(), Some(Mono(60_500)));
        assert_eq!(log.overdue(Mono(60_499)), []);
        let more = |branches| Line::More { participant: Some("pay:80".to_owned()), branches };
        assert_eq!(log.overdue(Mono(60_500)), [more(1_000)]);
        assert_eq!(log.parked(parked("pay:80", "order-1000"), Mono(60_501)), None);
        assert_eq!(log.overdue(Mono(120_500)), [more(1_001)], "the count grows");
        // After a minute without news there is nothing to remember.
        assert_eq!(log.overdue(Mono(180_500)), []);
        assert_eq!(log.next_due(), None);
        assert!(log.parked(parked("pay:80", "order-0"), Mono(180_501)).is_some());
    }

    #[test]
    fn however_many_participants_there_are_so_many_are_remembered() {
        let mut log = ParkingLog::default();
        for n in 0..PARTICIPANTS + 10 {
            log.parked(parked(&format!("h{n}:80"), "order-1"), Mono(0));
        }
        assert_eq!(log.recent.len(), PARTICIPANTS + 1);
        let rest = Line::More { participant: None, branches: 10 };
        assert_eq!(log.overdue(Mono(60_000)), [rest]);
        // What finds them is a command that finds them.
        assert_eq!(filter(None), "--parked");
        assert_eq!(filter(Some("h1:80")), "--parked --participant h1:80");
    }
}
