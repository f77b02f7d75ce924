//! Lists over rows in memory.

use tercet_engine::{Decision, HoldChange, StoredTransaction};
use tercet_wire::{
    GidPrefix, ListPlace, ListQuery, MetadataFilter, Page, Reason, ResolvedAs, SummaryView,
};

use super::as_count;
use super::state::State;
use crate::store::Keyset;

pub(super) fn page(state: &State, query: &ListQuery) -> Page<SummaryView> {
    let after = query.after.clone().map(|ListPlace { created_at, gid }| Keyset { created_at, gid });
    let (limit, most) = (as_count(query.limit), as_count(query.looks_at));
    let hold = state.holds().newest();
    let mut items: Vec<SummaryView> = Vec::new();
    let (mut looked_at, mut reached) = (0, None);
    for stored in state.in_order(query.order, after.as_ref()) {
        if items.len() == limit && matches(stored, query) || looked_at >= most {
            return Page { next_cursor: reached.map(|place| query.cursor(&place)), items };
        }
        if matches(stored, query) {
            items.push(summary(stored, hold.as_ref()));
        }
        looked_at += 1;
        let (created_at, gid) = (stored.spec.created_at, stored.spec.gid.clone());
        reached = Some(ListPlace { created_at, gid });
    }
    Page { next_cursor: None, items }
}

fn matches(stored: &StoredTransaction, query: &ListQuery) -> bool {
    let unfinished = !stored.status.is_finished();
    let created_at = stored.spec.created_at;
    let participant = |participant: &String| {
        unfinished && stored.branches.iter().any(|branch| branch.participant() == *participant)
    };
    (query.statuses.is_empty() || query.statuses.contains(&stored.status))
        && (!query.parked || (unfinished && stored.parked))
        && query.open.is_none_or(|open| stored.spec.open == open)
        && (query.reasons.is_empty() || was_cancelled_for(stored, &query.reasons))
        && query.gid_prefix.as_ref().is_none_or(|prefix| begins_with(stored, prefix))
        && has_metadata(stored, &query.metadata)
        && query.pattern.is_none_or(|pattern| stored.spec.pattern == pattern)
        && query.participant.as_ref().is_none_or(participant)
        && query.created_after.is_none_or(|after| created_at >= after)
        && query.created_before.is_none_or(|before| created_at < before)
}

fn was_cancelled_for(stored: &StoredTransaction, reasons: &[Reason]) -> bool {
    match stored.decision() {
        Some(Decision::Cancel { reason, .. }) => reasons.contains(reason),
        Some(Decision::Confirm) | None => false,
    }
}

fn begins_with(stored: &StoredTransaction, prefix: &GidPrefix) -> bool {
    stored.spec.gid.as_str().starts_with(prefix.as_str())
}

fn has_metadata(stored: &StoredTransaction, asked: &[MetadataFilter]) -> bool {
    if asked.is_empty() {
        return true;
    }
    let metadata = stored.spec.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok());
    metadata.is_some_and(|metadata| asked.iter().all(|asked| asked.holds(&metadata)))
}

fn summary(stored: &StoredTransaction, hold: Option<&HoldChange>) -> SummaryView {
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
        held: hold.is_some_and(|hold| hold.holds(stored.status, spec.created_at)),
        metadata: spec.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        branch_count: Some(branches),
    }
}
