//! The filter of a job: the parameters of a list of transactions, as a JSON object.

use serde_json::{Map, Value};
use tercet_wire::{Invalid, ListOrder, ListQuery, Status, Wall};

use crate::http::extract::filter::{Filter, UnfinishedFilter};
use crate::http::extract::params::Params;

/// The list that it asks for: of unfinished transactions, the oldest first.
///
/// # Errors
/// A parameter is not known, or not as it must be.
pub(crate) fn job_query(filter: &Map<String, Value>) -> Result<ListQuery, Invalid> {
    let named =
        |invalid: Invalid| Invalid { field: format!("filter.{}", invalid.field), ..invalid };
    let read = Params::of(given(filter)?).read::<(UnfinishedFilter, Filter)>();
    let (status, filter) = read.map_err(named)?;
    let statuses = status.status.unwrap_or_else(unfinished);
    Ok(ListQuery { order: ListOrder::Oldest, ..filter.query(statuses) })
}

/// Whether every unfinished transaction is found by it, now.
pub(in crate::http) fn matches_all(query: &ListQuery, now: Wall) -> bool {
    let all = ListQuery {
        statuses: query.statuses.clone(),
        order: query.order,
        looks_at: query.looks_at,
        // What no transaction can be older than, or younger.
        created_after: query.created_after.filter(|after| after.0 <= 0),
        created_before: query.created_before.filter(|before| *before > now),
        ..ListQuery::all(query.limit)
    };
    *query == all && unfinished().iter().all(|status| query.statuses.contains(status))
}

fn unfinished() -> Vec<Status> {
    Status::ALL.iter().copied().filter(|status| !status.is_finished()).collect()
}

/// As they would stand in a query.
fn given(filter: &Map<String, Value>) -> Result<Vec<(String, String)>, Invalid> {
    let mut given = Vec::with_capacity(filter.len());
    for (name, value) in filter {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            // Passed over it would have the job come to all that it leaves out.
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let name: String = name.chars().take(64).collect();
                let what = "must be a string, a number or a bool, as it would stand in a query";
                return Err(Invalid::new(format!("filter.{name}"), what));
            }
        };
        given.push((name.clone(), text));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(filter: Value) -> Result<ListQuery, String> {
        let Value::Object(filter) = filter else { panic!("{filter} is no object") };
        job_query(&filter).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn a_filter_has_the_parameters_of_a_list() {
        let filter = json!({"status": "confirming,trying", "parked": true, "participant": "Pay:80",
            "pattern": "saga", "open": "false", "gid_prefix": "order-",
            "metadata.n": 5, "metadata.t": true, "created_before": "2025-11-20T12:00:00Z"});
        let query = query(filter).expect("it is one");
        assert_eq!(query.statuses, [Status::Trying, Status::Confirming]);
        assert!(query.parked && query.open == Some(false) && query.reasons.is_empty());
        assert_eq!(query.participant.as_deref(), Some("pay:80"));
        assert_eq!(query.metadata.len(), 2);
        assert_eq!((query.order, query.limit), (ListOrder::Oldest, 500));
        assert!(!matches_all(&query, Wall(1)));
    }

    #[test]
    fn what_everything_matches_is_known() {
        let all = |filter: Value| matches_all(&query(filter).expect("a filter"), Wall(1));
        assert!(all(json!({})));
        assert!(all(json!({"parked": false, "status": "trying,confirming,cancelling"})));
        assert!(all(json!({"created_after": "1970-01-01T00:00:00Z"})));
        assert!(all(json!({"created_before": "2999-01-01T00:00:00Z"})));
        assert!(!all(json!({"created_after": "2025-01-01T00:00:00Z"})));
        assert!(!all(json!({"parked": true})));
        assert!(!all(json!({"status": "trying"})));
        assert!(!all(json!({"gid_prefix": "a"})));
        assert!(!all(json!({"open": true})));
        assert!(!all(json!({"metadata.a": "b"})));
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_named() {
        for (filter, expected) in [
            (json!({"status": "confirmed"}), "filter.status: confirmed transactions have ended"),
            (json!({"statuses": "trying"}), "filter.statuses: is not known; there are status,"),
            (json!({"order": "newest"}), "filter.order: is not known"),
            (json!({"limit": 5}), "filter.limit: is not known"),
            (json!({"parked": 1}), "filter.parked: must be true or false"),
            (json!({"gid_prefix": null}), "filter.gid_prefix: must be a string, a number or"),
            (json!({"status": ["trying"]}), "filter.status: must be a string, a number or"),
            (json!({"metadata": {"a": 1}}), "filter.metadata: must be a string, a number or"),
            (json!({"participant": "pay"}), "filter.participant: must be host:port"),
        ] {
            let refused = query(filter.clone()).expect_err(&filter.to_string());
            assert!(refused.starts_with(expected), "{filter}: {refused}");
        }
    }
}
