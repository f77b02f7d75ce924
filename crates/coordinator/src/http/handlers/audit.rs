//! `GET /v1/audit`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{
    Action, AuditEntryView, AuditQuery, Gid, Invalid, Page, Problem, Wall, without_nul,
};
use utoipa::IntoParams;

use crate::http::extract::filter::Paging;
use crate::http::extract::params::{FromParams, Params, Query};
use crate::http::handlers::list::synced;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Which rows of the audit.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct AuditFilter {
    /// Only what this one did: the name of a token or JWT, else an address.
    who: Option<String>,
    /// Only what was done to this transaction alone. What a job, `retry-all`, a pause or a release did to many
    /// has one entry without a gid, and the transaction's history names that by its id.
    #[param(value_type = Option<String>)]
    gid: Option<Gid>,
    /// Only this.
    #[param(value_type = Option<String>, pattern = "^(retry|retry-all|resolve|readdress|saga-put|saga-retire|pause|resume|job-begin|job-stop|release|confirm-held|cancel-held)$")]
    action: Option<Action>,
    /// Done at this RFC 3339 time or later.
    #[param(value_type = Option<String>)]
    since: Option<Wall>,
}

impl FromParams for AuditFilter {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let who = |text: &str| Ok::<_, String>(without_nul(text).into_owned());
        Ok(Self {
            who: params.take("who", who)?,
            gid: params.take("gid", str::parse)?,
            action: params.take("action", str::parse)?,
            since: params.take("since", str::parse)?,
        })
    }
}

/// List what operators did
///
/// Newest first. Every condition given must hold. An entry is written in the commit of what it
/// changed, and kept for `retention.audit_days`, whatever becomes of its transaction.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "operator",
    params(AuditFilter, Paging),
    responses(
        (status = 200, body = Page<AuditEntryView>, description = "A page."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn audit(
    State(api): State<Arc<Api>>,
    Query(given): Query<(AuditFilter, Paging)>,
) -> Result<Json<Page<AuditEntryView>>, Failure> {
    let query = audit_query(given)?;
    // It is read from the database; what was told before this request is in it.
    synced(&api).await?;
    let page = api.journal.audit(&query).await;
    page.map(Json).map_err(|error| Failure::unreadable(&error))
}

fn audit_query((filter, paging): (AuditFilter, Paging)) -> Result<AuditQuery, Invalid> {
    let AuditFilter { who, gid, action, since } = filter;
    let first = AuditQuery { who, gid, action, since, limit: paging.limit(), after: None };
    let after = paging.cursor(|text| first.place(text))?;
    Ok(AuditQuery { after, ..first })
}

#[cfg(test)]
mod tests {
    use tercet_wire::AuditPlace;

    use super::*;

    fn parse(query: &str) -> Result<AuditQuery, String> {
        let read = Query::parse(query).and_then(|Query(given)| audit_query(given));
        read.map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn every_condition_is_read() {
        let filters =
            "who=alice%20b&gid=order-1&action=retry-all&since=2025-11-20T13:00:00%2B01:00";
        let mut expected = AuditQuery {
            who: Some("alice b".to_owned()),
            gid: Some("order-1".parse().expect("a gid")),
            action: Some(Action::RetryAll),
            since: Some(Wall(1_763_640_000_000)),
            limit: 50,
            after: None,
        };
        assert_eq!(parse(filters), Ok(expected.clone()));
        let id = "01980000-0000-7000-8000-000000000007".parse().expect("an id");
        let place = AuditPlace { at: Wall(5), id };
        let cursor = expected.cursor(&place);
        (expected.limit, expected.after) = (500, Some(place));
        assert_eq!(parse(&format!("{filters}&limit=500&cursor={cursor}")), Ok(expected));
        let refused = parse(&format!("cursor={cursor}")).expect_err("it is another list's");
        assert!(refused.starts_with("cursor: is of a page"), "{refused}");
    }

    #[test]
    fn a_parameter_unknown_or_out_of_range_is_named() {
        for (query, expected) in [
            (
                "action=confirm",
                "action: \"confirm\" is not one of retry retry-all resolve readdress saga-put saga-retire pause resume job-begin job-stop release confirm-held cancel-held",
            ),
            ("gid=-x", "gid: must begin with"),
            ("since=yesterday", "since: must be an RFC 3339"),
            ("limit=0", "limit: must be a whole number from 1 to 500"),
            ("cursor=x", "cursor: must be the next_cursor"),
            ("who=a&who=b", "who: is given twice"),
            (
                "until=2025-11-20T12:00:00Z",
                "until: is not known; there are who, gid, action, since,",
            ),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
