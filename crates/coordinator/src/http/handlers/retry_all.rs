//! `POST /v1/retry`: the same for all that a filter finds.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use tercet_engine::{Ask, Refusal, Reply, Until};
use tercet_wire::{Gid, ListQuery, Problem, ProblemCode, RetriedView, Status};
use tokio::task::JoinSet;

use crate::http::extract::body::OptionalBody;
use crate::http::extract::filter::{Filter, UnfinishedFilter};
use crate::http::extract::params::Query;
use crate::http::extract::peer::Who;
use crate::http::handlers::list::synced;
use crate::http::handlers::retry::RetryRequest;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Transactions asked at a time: enough to share batches of the journal, too few to fill the
/// lane that initiators' confirms come by.
const AT_A_TIME: usize = 64;

/// Call now what is waiting in many transactions
///
/// Of every unfinished transaction the filter finds, as `retry` does for one. Answers when all
/// were asked; a caller who hangs up ends it where it is. Safe to repeat.
#[utoipa::path(
    post,
    path = "/v1/retry",
    tag = "operator",
    params(UnfinishedFilter, Filter),
    responses(
        (status = 200, body = RetriedView, description = "How many were asked."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn retry_all(
    State(api): State<Arc<Api>>,
    Query((status, filter)): Query<(UnfinishedFilter, Filter)>,
    Who(who): Who,
    OptionalBody(RetryRequest {}): OptionalBody<RetryRequest>,
) -> Result<Json<RetriedView>, Failure> {
    let mut query = unfinished(status, filter);
    synced(&api).await?;
    let mut retried = 0;
    loop {
        let page = api.journal.list(&query).await;
        let page = page.map_err(|error| Failure::unreadable(&error))?;
        let gids = page.items.into_iter().map(|item| item.gid);
        retried += retry_each(&api, gids, &who).await?;
        // What was begun meanwhile is newer than the first page: the walk has an end.
        let Some(cursor) = page.next_cursor else { return Ok(Json(RetriedView { retried })) };
        let Ok(cursor) = cursor.parse() else { return Err(Failure::internal()) };
        query.cursor = Some(cursor);
    }
}

/// Asks each, some at a time, and counts those that were not finished by then.
async fn retry_each(
    api: &Api,
    gids: impl Iterator<Item = Gid>,
    who: &Arc<str>,
) -> Result<u64, Failure> {
    let mut asked = JoinSet::new();
    let mut retried = 0;
    for gid in gids {
        if asked.len() >= AT_A_TIME
            && let Some(reply) = asked.join_next().await
        {
            retried += counted(reply)?;
        }
        let (engine, ask) = (api.engine.clone(), Ask::Retry { who: Arc::clone(who) });
        asked.spawn(async move { engine.ask(gid, ask, Until::Accepted, Duration::ZERO).await });
    }
    while let Some(reply) = asked.join_next().await {
        retried += counted(reply)?;
    }
    Ok(retried)
}

fn counted(reply: Result<Reply, tokio::task::JoinError>) -> Result<u64, Failure> {
    // Nothing aborts these, and a panic was told by its hook.
    let Ok(reply) = reply else { return Err(Failure::internal()) };
    match reply {
        Reply::Transaction { snapshot, .. } => {
            Ok(u64::from(!snapshot.transaction.status().is_finished()))
        }
        Reply::Refused(Refusal::JournalUnavailable) => {
            let detail = "the journal did not answer in time; some were retried, ask again";
            Err(Failure::new(ProblemCode::JournalUnavailable, detail))
        }
        // It has ended and gone, or is quarantined: not one of those that can be called.
        Reply::Refused(_) | Reply::Branch { .. } => Ok(0),
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
        let refused = "status: nothing is called of what is cancelled";
        assert_eq!(statuses("status=trying,cancelled"), Err(refused.to_owned()));
        let refused = statuses("limit=5").expect_err("pages are not the caller's affair");
        assert!(refused.starts_with("limit: is not known"), "{refused}");
    }
}
