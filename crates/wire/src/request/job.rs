//! What a job is begun with.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::request::invalid::Invalid;
#[cfg(feature = "openapi")]
use crate::request::job_filter::JobFilter;
use crate::request::resolve::check_note;
use crate::status::{JobAction, ResolvedAs};

/// Does something to every unfinished transaction that a filter finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// What is done to each.
    pub action: JobAction,
    /// Which transactions: the parameters of the list by their names, `order` and those of pages
    /// apart. Only unfinished ones are found.
    #[serde(default, deserialize_with = "each_once")]
    #[cfg_attr(feature = "openapi", schema(value_type = JobFilter, required = false))]
    pub filter: Map<String, Value>,
    /// What branches are to count as: of `resolve` alone, which needs it.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub as_: Option<ResolvedAs>,
    /// Why, for the audit and the histories. At most 1 KiB. `resolve` needs one, and so does a filter
    /// that everything matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 1024, example = "payment is back, ticket 4711")
    )]
    pub note: Option<String>,
    /// `true` (default): only says what would be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// An object in which no name stands twice: of two the last would hold, and nobody be told.
fn each_once<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    struct EachOnce;

    impl<'de> Visitor<'de> for EachOnce {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Map::new();
            while let Some((name, value)) = map.next_entry::<String, Value>()? {
                if all.contains_key(&name) {
                    let name: String = name.chars().take(64).collect();
                    return Err(A::Error::custom(format_args!("`{name}` is given twice")));
                }
                all.insert(name, value);
            }
            Ok(all)
        }
    }

    from.deserialize_map(EachOnce)
}

/// A request for a job that makes sense, but for its filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedJob {
    /// What is done to each.
    pub action: JobAction,
    /// What branches are to count as, of `resolve`.
    pub as_: Option<ResolvedAs>,
    /// Why.
    pub note: Option<Arc<str>>,
    /// Whether nothing is done.
    pub dry_run: bool,
}

/// Checks what a job is begun with, but for its filter; `matches_all`: everything matches that.
///
/// # Errors
/// A field is missing, too long, or not this action's.
pub fn check_job(request: JobRequest, matches_all: bool) -> Result<CheckedJob, Invalid> {
    let JobRequest { action, filter: _, as_, note, dry_run } = request;
    match (action, as_) {
        (JobAction::Resolve, None) => {
            let what = "must say what branches are to count as: confirmed or cancelled";
            return Err(Invalid::new("as", what));
        }
        (JobAction::Retry | JobAction::Cancel, Some(_)) => {
            return Err(Invalid::new("as", "is for the action resolve alone"));
        }
        (JobAction::Resolve, Some(_)) | (JobAction::Retry | JobAction::Cancel, None) => {}
    }
    let note = check_note(note)?;
    let says_why = note.as_deref().is_some_and(|note| !note.trim().is_empty());
    if !says_why && action == JobAction::Resolve {
        return Err(Invalid::new("note", "must say why: resolve ends branches by hand"));
    }
    if !says_why && matches_all {
        return Err(Invalid::new("note", "must say why: everything matches this filter"));
    }
    Ok(CheckedJob { action, as_, note, dry_run: dry_run.unwrap_or(true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(body: &str, matches_all: bool) -> Result<CheckedJob, String> {
        let request = serde_json::from_str(body).map_err(|error| error.to_string())?;
        check_job(request, matches_all).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn a_dry_run_is_what_is_made_unless_asked_otherwise() {
        let dry = |body: &str| checked(body, false).map(|job| job.dry_run);
        assert_eq!(dry(r#"{"action":"retry"}"#), Ok(true));
        assert_eq!(dry(r#"{"action":"retry","dry_run":true}"#), Ok(true));
        assert_eq!(dry(r#"{"action":"retry","dry_run":false}"#), Ok(false));
    }

    #[test]
    fn resolve_and_what_everything_matches_need_a_note() {
        let field = |body: &str, matches_all| {
            let refused = checked(body, matches_all).expect_err(body);
            refused.split(':').next().unwrap_or_default().to_owned()
        };
        let resolve = |more: &str| format!(r#"{{"action":"resolve"{more}}}"#);
        assert_eq!(field(&resolve(""), false), "as");
        assert_eq!(field(&resolve(r#","as":"confirmed""#), false), "note");
        assert_eq!(field(&resolve(r#","as":"confirmed","note":" ""#), false), "note");
        assert!(checked(&resolve(r#","as":"confirmed","note":"n""#), false).is_ok());
        assert_eq!(field(r#"{"action":"retry"}"#, true), "note");
        assert_eq!(field(r#"{"action":"cancel"}"#, true), "note");
        assert!(checked(r#"{"action":"cancel","note":"n"}"#, true).is_ok());
        assert!(checked(r#"{"action":"cancel"}"#, false).is_ok());
        assert_eq!(field(r#"{"action":"cancel","as":"cancelled"}"#, false), "as");
        let long = format!(r#"{{"action":"retry","note":"{}"}}"#, "x".repeat(1_025));
        assert_eq!(field(&long, false), "note");
        assert!(checked(r#"{"action":"retry","filter":[]}"#, false).is_err());
        let twice = r#"{"action":"retry","filter":{"status":"trying","status":"confirming"}}"#;
        let refused = checked(twice, false).expect_err("a name that stands twice");
        assert!(refused.contains("`status` is given twice"), "{refused}");
        assert!(checked(r#"{"action":"confirm"}"#, false).is_err());
        assert!(checked(r#"{"action":"retry","dry":true}"#, false).is_err());
    }
}
