//! An operator's word about where a branch is called.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::ids::BranchId;
use crate::op::PerOp;
use crate::operator::Operator;
use crate::request::branch_headers::check_headers;
use crate::request::resolve::check_note;
use crate::request::target::check_urls;
use crate::{BranchRequest, Invalid, Limits};

/// Has an unfinished branch called elsewhere, or with other headers. What is not given stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReaddressRequest {
    /// Short for `{endpoint}/try`, `{endpoint}/confirm` and `{endpoint}/cancel`, of those legs that
    /// the branch has. Not together with a leg's own URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub endpoint: Option<String>,
    /// URL of Try, if it has that leg.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub try_: Option<String>,
    /// URL of Confirm, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub confirm: Option<String>,
    /// URL of Cancel, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub cancel: Option<String>,
    /// Headers sent with every call from now on, in the place of all that it has; `{}`: none.
    /// Treated as secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Why, for history and audit. At most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 1024, example = "moved to the other data centre")
    )]
    pub note: Option<String>,
}

/// An operator's word about where a branch is called from now on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Readdressing {
    /// Which branch.
    pub branch: BranchId,
    /// Where each leg is called; none: where it is.
    pub urls: PerOp<Option<Arc<Url>>>,
    /// Whether they are those of an endpoint, of which the branch takes those that it has.
    pub is_endpoint: bool,
    /// The headers of every call; none: those it has.
    pub headers: Option<BTreeMap<String, String>>,
    /// Why, in the operator's words.
    pub note: Option<Arc<str>>,
    /// Who says so, for history and audit.
    pub by: Operator,
}

/// Checks an operator's word about where a branch is called. The URLs are under the same rules as
/// those of a begin.
///
/// # Errors
/// The first field found that is not as the contract says; nothing is to be changed.
pub fn check_readdress(
    request: ReaddressRequest,
    branch: BranchId,
    by: Operator,
    limits: &Limits,
) -> Result<Readdressing, Invalid> {
    let ReaddressRequest { endpoint, try_, confirm, cancel, headers, note: given } = request;
    let is_endpoint = endpoint.is_some();
    let addresses = BranchRequest { endpoint, try_, confirm, cancel, ..BranchRequest::default() };
    let urls = check_urls(&addresses, "", limits)?;
    let headers = headers.map(|given| check_headers(Some(given), "headers", limits)).transpose()?;
    if headers.is_none() && urls == PerOp::default() {
        let what = "changes nothing: give endpoint, or the URL of a leg, or headers";
        return Err(Invalid::new("body", what));
    }
    Ok(Readdressing { branch, urls, is_endpoint, headers, note: check_note(given)?, by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ActId;
    use crate::op::Op;
    use crate::operator::Audited;

    fn check(request: &str) -> Result<Readdressing, String> {
        let request = serde_json::from_str(request).map_err(|error| error.to_string())?;
        let id: ActId = "01980000-0000-7000-8000-000000000001".parse().expect("an id");
        let by = Operator { who: "ann".into(), audited: Audited::Row { id, role: "operator" } };
        let branch = "payment".parse().expect("an id");
        check_readdress(request, branch, by, &Limits::default()).map_err(|it| it.to_string())
    }

    #[test]
    fn an_endpoint_stands_for_all_legs_and_a_url_for_its_own() {
        let moved = check(r#"{"endpoint":"http://new:1/pay","note":"moved"}"#).expect("valid");
        let url = |op| moved.urls.get(op).as_ref().map(|url| url.to_string());
        assert_eq!(url(Op::Cancel).as_deref(), Some("http://new:1/pay/cancel"));
        assert_eq!((moved.is_endpoint, moved.headers), (true, None));
        let moved = check(r#"{"confirm":"http://new:1/c","headers":{}}"#).expect("valid");
        assert_eq!((moved.is_endpoint, moved.urls.try_), (false, None));
        assert_eq!(moved.headers, Some(BTreeMap::new()), "all are taken away");
        let moved = check(r#"{"headers":{"Authorization":"Bearer x"}}"#).expect("valid");
        let names: Vec<String> = moved.headers.expect("some").into_keys().collect();
        assert_eq!((moved.urls, names), (PerOp::default(), vec!["authorization".to_owned()]));
    }

    #[test]
    fn what_is_wrong_with_it_is_told_by_name() {
        for (request, expected) in [
            ("{}", "body: changes nothing"),
            (r#"{"note":"why"}"#, "body: changes nothing"),
            (r#"{"endpoint":"http://h/a","try":"http://h/b"}"#, "endpoint: "),
            (r#"{"cancel":"ftp://h/a"}"#, "cancel: must be an http"),
            (r#"{"confirm":"http://169.254.169.254/a"}"#, "confirm: "),
            (r#"{"headers":{"Tercet-Op":"x"}}"#, "headers.Tercet-Op: "),
            (r#"{"action":"http://h/a"}"#, "unknown field `action`"),
        ] {
            let error = check(request).expect_err(request);
            assert!(error.starts_with(expected), "{request}: {error}");
        }
        let long = "x".repeat(1_025);
        let error = check(&format!(r#"{{"headers":{{}},"note":"{long}"}}"#)).expect_err("long");
        assert!(error.starts_with("note: "), "{error}");
    }
}
