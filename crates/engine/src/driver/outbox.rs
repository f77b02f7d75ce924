//! Records on their way to the journal, which gets all of a round in one piece.

use crate::group_commit::Backlog;
use crate::journal_event::Urgency;
use crate::record::Record;

/// Records of this round, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    records: Vec<Record>,
    /// How much they are.
    size: Backlog,
    /// Somebody waits for one of these, or for one handed over before.
    urgency: Urgency,
    /// Where those of the last step begin.
    latest: usize,
}

impl Outbox {
    pub(super) fn size(&self) -> Backlog {
        self.size
    }

    pub(super) fn take(&mut self, records: &mut Vec<Record>, urgency: Urgency) {
        self.latest = self.records.len();
        self.urgency = self.urgency.max(urgency);
        if records.is_empty() {
            return;
        }
        self.size = self.size.and(Backlog::of(records));
        if self.records.is_empty() {
            std::mem::swap(&mut self.records, records);
        } else {
            self.records.append(records);
        }
    }

    pub(super) fn latest(&self) -> &[Record] {
        self.records.get(self.latest..).unwrap_or_default()
    }

    /// Nothing if there are no records, and nobody waits for those handed over before.
    pub(super) fn flush(&mut self) -> Option<(Vec<Record>, Urgency)> {
        let Self { records, urgency, .. } = std::mem::take(self);
        let is_worth_it = !records.is_empty() || urgency == Urgency::Now;
        is_worth_it.then_some((records, urgency))
    }
}
