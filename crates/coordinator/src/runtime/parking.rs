//! Says in the log which branches need people, and how to go about it. Thousands may be parked
//! at once when a participant is away: of each participant there is one line at once, and then
//! at most one in a second, with a count.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_wire::Mono;

use crate::alerts::ParkedBranch;

/// The least time between two lines about one participant.
const EVERY: Duration = Duration::from_secs(1);

/// Participants whose branches are counted by name; whoever begins transactions chooses them.
const PARTICIPANTS: usize = 1_000;
/// The name of the rest.
const OTHER: &str = "others";

/// What the log has said of which participant lately.
#[derive(Debug, Default)]
pub(super) struct ParkingLog {
    recent: BTreeMap<String, Recent>,
}

#[derive(Debug)]
struct Recent {
    told_at: Mono,
    /// Branches parked since, of which there is no line.
    untold: usize,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    One(ParkedBranch),
    More { participant: String, branches: usize },
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
        self.recent.values().map(|recent| recent.told_at.after(EVERY)).min()
    }

    fn parked(&mut self, branch: ParkedBranch, now: Mono) -> Option<Line> {
        if let Some(recent) = self.recent.get_mut(&branch.participant) {
            recent.untold += 1;
            return None;
        }
        if self.recent.len() >= PARTICIPANTS {
            let recent = Recent { told_at: now, untold: 0 };
            self.recent.entry(OTHER.to_owned()).or_insert(recent).untold += 1;
            return None;
        }
        let recent = Recent { told_at: now, untold: 0 };
        self.recent.insert(branch.participant.clone(), recent);
        Some(Line::One(branch))
    }

    fn overdue(&mut self, now: Mono) -> Vec<Line> {
        let mut lines = Vec::new();
        self.recent.retain(|participant, recent| {
            if now < recent.told_at.after(EVERY) {
                return true;
            }
            if recent.untold == 0 {
                return false;
            }
            let (participant, branches) = (participant.clone(), recent.untold);
            lines.push(Line::More { participant, branches });
            *recent = Recent { told_at: now, untold: 0 };
            true
        });
        lines
    }
}

fn write(line: &Line) {
    match line {
        Line::One(parked) => tracing::warn!(event = "branch_parked",
            gid = %parked.gid,
            branch = %parked.branch,
            participant = parked.participant,
            op = parked.op.as_str(),
            attempts = parked.attempts,
            why = parked.last_error.as_deref().unwrap_or("in progress"),
            "a branch is parked: it does not get on by itself, and is still called. Repair the \
             participant, then `tercet tx retry {}`; if it can never acknowledge, `tercet tx \
             resolve {} {} --as confirmed|cancelled --note WHY`",
            parked.gid,
            parked.gid,
            parked.branch,
        ),
        Line::More { participant, branches } => tracing::warn!(
            event = "branches_parked",
            participant,
            branches,
            "more branches are parked; `tercet tx list --parked --participant {participant}` \
             shows them, `tercet tx retry --all --parked --participant {participant}` calls \
             them once the participant is repaired",
        ),
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
            branch: "b1".parse().expect("an id"),
            participant: participant.to_owned(),
            op: Op::Confirm,
            attempts: 3,
            last_error: None,
            parked_at: None,
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
        assert_eq!(log.next_due(), Some(Mono(1_500)));
        assert_eq!(log.overdue(Mono(1_499)), []);
        let more = Line::More { participant: "pay:80".to_owned(), branches: 999 };
        assert_eq!(log.overdue(Mono(1_500)), [more]);
        // After a second without news there is nothing to remember.
        assert_eq!(log.overdue(Mono(2_500)), []);
        assert_eq!(log.next_due(), None);
        assert!(log.parked(parked("pay:80", "order-0"), Mono(2_501)).is_some());
    }

    #[test]
    fn however_many_participants_there_are_so_many_are_remembered() {
        let mut log = ParkingLog::default();
        for n in 0..PARTICIPANTS + 10 {
            log.parked(parked(&format!("h{n}:80"), "order-1"), Mono(0));
        }
        assert_eq!(log.recent.len(), PARTICIPANTS + 1);
        let rest = Line::More { participant: OTHER.to_owned(), branches: 10 };
        assert_eq!(log.overdue(Mono(1_000)), [rest]);
    }
}
