//! What operators did, over rows in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tercet_engine::{Act, Batch, Change, TransactionKey};
use tercet_wire::{AuditEntryView, AuditPlace, AuditQuery, Page, Wall};

use super::as_count;
use crate::store::AuditDue;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Audit {
    acts: BTreeMap<AuditPlace, Act>,
}

impl Audit {
    /// Takes in what a batch has of it; of lives whose gid was taken nothing is written.
    pub(super) fn add(&mut self, batch: &Batch, taken: &[TransactionKey]) {
        for record in &batch.records {
            if let Change::Acted(acted) = &record.change
                && !taken.contains(&TransactionKey::of(record))
            {
                self.insert(&acted.act);
            }
        }
        batch.acts.iter().filter_map(|alone| alone.act.as_ref()).for_each(|act| self.insert(act));
    }

    fn insert(&mut self, act: &Act) {
        self.acts.insert(AuditPlace { at: act.at, id: act.id }, act.clone());
    }

    pub(super) fn page(&self, query: &AuditQuery) -> Page<AuditEntryView> {
        let to = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let newest = self.acts.range((Bound::Unbounded, to)).rev().map(|(_, act)| act);
        let limit = as_count(query.limit);
        let wanted = newest.filter(|act| matches(act, query)).take(limit.saturating_add(1));
        let mut items: Vec<AuditEntryView> = wanted.map(AuditEntryView::from).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| query.cursor(&AuditPlace { at: last.at, id: last.id }));
        Page { items, next_cursor }
    }

    pub(super) fn due(&self, before: Wall, most: u32) -> AuditDue {
        let due: Vec<&AuditPlace> =
            self.acts.keys().take_while(|place| place.at < before).take(as_count(most)).collect();
        AuditDue {
            more: due.len() == as_count(most),
            oldest: due.first().map(|place| place.at),
            ids: due.into_iter().map(|place| place.id.to_string()).collect(),
        }
    }

    pub(super) fn purge(&mut self, due: &AuditDue) {
        let ids: BTreeSet<&str> = due.ids.iter().map(String::as_str).collect();
        self.acts.retain(|place, _| !ids.contains(&*place.id.to_string()));
    }
}

fn matches(act: &Act, query: &AuditQuery) -> bool {
    query.who.as_ref().is_none_or(|who| **who == *act.who)
        && query.gid.as_ref().is_none_or(|gid| act.gid.as_ref() == Some(gid))
        && query.action.is_none_or(|action| action == act.action)
        && query.since.is_none_or(|since| act.at >= since)
}
