//! `GET /v1/transactions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{Invalid, ListQuery, Page, Problem, ProblemCode, Status, SummaryView};

use crate::http::extract::params::Params;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Items of a page unless `limit` says otherwise.
pub(in crate::http) const DEFAULT_LIMIT: u32 = 50;
/// The most a page can have.
pub(in crate::http) const MAX_LIMIT: u32 = 500;

/// List transactions
///
/// Newest first, without their branches. Every condition given must hold.
#[utoipa::path(
    get,
    path = "/v1/transactions",
    tag = "transactions",
    params(
        ("status" = Option<String>, Query, description = "Any of these, with commas between: `trying`, `confirming`, `cancelling`, `confirmed`, `cancelled`."),
        ("parked" = Option<bool>, Query, description = "`true`: only unfinished ones that need people."),
        ("participant" = Option<String>, Query, description = "Only unfinished ones with a branch of this `host:port`."),
        ("created_after" = Option<String>, Query, description = "Begun at this RFC 3339 time or later."),
        ("created_before" = Option<String>, Query, description = "Begun before this RFC 3339 time."),
        ("limit" = Option<u32>, Query, description = "Items of a page: 1 to 500. Default 50."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, body = Page<SummaryView>, description = "A page."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    params: Params,
) -> Result<Json<Page<SummaryView>>, Failure> {
    let query = list_query(params)?;
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

fn list_query(mut params: Params) -> Result<ListQuery, Invalid> {
    let query = ListQuery {
        limit: params.take_number("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT),
        cursor: params.take("cursor", str::parse)?,
        ..filter(&mut params)?
    };
    params.finish()?;
    Ok(query)
}

/// Which transactions, a full page at a time from the first.
pub(in crate::http) fn filter(params: &mut Params) -> Result<ListQuery, Invalid> {
    Ok(ListQuery {
        statuses: params.take("status", statuses)?.unwrap_or_default(),
        parked: params.take_word("parked", &[("true", true)])?.unwrap_or(false),
        participant: params.take("participant", participant)?,
        created_after: params.take("created_after", str::parse)?,
        created_before: params.take("created_before", str::parse)?,
        limit: MAX_LIMIT,
        cursor: None,
    })
}

fn statuses(text: &str) -> Result<Vec<Status>, tercet_wire::UnknownName> {
    let mut statuses = text.split(',').map(str::parse).collect::<Result<Vec<Status>, _>>()?;
    statuses.sort_unstable();
    statuses.dedup();
    Ok(statuses)
}

fn participant(text: &str) -> Result<String, &'static str> {
    let is_host_port = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    // As long as a name in the DNS, and a port.
    if is_host_port && text.len() <= 253 + 6 {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be host:port")
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::Wall;

    use super::*;

    fn parse(query: &str) -> Result<ListQuery, String> {
        list_query(Params::parse(query)).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn every_condition_is_read() {
        let query = parse(
            "status=confirming,trying,trying&parked=true&participant=Pay.example:80\
             &created_after=2025-11-20T12:00:00Z&created_before=2025-11-20T13:00:00%2B01:00&limit=500",
        );
        let noon = Some(Wall(1_763_640_000_000));
        let expected = ListQuery {
            statuses: vec![Status::Trying, Status::Confirming],
            parked: true,
            participant: Some("pay.example:80".to_owned()),
            created_after: noon,
            created_before: noon,
            limit: 500,
            cursor: None,
        };
        assert_eq!(query, Ok(expected));
        assert_eq!(parse("").map(|query| query.limit), Ok(50));
    }

    #[test]
    fn what_is_unknown_or_out_of_range_is_named() {
        for (query, expected) in [
            ("status=done", "status: \"done\" is not one of"),
            ("status=", "status: \"\" is not one of"),
            ("parked=yes", "parked: must be true"),
            ("participant=pay", "participant: must be host:port"),
            ("participant=:80", "participant: must be host:port"),
            ("created_after=yesterday", "created_after: must be an RFC 3339"),
            ("limit=0", "limit: must be a whole number from 1 to 500"),
            ("limit=501", "limit: "),
            ("limit=-1", "limit: "),
            ("limit=5&limit=6", "limit: is given twice"),
            ("cursor=x", "cursor: must be the next_cursor"),
            ("order=desc", "order: is not known; there are limit, cursor, status, parked,"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
