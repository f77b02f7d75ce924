//! `GET /v1/transactions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{Invalid, ListQuery, Page, Problem, ProblemCode, SummaryView};

use crate::http::extract::filter::{Filter, Ordering, Paging, StatusFilter, narrowed};
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

type ListParams = (StatusFilter, (Filter, (Ordering, Paging)));

/// List transactions
///
/// Newest first unless `order` says otherwise, without their branches. Every condition given must
/// hold, and `metadata.KEY=VALUE`, any number of times: whose metadata have this value under the key,
/// a string, a number or a bool (with `status`, `parked=true` or a time alone). Where no index has
/// what is asked for, a page looks through 10 000 transactions of a status at most: it may have fewer
/// than `limit`, or none, and a `next_cursor` to look further with.
#[utoipa::path(
    get,
    path = "/v1/transactions",
    tag = "transactions",
    params(StatusFilter, Filter, Ordering, Paging),
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

fn list_query((status, (filter, (order, paging))): ListParams) -> Result<ListQuery, Invalid> {
    let statuses = status.status.unwrap_or_default();
    let query = ListQuery { order: order.order(), limit: paging.limit(), ..filter.query(statuses) };
    narrowed(&query)?;
    let after = paging.cursor(|cursor| query.place(cursor))?;
    Ok(ListQuery { after, ..query })
}

#[cfg(test)]
mod tests {
    use tercet_wire::{ListOrder, ListPlace, MetadataFilter, Pattern, Reason, Status, Wall};

    use super::*;

    fn parse(query: &str) -> Result<ListQuery, String> {
        let read = Query::parse(query).and_then(|Query(given)| list_query(given));
        read.map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn every_condition_is_read() {
        let query = parse(
            "status=confirming,trying,trying&parked=true&participant=Pay.example:80&pattern=saga\
             &created_after=2025-11-20T12:00:00Z&created_before=2025-11-20T13:00:00%2B01:00&limit=500\
             &order=oldest&open=false&gid_prefix=order-&reason=operator,deadline\
             &metadata.b=2&metadata.a.b=x%3Dy",
        );
        let noon = Some(Wall(1_763_640_000_000));
        let expected = ListQuery {
            statuses: vec![Status::Trying, Status::Confirming],
            parked: true,
            open: Some(false),
            participant: Some("pay.example:80".to_owned()),
            pattern: Some(Pattern::Saga),
            reasons: vec![Reason::Deadline, Reason::Operator],
            gid_prefix: Some("order-".parse().expect("a prefix")),
            metadata: vec![says("a.b", "x=y"), says("b", "2")],
            created_after: noon,
            created_before: noon,
            order: ListOrder::Oldest,
            limit: 500,
            looks_at: 10_000,
            after: None,
        };
        assert_eq!(query, Ok(expected));
        assert_eq!(parse("").map(|query| query.limit), Ok(50));
    }

    fn says(key: &str, value: &str) -> MetadataFilter {
        MetadataFilter { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_cursor_goes_on_where_the_same_was_asked_for() {
        let asked = "status=trying&metadata.a=1&metadata.b=2&order=oldest";
        let place = ListPlace { created_at: Wall(7), gid: "a".parse().expect("a gid") };
        let cursor = parse(asked).expect("a query").cursor(&place);
        let same = format!("cursor={cursor}&order=oldest&metadata.b=2&metadata.a=1&status=trying");
        assert_eq!(parse(&same).map(|query| query.after), Ok(Some(place)));
        for other in ["status=trying&metadata.a=1&metadata.b=2", "status=trying&order=oldest"] {
            let error = parse(&format!("{other}&cursor={cursor}")).expect_err(other);
            assert!(error.starts_with("cursor: is of a page that was asked for with"), "{error}");
        }
    }

    #[test]
    fn metadata_alone_do_not_narrow_a_list() {
        for narrows in [
            "status=trying",
            "parked=true",
            "created_after=2025-11-20T12:00:00Z",
            "created_before=2025-11-20T12:00:00Z",
        ] {
            assert!(parse(&format!("{narrows}&metadata.a=1")).is_ok(), "{narrows}");
        }
        for not in ["parked=false", "open=true", "pattern=tcc", "gid_prefix=a", "reason=check"] {
            let error = parse(&format!("{not}&metadata.a=1")).expect_err(not);
            assert!(error.starts_with("metadata.a: is taken only with status"), "{error}");
        }
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
            (
                "created_after=9999-12-31T23:59:59Z",
                "created_after: must be an RFC 3339 time such as 2026-11-20T12:00:00.000Z, and none after 9999-12-30T22",
            ),
            ("limit=0", "limit: must be a whole number from 1 to 500"),
            ("limit=501", "limit: "),
            ("limit=-1", "limit: "),
            ("limit=5&limit=6", "limit: is given twice"),
            ("cursor=x", "cursor: must be the next_cursor"),
            ("order=desc", "order: must be newest or oldest"),
            ("open=yes", "open: must be true or false"),
            ("reason=bored", "reason: \"bored\" is not one of"),
            ("gid_prefix=", "gid_prefix: must be 1 to 128 of"),
            ("gid_prefix=a%25", "gid_prefix: must be 1 to 128 of"),
            ("metadata.=1", "metadata.: must have a key"),
            ("metadata.a=1&metadata.a=2&parked=true", "metadata.a: is given twice"),
            ("metadata=1", "metadata: is not known; there are status, parked, open, participant,"),
            ("sort=desc", "sort: is not known; there are status, parked, open, participant,"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
