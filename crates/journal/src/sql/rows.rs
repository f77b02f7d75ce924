//! From rows back to values. Whatever does not parse makes the whole transaction unreadable:
//! driving it on half understood would be worse than leaving it to people.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tercet_engine::{
    BranchRecord, Decided, Decision, HistoryEvent, HoldChange, JobRevision, ResultRecord,
    SagaRevision, StoredTransaction, TryAnswer,
};
use tercet_wire::{
    ActId, AuditEntryView, BranchId, BranchResult, BranchSpec, BranchStatus, Fingerprint,
    Incarnation, LastAnswerView, Op, Order, Pattern, PendingResolutionView, PerOp, ResolvedAs,
    Spec, Status, SummaryView, TransactionOptions, Wall,
};

use super::entities::{
    audit, branch, detail, event, job, options, outcome, own_options, result, saga, transaction,
};
use super::key::instance_of;

/// What is wrong with a row, in words.
pub(crate) type Wrong = String;

/// All rows of one transaction.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) transaction: transaction::Model,
    pub(crate) detail: Option<detail::Model>,
    pub(crate) own_options: Option<own_options::Model>,
    pub(crate) branches: Vec<branch::Model>,
    pub(crate) options: Vec<options::Model>,
    pub(crate) branch_records: Vec<outcome::Model>,
    pub(crate) results: Vec<result::Model>,
    pub(crate) history_len: i64,
    pub(crate) history_kept: i64,
    /// Ids of the jobs that have come to it.
    pub(crate) jobs: Vec<String>,
}

impl Rows {
    pub(crate) fn stored(mut self) -> Result<StoredTransaction, Wrong> {
        let row = &self.transaction;
        // It says where all the others are.
        let instance = instance_of(&row.instance).map_err(|why| wrong("instance", why))?;
        let detail = self.detail.as_ref().ok_or("its details are missing")?;
        self.branches.sort_by_key(|branch| branch.position);
        let branches = self.branches.iter().map(|row| {
            let options = self.options.iter().find(|options| options.branch_id == row.branch_id);
            Ok((row.registered, Arc::new(branch(row, options)?)))
        });
        let branches = branches.collect::<Result<Vec<(bool, Arc<BranchSpec>)>, Wrong>>()?;
        let begun = branches.iter().filter(|(registered, _)| !registered);
        let spec = Spec {
            gid: parse("gid", &row.gid)?,
            instance,
            pattern: parse("pattern", &row.pattern)?,
            open: row.open,
            created_at: Wall(row.created_at),
            deadline_at: Wall(row.deadline_at),
            fingerprint: Fingerprint::from_text(&detail.fingerprint),
            metadata: detail.metadata.as_deref().map(Arc::from),
            traceparent: Arc::from(&*detail.traceparent),
            options: options(self.own_options.as_ref())?.map(Arc::new),
            branches: begun.map(|(_, branch)| Arc::clone(branch)).collect(),
        };
        let mut branch_records = self
            .branch_records
            .iter()
            .map(outcome)
            .collect::<Result<Vec<BranchRecord>, Wrong>>()?;
        branch_records.sort_by(|a, b| a.branch.cmp(&b.branch));
        let status = parse("status", &row.status)?;
        if row.finished_at.is_some() != Status::is_finished(status) {
            return Err(format!("it is {status}, which does not fit its finished_at"));
        }
        // Such a branch would be taken for one that was told a decision nobody has taken.
        let ended =
            |row: &&BranchRecord| row.acknowledged_at.is_some() || row.resolved_as.is_some();
        if !Status::is_decided(status)
            && let Some(early) = branch_records.iter().find(ended)
        {
            return Err(format!("{} has ended, and the transaction is {status}", early.branch));
        }
        let unsaid =
            |row: &&BranchRecord| row.resolved_as.is_some() && row.acknowledged_at.is_none();
        if let Some(row) = branch_records.iter().find(unsaid) {
            return Err(format!("{} was resolved by hand and has not ended", row.branch));
        }
        let branches: Vec<Arc<BranchSpec>> =
            branches.into_iter().map(|(_, branch)| branch).collect();
        let of = (spec.pattern, spec.open);
        let results = results(&self.results, &branches, &branch_records, of)?;
        Ok(StoredTransaction {
            spec: Arc::new(spec),
            branches,
            status,
            decided: decided(row, status, detail.reason_detail.as_deref())?,
            finished_at: row.finished_at.map(Wall),
            parked: row.parked,
            owner: row.owner.map(Incarnation),
            branch_records,
            results,
            history: Vec::new(),
            history_len: small("number", self.history_len)?,
            history_kept: small("number", self.history_kept)?,
            jobs: jobs(&self.jobs)?,
        })
    }
}

/// In order. A job that is not known by its id would come to it again.
fn jobs(ids: &[String]) -> Result<Vec<ActId>, Wrong> {
    let mut jobs =
        ids.iter().map(|id| parse("job_id", id)).collect::<Result<Vec<ActId>, Wrong>>()?;
    jobs.sort_unstable();
    Ok(jobs)
}

/// The change of a job that a row stands for.
pub(crate) fn job_revision(row: &job::Model) -> Result<JobRevision, Wrong> {
    let count =
        |column: &str, count: i64| u64::try_from(count).map_err(|_| format!("{column} is {count}"));
    Ok(JobRevision {
        id: parse("id", &row.id)?,
        revision: small("revision", i64::from(row.revision))?,
        stage: parse("stage", &row.stage)?,
        at: Wall(row.at),
        owner: Incarnation(row.owner),
        matched: count("matched", row.matched)?,
        done: count("done", row.done)?,
        failed: count("failed", row.failed)?,
        document: row.document.as_deref().map(Arc::from),
    })
}

/// Whether there can be a row of its options: a word that is none of ours is looked at later.
pub(crate) fn can_have_options(row: &transaction::Model) -> bool {
    let pattern = row.pattern.parse().unwrap_or(Pattern::Tcc);
    TransactionOptions::are_possible(pattern, row.open)
}

fn options(row: Option<&own_options::Model>) -> Result<Option<TransactionOptions>, Wrong> {
    json("options", row.map(|row| &*row.options))
}

/// What Tries were answered with. Whoever comes after would be told what is not so, if a branch had
/// one that was not tried; or not be told, if one that was had lost its own.
fn results(
    rows: &[result::Model],
    branches: &[Arc<BranchSpec>],
    records: &[BranchRecord],
    (pattern, open): (Pattern, bool),
) -> Result<Vec<ResultRecord>, Wrong> {
    let mut results = rows.iter().map(kept).collect::<Result<Vec<ResultRecord>, Wrong>>()?;
    results.sort_by(|a, b| a.branch.cmp(&b.branch));
    let status = |id: &BranchId| {
        records.iter().find(|record| record.branch == *id).map(|record| record.status)
    };
    let untried = results.iter().find(|kept| !was_tried(status(&kept.branch)));
    if let Some(kept) = untried {
        return Err(format!("{} has a result and was not tried", kept.branch));
    }
    if !branches.iter().any(|branch| branch.results()) {
        return Ok(results);
    }
    let order = (pattern == Pattern::Saga).then(|| Order::of(branches));
    for (position, branch) in branches.iter().enumerate() {
        let asks = |position: usize| branches.get(position).is_some_and(|it| it.results());
        // What came before who asks, in an open saga, may be older than results are.
        let is_told = |order: &Order| !open && order.after(position).any(asks);
        let is_kept = asks(position) || order.as_ref().is_some_and(is_told);
        let record = records.iter().find(|record| record.branch == branch.id);
        // Of one that has ended the record may say that it was tried although it was not.
        let was_tried = record.is_some_and(|record| {
            record.status == BranchStatus::Tried && record.acknowledged_at.is_none()
        });
        let has_result = results.iter().any(|kept| kept.branch == branch.id);
        if is_kept && was_tried && branch.url(Op::Try).is_some() && !has_result {
            return Err(format!("the result of {} is missing", branch.id));
        }
    }
    Ok(results)
}

fn was_tried(status: Option<BranchStatus>) -> bool {
    match status {
        Some(BranchStatus::Tried | BranchStatus::Confirmed | BranchStatus::Cancelled) => true,
        Some(BranchStatus::Registered | BranchStatus::Refused | BranchStatus::Skipped) | None => {
            false
        }
    }
}

fn kept(row: &result::Model) -> Result<ResultRecord, Wrong> {
    let body_bytes = small("body_bytes", i64::from(row.body_bytes))?;
    // What is in it is not repeated: it is the participant's.
    let result = BranchResult::from_stored(&row.result, body_bytes)
        .map_err(|_| format!("result of {} is no JSON", row.branch_id))?;
    Ok(ResultRecord { branch: parse("branch_id", &row.branch_id)?, result })
}

fn decided(
    row: &transaction::Model,
    status: Status,
    detail: Option<&str>,
) -> Result<Option<Decided>, Wrong> {
    let at = row.decided_at.map(Wall);
    let decision = match status {
        Status::Trying => None,
        Status::Confirming | Status::Confirmed => Some(Decision::Confirm),
        Status::Cancelling | Status::Cancelled => {
            let reason = row.reason.as_deref().ok_or("it is cancelled without a reason")?;
            Some(Decision::Cancel {
                reason: parse("reason", reason)?,
                detail: detail.map(Arc::from),
            })
        }
    };
    match (at, decision) {
        (Some(at), Some(decision)) => Ok(Some(Decided { at, decision })),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            Err(format!("it is {status}, which does not fit its decided_at"))
        }
    }
}

fn branch(row: &branch::Model, options: Option<&options::Model>) -> Result<BranchSpec, Wrong> {
    let headers: BTreeMap<String, String> = serde_json::from_str(&row.headers)
        // What is in it is secret, so the error's own words, which quote it, are not used.
        .map_err(|_| format!("headers of {} are no object of texts", row.branch_id))?;
    let timeout = u64::try_from(row.timeout_ms).map_err(|_| wrong("timeout_ms", row.timeout_ms))?;
    let url = |name, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => parse(name, text).map(Arc::new).map(Some),
    };
    Ok(BranchSpec {
        id: parse("branch_id", &row.branch_id)?,
        position: small("position", i64::from(row.position))?,
        urls: PerOp {
            try_: url("try_url", &row.try_url)?,
            confirm: url("confirm_url", &row.confirm_url)?,
            cancel: url("cancel_url", &row.cancel_url)?,
        },
        headers,
        payload: Arc::from(&*row.payload),
        timeout: Duration::from_millis(timeout),
        try_by: parse("try_by", &row.try_by)?,
        options: match (row.stage, options) {
            (0, None) => None,
            // Without them it would be called in another order.
            (0, Some(_)) | (_, None) => {
                return Err(format!("options of {} do not fit its stage", row.branch_id));
            }
            (_, Some(options)) => json("options", Some(&options.options))?.map(Arc::new),
        },
        fingerprint: Fingerprint::from_text(&row.fingerprint),
    })
}

fn outcome(row: &outcome::Model) -> Result<BranchRecord, Wrong> {
    let status = row.answer_status.map(u16::try_from).transpose();
    let status = status.map_err(|_| "answer_status is none of HTTP's")?;
    let answer = row.answer_body.as_deref().map(|body| TryAnswer { status, body: body.into() });
    Ok(BranchRecord {
        branch: parse("branch_id", &row.branch_id)?,
        status: parse("status", &row.status)?,
        attempts: PerOp {
            try_: small("try_attempts", row.try_attempts)?,
            confirm: small("confirm_attempts", row.confirm_attempts)?,
            cancel: small("cancel_attempts", row.cancel_attempts)?,
        },
        parked: row.parked,
        last_error: row.last_error.as_deref().map(Arc::from),
        answer,
        resolved_as: maybe("resolved_as", row.resolved_as.as_deref())?,
        acknowledged_at: row.acknowledged_at.map(Wall),
        last_answer: json::<LastAnswerView>("last_answer", row.last_answer.as_deref())?
            .map(|view| Arc::new(view.into())),
        pending_resolution: json::<PendingResolutionView>(
            "pending_resolution",
            row.pending_resolution.as_deref(),
        )?
        .map(|view| Arc::new(view.into())),
        contradicted: row.contradicted,
    })
}

/// A line of history.
pub(crate) fn happening(row: &event::Model) -> Result<HistoryEvent, Wrong> {
    Ok(HistoryEvent {
        number: small("number", row.number)?,
        at: Wall(row.at),
        kind: parse("kind", &row.kind)?,
        branch: maybe("branch_id", row.branch_id.as_deref())?,
        op: maybe("op", row.op.as_deref())?,
        attempt: row.attempt.map(|attempt| small("attempt", attempt)).transpose()?,
        detail: row.detail.as_deref().map(Arc::from),
    })
}

/// What an operator did.
pub(crate) fn audit_entry(row: &audit::Model) -> Result<AuditEntryView, Wrong> {
    Ok(AuditEntryView {
        id: parse("id", &row.id)?,
        at: Wall(row.at),
        who: row.who.clone(),
        role: row.role.clone(),
        // A newer program may have written words that this one does not know.
        action: row.action.clone(),
        gid: maybe("gid", row.gid.as_deref())?,
        branch: maybe("branch_id", row.branch_id.as_deref())?,
        note: row.note.clone(),
        detail: json("detail", Some(&row.detail))?.unwrap_or_default(),
    })
}

/// What became of the definition of a saga.
pub(crate) fn saga_revision(row: &saga::Model) -> Result<SagaRevision, Wrong> {
    let number = |name: &str, number: i32| {
        u32::try_from(number).map_err(|_| format!("{name}: {number} is below nought"))
    };
    Ok(SagaRevision {
        name: parse("name", &row.name)?,
        revision: number("revision", row.revision)?,
        version: number("version", row.version)?,
        document: row.document.as_deref().map(Arc::from),
        at: Wall(row.at),
        who: Arc::from(row.who.as_str()),
    })
}

/// A branch that was resolved by hand.
#[derive(Debug)]
pub(crate) struct ByHand {
    pub(crate) resolved_as: String,
    /// Whether its participant said otherwise afterwards.
    pub(crate) contradicted: bool,
}

/// A transaction as lists show it; `by_hand` are its branches that were resolved.
pub(crate) fn summary(
    row: &transaction::Model,
    detail: Option<&detail::Model>,
    own_options: Option<&own_options::Model>,
    branch_count: u32,
    by_hand: &[ByHand],
    hold: Option<&HoldChange>,
) -> Result<SummaryView, Wrong> {
    let status: Status = parse("status", &row.status)?;
    let mut mixed = false;
    for ByHand { resolved_as, contradicted } in by_hand {
        let resolved_as: ResolvedAs = parse("resolved_as", resolved_as)?;
        mixed |= *contradicted || status.decided_op() != Some(resolved_as.op());
    }
    let metadata = detail.and_then(|detail| detail.metadata.as_deref());
    let metadata = metadata.map(serde_json::from_str).transpose();
    let options = options(own_options)?.unwrap_or_default();
    Ok(SummaryView {
        gid: parse("gid", &row.gid)?,
        instance: instance_of(&row.instance).map_err(|why| wrong("instance", why))?,
        pattern: parse("pattern", &row.pattern)?,
        status,
        open: row.open,
        reason: maybe("reason", row.reason.as_deref())?,
        reason_detail: detail.and_then(|detail| detail.reason_detail.clone()),
        parked: row.parked,
        check: options.check.map(|url| url.to_string()),
        saga: options.saga,
        created_at: Wall(row.created_at),
        deadline_at: Wall(row.deadline_at),
        decided_at: row.decided_at.map(Wall),
        finished_at: row.finished_at.map(Wall),
        metadata: metadata.map_err(|error| wrong("metadata", error))?,
        mixed,
        held: hold.is_some_and(|hold| hold.holds(status, Wall(row.created_at))),
        branch_count: Some(branch_count),
    })
}

/// What was written as one text. What is in it is not repeated: it is the participant's, or an
/// operator's.
fn json<T: DeserializeOwned>(column: &str, text: Option<&str>) -> Result<Option<T>, Wrong> {
    let read = text.map(serde_json::from_str).transpose();
    read.map_err(|_| format!("{column} is not what was written there"))
}

fn parse<T: FromStr<Err: Display>>(column: &str, text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|error: T::Err| wrong(column, error))
}

fn maybe<T: FromStr<Err: Display>>(column: &str, text: Option<&str>) -> Result<Option<T>, Wrong> {
    text.map(|text| parse(column, text)).transpose()
}

fn small(column: &str, number: i64) -> Result<u32, Wrong> {
    u32::try_from(number).map_err(|_| wrong(column, number))
}

fn wrong(column: &str, what: impl Display) -> Wrong {
    format!("{column}: {what}")
}
