//! Bodies of requests.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::Object;
use crate::request::number::{exact, whole};
use crate::status::{Pattern, TryBy};

/// Begins a transaction.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// Makes begin idempotent. 1 to 128 of `[A-Za-z0-9._:-]`, beginning with a letter
    /// or digit. Default: a new UUIDv7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(
            min_length = 1,
            max_length = 128,
            pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
            example = "order-1001"
        )
    )]
    pub gid: Option<String>,
    /// Its shape. Default `tcc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// The branches. With none the transaction is open; a saga says so itself.
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<BranchRequest>>, max_items = 64))]
    pub branches: Vec<BranchRequest>,
    /// Whether branches may be registered later and the initiator asks for the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Of an open transaction: who is asked at its deadline what became of it, by a POST to this
    /// URL, instead of cancelling it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub check: Option<String>,
    /// How long it may stay undecided, in milliseconds: 100 to 86 400 000, of a saga, and of an
    /// open transaction with `check`, to 2 592 000 000. Default 30 000, of a saga 3 600 000.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 100, maximum = 2_592_000_000_u64))]
    pub timeout_ms: Option<u64>,
    /// The initiator's own data; at most 4 KiB.
    #[serde(default, deserialize_with = "exact", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Describes a branch, at begin or when it is registered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BranchRequest {
    /// Unique in the transaction; 1 to 64 of `[A-Za-z0-9._:-]`. Required when
    /// registering; at begin the default is `b1`, `b2`, … by position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(
            min_length = 1,
            max_length = 64,
            pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
            example = "payment"
        )
    )]
    pub id: Option<String>,
    /// Short for `{endpoint}/try`, `{endpoint}/confirm` and `{endpoint}/cancel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub endpoint: Option<String>,
    /// URL of Try. Absent: nothing to reserve.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub try_: Option<String>,
    /// Another name for `try`, as sagas call it: the step itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub action: Option<String>,
    /// URL of Confirm. Absent: nothing to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub confirm: Option<String>,
    /// URL of Cancel. Absent: nothing to release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub cancel: Option<String>,
    /// Another name for `cancel`, as sagas call it: what undoes the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub compensate: Option<String>,
    /// Body of every call, sent to the byte as it came. Default `{}`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub payload: Option<Box<RawValue>>,
    /// Headers sent with every call; treated as secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// The longest one call may take, in milliseconds: 10 to 600 000. Default: the setting
    /// `dispatcher.call_timeout_ms`, which is 3 000 unless somebody has changed it.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 10, maximum = 600_000))]
    pub timeout_ms: Option<u64>,
    /// Who calls Try. `initiator` goes without a `try` URL, in an open transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_by: Option<TryBy>,
    /// Of a saga: ids of the branches that come before it. Default: the one before it in the list,
    /// or registered before it; none for the first. `[]`: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>, max_items = 64))]
    pub after: Option<Vec<String>>,
    /// Calls of its Try that may fail before the transaction is cancelled: 0 to 1 000; 0: until the
    /// deadline. Default: the setting `retry.try_attempts`; of a saga 0.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1_000))]
    pub try_attempts: Option<u64>,
    /// Whether the body of each of its calls is `{"payload":…,"results":{…}}`, with what the Tries
    /// before it were answered with, by branch; in Confirm and Cancel its own too. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<bool>,
    /// For how long after `decided_at` its Confirm is not called, in milliseconds: 0 to
    /// 2 592 000 000, which is 30 days. A delayed message. Only where there is a Confirm. Default 0.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 2_592_000_000_u64))]
    pub confirm_after_ms: Option<u64>,
}

/// Registers one branch, or several at once: all or none of them.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum RegisterRequest {
    /// One.
    One(Box<BranchRequest>),
    /// 1 to 64 of them, in this order.
    Several(Vec<BranchRequest>),
}

impl<'de> Deserialize<'de> for RegisterRequest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrSeveral)
    }
}

/// By the first letter of it, so that what is wrong is told of the one that was meant.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = RegisterRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a branch or an array of branches")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<RegisterRequest, A::Error> {
        let branch = BranchRequest::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(RegisterRequest::One(Box::new(branch)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<RegisterRequest, A::Error> {
        Branches.visit_seq(items).map(RegisterRequest::Several)
    }
}

/// Asks for the cancel decision; the body may be absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Why, in the caller's words; shown as `reason_detail`. At most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: Option<String>,
}

fn objects<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<BranchRequest>, D::Error> {
    from.deserialize_any(Branches)
}

/// Branches for which there is room at first: hardly any transaction has more.
const USUAL_BRANCHES: usize = 2;

/// Branches in an array.
struct Branches;

impl<'de> Visitor<'de> for Branches {
    type Value = Vec<BranchRequest>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    /// `null` is how some languages write an empty list.
    fn visit_unit<E>(self) -> Result<Vec<BranchRequest>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<BranchRequest>, A::Error> {
        let mut branches = Vec::with_capacity(USUAL_BRANCHES);
        while let Some(Object(branch)) = items.next_element()? {
            branches.push(branch);
        }
        Ok(branches)
    }
}

/// A payload of `null` is a payload, unlike an absent one.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(body: &str) -> Option<String> {
        let branch: BranchRequest = serde_json::from_str(body).expect("valid");
        branch.payload.map(|raw| raw.get().to_owned())
    }

    #[test]
    fn a_payload_keeps_its_bytes() {
        assert_eq!(
            payload(r#"{"payload": { "b" :1.50, "a":"\u00e9"} }"#).as_deref(),
            Some(r#"{ "b" :1.50, "a":"\u00e9"}"#)
        );
        assert_eq!(payload(r#"{"payload":null}"#).as_deref(), Some("null"));
        assert_eq!(payload("{}"), None);
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = serde_json::from_str::<BeginRequest>(r#"{"gird":"a"}"#).expect_err("unknown");
        assert!(error.to_string().contains("`gird`"), "{error}");
    }
}
