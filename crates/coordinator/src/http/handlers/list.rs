//! `GET /v1/transactions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{Invalid, ListQuery, Page, Problem, ProblemCode, SummaryView};

use crate::http::extract::filter::{Filter, Paging, StatusFilter};
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

type ListParams = (StatusFilter, (Filter, Paging));

/// List transactions
///
/// Newest first, without their branches. Every condition given must hold.
#[utoipa::path(
    get,
    path = "/v1/transactions",
    tag = "transactions",
    params(StatusFilter, Filter, Paging),
    responses(
        (status = 200, body = Page<SummaryView>, description = "A page."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    Query(given): Query<ListParams>,
) -> Result<Json<Page<SummaryView>>, Failure> {
    let query = list_query(given)?;
    // The list is read from the database; what was told before this request is in it.
    synced(&api).await?;
    let page = api.journal.list(&query).await;
    page.map(Json).map_err(|error| Failure::unreadable(&error))
}

/// Waits until what was told before is durable, and so in what is read from the database.
pub(in crate::http) async fn synced(api: &Api) -> Result<(), Failure> {
    api.engine.synced().await.map_err(|_| {
        let detail = "the journal did not answer in time; ask again";
        Failure::new(ProblemCode::JournalUnavailable, detail)
    })
}

fn list_query((status, (filter, paging)): ListParams) -> Result<ListQuery, Invalid> {
    Ok(ListQuery {
        limit: paging.limit(),
        cursor: paging.cursor(str::parse)?,
        ..filter.query(status.status.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use tercet_wire::{Pattern, Status, Wall};

    use super::*;

    fn parse(query: &str) -> Result<ListQuery, String> {
        let read = Query::parse(query).and_then(|Query(given)| list_query(given));
        read.map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn every_condition_is_read() {
        let query = parse(
            "status=confirming,trying,trying&parked=true&participant=Pay.example:80&pattern=saga\
             &created_after=2025-11-20T12:00:00Z&created_before=2025-11-20T13:00:00%2B01:00&limit=500",
        );
        let noon = Some(Wall(1_763_640_000_000));
        let expected = ListQuery {
            statuses: vec![Status::Trying, Status::Confirming],
            parked: true,
            participant: Some("pay.example:80".to_owned()),
            pattern: Some(Pattern::Saga),
            created_after: noon,
            created_before: noon,
            limit: 500,
            cursor: None,
        };
        assert_eq!(query, Ok(expected));
        assert_eq!(parse("").map(|query| query.limit), Ok(50));
    }

    #[test]
    fn a_parameter_unknown_or_out_of_range_is_named() {
        for (query, expected) in [
            ("status=done", "status: \"done\" is not one of"),
            ("status=", "status: \"\" is not one of"),
            ("parked=yes", "parked: must be true"),
            ("pattern=xa", "pattern: \"xa\" is not one of tcc saga"),
            ("participant=pay", "participant: must be host:port"),
            ("participant=:80", "participant: must be host:port"),
            ("created_after=yesterday", "created_after: must be an RFC 3339"),
            ("limit=0", "limit: must be a whole number from 1 to 500"),
            ("limit=501", "limit: "),
            ("limit=-1", "limit: "),
            ("limit=5&limit=6", "limit: is given twice"),
            ("cursor=x", "cursor: must be the next_cursor"),
            ("order=desc", "order: is not known; there are status, parked, participant,"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
