//! `POST /v1/retry`: the same for all that a filter finds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use tercet_engine::{Act, Ask, Refusal, Reply, Until};
use tercet_wire::{
    ActId, Action, Gid, Incarnation, ListQuery, MetadataFilter, Problem, ProblemCode, RetriedView,
    Status, Wall, header, without_nul,
};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::access::Caller;
use crate::cluster::{Forwarder, LOOK_AGAIN};
use crate::http::extract::acting::ACT;
use crate::http::extract::body::OptionalBody;
use crate::http::extract::filter::{Filter, UnfinishedFilter};
use crate::http::extract::params::Query;
use crate::http::handlers::list::synced;
use crate::http::handlers::retry::RetryRequest;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;
use crate::runtime::RuntimeHandle;

/// Transactions asked at a time: enough to share batches of the journal, too few to fill the
/// lane that initiators' confirms come by.
const AT_A_TIME: usize = 64;

/// Call now what is waiting in many transactions
///
/// Of every unfinished transaction the filter finds, as `retry` does for one. Answers when all
/// were asked; a caller who hangs up ends it where it is. Safe to repeat; each time is one entry of
/// the audit, which the histories of those that were asked name.
#[utoipa::path(
    post,
    path = "/v1/retry",
    tag = "operator",
    params(UnfinishedFilter, Filter),
    responses(
        (status = 200, body = RetriedView, description = "How many were asked."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `owner-unreachable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn retry_all(
    State(api): State<Arc<Api>>,
    Query((status, filter)): Query<(UnfinishedFilter, Filter)>,
    caller: Caller,
    OptionalBody(RetryRequest {}): OptionalBody<RetryRequest>,
) -> Result<Json<RetriedView>, Failure> {
    let mut query = unfinished(status, filter);
    synced(&api).await?;
    let id = api.clock.new_act();
    let act = act(&caller, id, &query, api.clock.now().wall);
    api.journal.act(act).await.map_err(|error| Failure::unwritten(&error))?;
    let asking = Asking {
        engine: api.engine.clone(),
        forwarder: api.forwarder.clone(),
        caller,
        act: id,
        silent: Arc::default(),
    };
    let mut asked = Asked::default();
    loop {
        let page = api.journal.list(&query).await;
        let page = page.map_err(|error| Failure::unreadable(&error))?;
        let gids = page.items.into_iter().map(|item| item.gid);
        asking.each(gids, &mut asked).await?;
        // What was begun meanwhile is newer than the first page: the walk has an end.
        let Some(cursor) = page.next_cursor else { return asked.told() };
        let Ok(place) = query.place(&cursor) else { return Err(Failure::internal()) };
        query.after = Some(place);
    }
}

/// What came of all that were asked.
#[derive(Debug, Default)]
struct Asked {
    retried: u64,
    /// How many are driven by a node that did not answer, and one of them.
    unreached: u64,
    example: Option<Gid>,
}

impl Asked {
    fn count(&mut self, one: One) {
        match one {
            One::Retried => self.retried += 1,
            One::Over => {}
            One::Unreached(gid) => {
                self.unreached += 1;
                self.example.get_or_insert(gid);
            }
        }
    }

    fn told(self) -> Result<Json<RetriedView>, Failure> {
        let Self { retried, unreached, example: Some(gid) } = self else {
            return Ok(Json(RetriedView { retried: self.retried }));
        };
        let detail = format!(
            "{retried} were retried; the node that drives {unreached} others did not answer: ask again"
        );
        Err(Failure::new(ProblemCode::OwnerUnreachable, detail).about(&gid))
    }
}

/// What came of one.
#[derive(Debug)]
enum One {
    Retried,
    /// It has ended, or is none of those that can be called.
    Over,
    Unreached(Gid),
}

/// Whom to ask, and for whom.
#[derive(Clone)]
struct Asking {
    engine: RuntimeHandle,
    forwarder: Option<Arc<Forwarder>>,
    caller: Caller,
    /// What this is a part of.
    act: ActId,
    /// Owners that did not answer for one: they are not waited for again for each of the others.
    silent: Arc<Mutex<BTreeSet<Incarnation>>>,
}

impl Asking {
    /// Asks each, some at a time.
    async fn each(
        &self,
        gids: impl Iterator<Item = Gid>,
        so_far: &mut Asked,
    ) -> Result<(), Failure> {
        let mut asked = JoinSet::new();
        // Nothing aborts these, and a panic was told by its hook.
        let of = |came: Result<Result<One, Failure>, JoinError>| {
            came.unwrap_or_else(|_| Err(Failure::internal()))
        };
        for gid in gids {
            if asked.len() >= AT_A_TIME
                && let Some(came) = asked.join_next().await
            {
                so_far.count(of(came)?);
            }
            asked.spawn(self.clone().one(gid));
        }
        while let Some(came) = asked.join_next().await {
            so_far.count(of(came)?);
        }
        Ok(())
    }

    /// Asks whoever drives it. That may be another by the time it is asked, or one that this node has
    /// not seen yet: for as long as any request is looked after, it is found out anew.
    async fn one(self, gid: Gid) -> Result<One, Failure> {
        let Some(forwarder) = self.forwarder.clone() else {
            return Ok(self.here(&gid).await?.unwrap_or(One::Over));
        };
        let until = forwarder.now().mono.after(forwarder.patience);
        loop {
            let owner = match self.here(&gid).await? {
                Ok(one) => return Ok(one),
                Err(owner) => owner,
            };
            if lock(&self.silent).contains(&owner) {
                return Ok(One::Unreached(gid));
            }
            let left = until.since(forwarder.now().mono);
            match retry_at(&forwarder, owner, &gid, (&self.caller, self.act), left).await.as_deref()
            {
                Some("trying" | "confirming" | "cancelling") => return Ok(One::Retried),
                Some(_) => return Ok(One::Over),
                None => {}
            }
            let left = until.since(forwarder.now().mono);
            if left.is_zero() {
                lock(&self.silent).insert(owner);
                return Ok(One::Unreached(gid));
            }
            sleep(LOOK_AGAIN.min(left)).await;
        }
    }

    /// The same by this node, or which drives it.
    async fn here(&self, gid: &Gid) -> Result<Result<One, Incarnation>, Failure> {
        let ask = Ask::Retry { by: self.caller.acts_in_part(self.act) };
        let reply = self.engine.ask(gid.clone(), ask, Until::Accepted, Duration::ZERO).await;
        Ok(match reply {
            Reply::Refused(Refusal::Elsewhere(owner)) => Err(owner),
            Reply::Transaction { snapshot, .. } => {
                let is_over = snapshot.transaction.status().is_finished();
                Ok(if is_over { One::Over } else { One::Retried })
            }
            Reply::Refused(Refusal::JournalUnavailable) => {
                let detail = "the journal did not answer in time; some were retried, ask again";
                return Err(Failure::new(ProblemCode::JournalUnavailable, detail));
            }
            // It has ended and gone, or is quarantined: not one of those that can be called.
            Reply::Refused(_) | Reply::Branch { .. } | Reply::Branches { .. } => Ok(One::Over),
        })
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The transaction's status as its owner tells it; empty where it knows of none. Nothing if the
/// owner did not answer, or is none.
async fn retry_at(
    forwarder: &Forwarder,
    owner: Incarnation,
    gid: &Gid,
    (caller, act): (&Caller, ActId),
    within: Duration,
) -> Option<String> {
    let uri = format!("/v1/transactions/{gid}/retry?{ACT}={act}");
    let request = http::Request::builder().method(Method::POST).uri(uri).body(Bytes::new());
    let (parts, body) = request.ok()?.into_parts();
    let answer = forwarder.ask(owner, (&parts, &body), caller, within).await.ok()?;
    if matches!(answer.status().as_u16(), 401 | 421 | 500..) {
        return None;
    }
    let status = answer.headers().get(header::STATUS).and_then(|status| status.to_str().ok());
    Some(status.unwrap_or_default().to_owned())
}

/// The row of the audit, which is there before anything is done.
fn act(caller: &Caller, id: ActId, query: &ListQuery, at: Wall) -> Act {
    let statuses = query.statuses.iter().map(|status| status.as_str());
    let mut filter = json!({ "status": statuses.collect::<Vec<_>>().join(",") });
    if query.parked {
        filter["parked"] = true.into();
    }
    if let Some(participant) = &query.participant {
        // Some databases, and most programs for people, cannot hold it.
        filter["participant"] = without_nul(participant).into();
    }
    if let Some(pattern) = query.pattern {
        filter["pattern"] = pattern.as_str().into();
    }
    if let Some(open) = query.open {
        filter["open"] = open.into();
    }
    if !query.reasons.is_empty() {
        let reasons = query.reasons.iter().map(|reason| reason.as_str());
        filter["reason"] = reasons.collect::<Vec<_>>().join(",").into();
    }
    if let Some(prefix) = &query.gid_prefix {
        filter["gid_prefix"] = prefix.as_str().into();
    }
    for MetadataFilter { key, value } in &query.metadata {
        filter[format!("metadata.{key}")] = value.as_str().into();
    }
    for (name, moment) in
        [("created_after", query.created_after), ("created_before", query.created_before)]
    {
        if let Some(moment) = moment {
            filter[name] = json!(moment);
        }
    }
    Act {
        id,
        at,
        who: Arc::clone(&caller.who),
        role: Arc::from(caller.role.as_str()),
        action: Action::RetryAll,
        gid: None,
        branch: None,
        note: None,
        detail: Arc::from(json!({ "filter": filter }).to_string()),
    }
}

fn unfinished(status: UnfinishedFilter, filter: Filter) -> ListQuery {
    let all = || vec![Status::Trying, Status::Confirming, Status::Cancelling];
    filter.query(status.status.unwrap_or_else(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unfinished_is_looked_for() {
        let statuses = |query: &str| {
            let read = Query::<(UnfinishedFilter, Filter)>::parse(query);
            let query = read.map(|Query((status, filter))| unfinished(status, filter));
            query.map(|query| query.statuses).map_err(|invalid| invalid.to_string())
        };
        let all = vec![Status::Trying, Status::Confirming, Status::Cancelling];
        assert_eq!(statuses(""), Ok(all.clone()));
        assert_eq!(statuses("parked=true&participant=pay:80"), Ok(all));
        assert_eq!(statuses("status=confirming"), Ok(vec![Status::Confirming]));
        let refused =
            "status: cancelled transactions have ended, and nothing is left to be done in them";
        assert_eq!(statuses("status=trying,cancelled"), Err(refused.to_owned()));
        let refused = statuses("limit=5").expect_err("pages are not the caller's affair");
        assert!(refused.starts_with("limit: is not known"), "{refused}");
    }
}
