//! The rows of each statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::Value;
use serde::Serialize;
use tercet_engine::{ActAlone, Decision, JobWrite};
use tercet_wire::{
    BranchId, BranchOptions, BranchSpec, CallOp, Gid, Incarnation, LastAnswerView, Op,
    PendingResolutionView, ProblemCode, Reason,
};

use super::WriteKind;

use crate::batch_plan::TransactionDelta;
use crate::sql::column_of;

/// Rows of values, one after the other. The first value of a row is never null.
#[derive(Debug, Default)]
pub(crate) struct WriteRows {
    pub(crate) values: Vec<Value>,
    /// Values of a row.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) rows: usize,
}

impl WriteRows {
    fn push<const N: usize>(&mut self, row: [Value; N]) {
        self.values.extend(row);
        self.width = N;
        self.rows += 1;
    }

    /// How many rows the statement must change, or find.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.rows).unwrap_or(u64::MAX)
    }
}

/// The rows of one statement; none if the batch has none for it. `acts` are those of no single
/// transaction.
pub(crate) fn write_rows(
    kind: WriteKind,
    deltas: &[TransactionDelta<'_>],
    acts: &[ActAlone],
    owner: Incarnation,
) -> Option<WriteRows> {
    let mut rows = WriteRows::default();
    match kind {
        WriteKind::Begin => begin(deltas, owner, &mut rows),
        WriteKind::Advance => advance(deltas, &mut rows),
        WriteKind::Stay => stay(deltas, &mut rows),
        WriteKind::Details => details(deltas, &mut rows),
        WriteKind::OwnOptions => own_options(deltas, &mut rows),
        WriteKind::Reasons => reasons(deltas, &mut rows),
        WriteKind::Branches => branches(deltas, &mut rows),
        WriteKind::Options => options(deltas, &mut rows),
        WriteKind::Addresses => addresses(deltas, &mut rows),
        WriteKind::Outcomes => branch_records(deltas, &mut rows),
        WriteKind::Results => results(deltas, &mut rows),
        WriteKind::Events => events(deltas, &mut rows),
        WriteKind::Sagas => sagas(acts, &mut rows),
        WriteKind::Pauses => pauses(acts, &mut rows),
        WriteKind::Jobs => jobs(acts, &mut rows),
        WriteKind::Ticks => ticks(deltas, acts, &mut rows),
        WriteKind::Holds => holds(acts, &mut rows),
        WriteKind::Audit => audit(deltas, acts, &mut rows),
    }
    (rows.rows > 0).then_some(rows)
}

fn begin(deltas: &[TransactionDelta<'_>], owner: Incarnation, rows: &mut WriteRows) {
    for delta in deltas {
        let (Some(spec), Some(status)) = (delta.begun, delta.status) else { continue };
        rows.push([
            text(delta.gid.as_str()),
            text(&column_of(delta.instance)),
            text(spec.pattern.as_str()),
            text(status.as_str()),
            (!status.is_finished()).then_some(owner.0).into(),
            spec.open.into(),
            reason(delta).map(Reason::as_str).map(str::to_owned).into(),
            delta.parked.unwrap_or(false).into(),
            spec.created_at.0.into(),
            spec.deadline_at.0.into(),
            delta.decided.map(|decided| decided.at.0).into(),
            delta.finished_at.map(|at| at.0).into(),
        ]);
    }
}

fn advance(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas.iter().filter(|delta| delta.begun.is_none() && delta.moves()) {
        rows.push([
            text(delta.gid.as_str()),
            text(&column_of(delta.instance)),
            delta.from.map(|from| from.as_str().to_owned()).into(),
            delta.status.map(|status| status.as_str().to_owned()).into(),
            reason(delta).map(Reason::as_str).map(str::to_owned).into(),
            delta.parked.into(),
            delta.decided.map(|decided| decided.at.0).into(),
            delta.finished_at.map(|at| at.0).into(),
        ]);
    }
}

fn stay(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas.iter().filter(|delta| delta.begun.is_none() && !delta.moves()) {
        rows.push([
            text(delta.gid.as_str()),
            text(&column_of(delta.instance)),
            delta.from.map(|from| from.as_str().to_owned()).into(),
        ]);
    }
}

fn details(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas {
        let Some(spec) = delta.begun else { continue };
        rows.push([
            text(&delta.rows_key),
            text(spec.fingerprint.as_str()),
            maybe_text(spec.metadata.as_deref()),
            text(&spec.traceparent),
            maybe_text(reason_detail(delta)),
        ]);
    }
}

fn own_options(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas {
        let Some(options) = delta.begun.and_then(|spec| spec.options.as_deref()) else { continue };
        rows.push([text(&delta.rows_key), json(Some(options))]);
    }
}

fn reasons(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas.iter().filter(|delta| delta.begun.is_none()) {
        if let Some(detail) = reason_detail(delta) {
            rows.push([text(&delta.rows_key), text(detail)]);
        }
    }
}

fn options(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    // Of one transaction, in the order in which they are written.
    let mut of_it: Vec<(&BranchSpec, &BranchOptions)> = Vec::new();
    for delta in deltas {
        let begun = delta.begun.iter().flat_map(|spec| &spec.branches);
        let new = begun.chain(delta.registered.iter().copied());
        of_it.extend(new.filter_map(|branch| Some((&**branch, branch.options.as_deref()?))));
        if of_it.is_empty() {
            continue;
        }
        of_it.sort_unstable_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        for (branch, options) in of_it.drain(..) {
            // A list of ids and a number are always written.
            let options = serde_json::to_string(options).unwrap_or_default();
            rows.push([text(&delta.rows_key), text(branch.id.as_str()), text(&options)]);
        }
    }
}

fn branches(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    // Of one transaction, in the order in which they are written.
    let mut of_it: Vec<(&Arc<BranchSpec>, bool)> = Vec::new();
    for delta in deltas {
        let begun = delta.begun.iter().flat_map(|spec| &spec.branches).map(|spec| (spec, false));
        let registered = delta.registered.iter().map(|spec| (*spec, true));
        of_it.extend(begun.chain(registered));
        of_it.sort_unstable_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        for (branch, registered) in of_it.drain(..) {
            rows.push([
                text(&delta.rows_key),
                text(branch.id.as_str()),
                branch.position.into(),
                i32::from(branch.options.is_some()).into(),
                registered.into(),
                text(&branch.participant()),
                url(branch, Op::Try),
                url(branch, Op::Confirm),
                url(branch, Op::Cancel),
                text(&headers(branch)),
                text(&branch.payload),
                i64::try_from(branch.timeout.as_millis()).unwrap_or(i64::MAX).into(),
                text(branch.try_by.as_str()),
                text(branch.fingerprint.as_str()),
            ]);
        }
    }
}

fn addresses(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas {
        for branch in &delta.readdressed {
            rows.push([
                text(&delta.rows_key),
                text(branch.id.as_str()),
                text(&branch.participant()),
                url(branch, Op::Try),
                url(branch, Op::Confirm),
                url(branch, Op::Cancel),
                text(&headers(branch)),
            ]);
        }
    }
}

fn branch_records(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas {
        for outcome in &delta.branch_records {
            let answer = outcome.answer.as_ref();
            rows.push([
                text(&delta.rows_key),
                text(outcome.branch.as_str()),
                text(outcome.status.as_str()),
                outcome.attempts.try_.into(),
                outcome.attempts.confirm.into(),
                outcome.attempts.cancel.into(),
                outcome.parked.into(),
                maybe_text(outcome.last_error.as_deref()),
                answer.and_then(|answer| answer.status).map(i32::from).into(),
                maybe_text(answer.map(|answer| &*answer.body)),
                outcome.resolved_as.map(|resolved| resolved.as_str().to_owned()).into(),
                outcome.acknowledged_at.map(|at| at.0).into(),
                json(outcome.last_answer.as_deref().map(LastAnswerView::from)),
                json(outcome.pending_resolution.as_deref().map(PendingResolutionView::from)),
                outcome.contradicted.into(),
            ]);
        }
    }
}

fn results(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas {
        for (branch, result) in &delta.results {
            rows.push([
                text(&delta.rows_key),
                text(branch.as_str()),
                text(result.as_json()),
                i32::try_from(result.body_bytes()).unwrap_or(i32::MAX).into(),
            ]);
        }
    }
}

fn events(deltas: &[TransactionDelta<'_>], rows: &mut WriteRows) {
    for delta in deltas {
        for happening in &delta.happened {
            rows.push([
                text(&delta.rows_key),
                happening.number.into(),
                happening.at.0.into(),
                text(happening.kind.as_str()),
                maybe_text(happening.branch.as_ref().map(|branch| branch.as_str())),
                maybe_text(happening.op.map(CallOp::as_str)),
                happening.attempt.into(),
                maybe_text(happening.detail.as_deref()),
            ]);
        }
    }
}

fn audit(deltas: &[TransactionDelta<'_>], acts: &[ActAlone], rows: &mut WriteRows) {
    let of_transactions = deltas.iter().flat_map(|delta| delta.acts.iter().copied());
    for act in of_transactions.chain(acts.iter().filter_map(|alone| alone.act.as_ref())) {
        rows.push([
            text(&act.id.to_string()),
            act.at.0.into(),
            text(&act.who),
            text(&act.role),
            text(act.action.as_str()),
            maybe_text(act.gid.as_ref().map(Gid::as_str)),
            maybe_text(act.branch.as_ref().map(BranchId::as_str)),
            maybe_text(act.note.as_deref()),
            text(&act.detail),
        ]);
    }
}

/// What was said last of each: no statement may write a row twice.
fn pauses(acts: &[ActAlone], rows: &mut WriteRows) {
    let said = acts.iter().filter_map(|alone| alone.pause.as_ref());
    let last: BTreeMap<_, _> = said.map(|pause| (&pause.participant, pause)).collect();
    for pause in last.into_values() {
        rows.push([
            text(pause.participant.as_str()),
            pause.paused.into(),
            pause.at.0.into(),
            text(&pause.who),
            maybe_text(pause.note.as_deref()),
        ]);
    }
}

fn sagas(acts: &[ActAlone], rows: &mut WriteRows) {
    for revision in acts.iter().filter_map(|alone| alone.revision.as_ref()) {
        rows.push([
            text(revision.name.as_str()),
            revision.revision.into(),
            revision.version.into(),
            maybe_text(revision.document.as_deref()),
            revision.at.0.into(),
            text(&revision.who),
        ]);
    }
}

fn jobs(acts: &[ActAlone], rows: &mut WriteRows) {
    for alone in acts {
        let Some(JobWrite::Revision(revision)) = &alone.job else { continue };
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        rows.push([
            text(&revision.id.to_string()),
            revision.revision.into(),
            text(revision.stage.as_str()),
            revision.at.0.into(),
            revision.owner.0.into(),
            count(revision.matched).into(),
            count(revision.done).into(),
            count(revision.failed).into(),
            maybe_text(revision.document.as_deref()),
        ]);
    }
}

fn ticks(deltas: &[TransactionDelta<'_>], acts: &[ActAlone], rows: &mut WriteRows) {
    let of_transactions = deltas.iter().flat_map(|delta| delta.ticks.iter().copied());
    let alone = acts.iter().flat_map(|alone| match &alone.job {
        Some(JobWrite::Ticks(ticks)) => ticks.as_slice(),
        Some(JobWrite::Revision(_)) | None => &[],
    });
    for tick in of_transactions.chain(alone) {
        rows.push([
            text(tick.gid.as_str()),
            text(&tick.job.to_string()),
            tick.number.into(),
            maybe_text(tick.code.map(ProblemCode::as_str)),
        ]);
    }
}

fn holds(acts: &[ActAlone], rows: &mut WriteRows) {
    for change in acts.iter().filter_map(|alone| alone.hold.as_ref()) {
        rows.push([
            change.number.into(),
            change.held_to.map(|to| to.0).into(),
            change.at.0.into(),
            text(&change.who),
        ]);
    }
}

fn reason(delta: &TransactionDelta<'_>) -> Option<Reason> {
    match delta.decided.map(|decided| &decided.decision) {
        Some(Decision::Cancel { reason, .. }) => Some(*reason),
        Some(Decision::Confirm) | None => None,
    }
}

fn reason_detail<'a>(delta: &TransactionDelta<'a>) -> Option<&'a str> {
    match delta.decided.map(|decided| &decided.decision) {
        Some(Decision::Cancel { detail, .. }) => detail.as_deref(),
        Some(Decision::Confirm) | None => None,
    }
}

fn url(branch: &BranchSpec, op: Op) -> Value {
    maybe_text(branch.url(op).map(|url| url.as_str()))
}

/// Headers as one JSON object of texts.
fn headers(branch: &BranchSpec) -> String {
    let pairs = branch.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    serde_json::Value::Object(pairs.collect()).to_string()
}

/// What belongs together and nothing is searched by, as one text.
fn json(what: Option<impl Serialize>) -> Value {
    // Texts and numbers alone: there is nothing in it that JSON could not say.
    what.and_then(|what| serde_json::to_string(&what).ok()).into()
}

fn text(text: &str) -> Value {
    text.into()
}

fn maybe_text(text: Option<&str>) -> Value {
    text.map(str::to_owned).into()
}
