//! Lists over rows in memory.

use tercet_engine::{Decision, StoredTransaction};
use tercet_wire::{Cursor, ListQuery, Page, ResolvedAs, SummaryView};

use super::as_count;
use super::state::State;
use crate::store::Keyset;

pub(super) fn page(state: &State, query: &ListQuery) -> Page<SummaryView> {
    let place = query.cursor.clone().map(|Cursor { created_at, gid }| Keyset { created_at, gid });
    let limit = as_count(query.limit);
    let wanted = state.newest_before(place.as_ref()).filter(|stored| matches(stored, query));
    let mut items: Vec<SummaryView> = wanted.take(limit.saturating_add(1)).map(summary).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let cursor = last.map(|last| Cursor { created_at: last.created_at, gid: last.gid.clone() });
    Page { next_cursor: cursor.map(|cursor| cursor.to_string()), items }
}

fn matches(stored: &StoredTransaction, query: &ListQuery) -> bool {
    let unfinished = !stored.status.is_finished();
    let created_at = stored.spec.created_at;
    let participant = |participant: &String| {
        unfinished && stored.branches.iter().any(|branch| branch.participant() == *participant)
    };
    (query.statuses.is_empty() || query.statuses.contains(&stored.status))
        && (!query.parked || (unfinished && stored.parked))
        && query.pattern.is_none_or(|pattern| stored.spec.pattern == pattern)
        && query.participant.as_ref().is_none_or(participant)
        && query.created_after.is_none_or(|after| created_at >= after)
        && query.created_before.is_none_or(|before| created_at < before)
}

fn summary(stored: &StoredTransaction) -> SummaryView {
    let (reason, reason_detail) = match stored.decision() {
        Some(Decision::Cancel { reason, detail }) => (Some(*reason), detail.clone()),
        Some(Decision::Confirm) | None => (None, None),
    };
    let spec = &stored.spec;
    let branches = u32::try_from(stored.branches.len()).unwrap_or(u32::MAX);
    SummaryView {
        gid: spec.gid.clone(),
        instance: spec.instance,
        pattern: spec.pattern,
        status: stored.status,
        open: spec.open,
        reason,
        reason_detail: reason_detail.map(|detail| detail.to_string()),
        parked: stored.parked,
        check: spec.check().map(|url| url.to_string()),
        saga: spec.saga().cloned(),
        created_at: spec.created_at,
        deadline_at: spec.deadline_at,
        decided_at: stored.decided.as_ref().map(|decided| decided.at),
        finished_at: stored.finished_at,
        mixed: stored.branch_records.iter().any(|row| {
            let resolved_as = row.resolved_as.map(ResolvedAs::op);
            let against = resolved_as.is_some() && resolved_as != stored.status.decided_op();
            against || row.contradicted
        }),
        metadata: spec.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        branch_count: Some(branches),
    }
}
