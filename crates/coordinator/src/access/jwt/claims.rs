//! What a JWT says of who has it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tercet_wire::Wall;

use super::NoJwt;
use crate::access::Role;
use crate::config::JwtSection;

/// By how much the issuer's clock and this one may differ.
const SKEW: Duration = Duration::from_secs(60);

/// The longest name that is taken, in characters.
const NAME_CHARS: usize = 128;

/// Which claims are looked at.
pub(super) struct Wanted {
    role: Arc<str>,
    name: Arc<str>,
}

impl Wanted {
    pub(super) fn of(settings: &JwtSection) -> Self {
        Self {
            role: settings.role_claim.as_str().into(),
            name: settings.name_claim.as_str().into(),
        }
    }

    pub(super) fn role_claim(&self) -> Arc<str> {
        Arc::clone(&self.role)
    }

    /// What histories call them; none if that could be taken for something else: an address, as
    /// which those are known whom nobody asks for a token.
    pub(super) fn name(&self, claims: &Map<String, Value>) -> Option<Arc<str>> {
        let name = claim(claims, &self.name)?.as_str()?;
        let is_name = !name.is_empty()
            && name.trim() == name
            && name.parse::<IpAddr>().is_err()
            && name.chars().count() <= NAME_CHARS
            && !name.chars().any(char::is_control);
        is_name.then(|| Arc::from(name))
    }

    /// The greatest role that the claim names: it is one, or a list that has it among others.
    pub(super) fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let of = |value: &Value| value.as_str().and_then(|text| text.parse::<Role>().ok());
        match claim(claims, &self.role)? {
            Value::Array(values) => values.iter().filter_map(of).max(),
            value => of(value),
        }
    }
}

/// A claim by its name; one that holds others is gone into by a dot (`realm_access.roles`), unless a
/// claim has just that name.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (outer, inner) = name.split_once('.')?;
    claim(claims.get(outer)?.as_object()?, inner)
}

/// Whether the token is valid now. Source: RFC 7519, 4.1.4 and 4.1.5.
pub(super) fn check_times(claims: &Map<String, Value>, now: Wall) -> Result<(), NoJwt> {
    let seconds =
        |name: &str| claims.get(name).map(|value| value.as_f64().ok_or(NoJwt::Unreadable));
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or_default()).as_secs_f64();
    let skew = SKEW.as_secs_f64();
    let expires = seconds("exp").ok_or(NoJwt::Unreadable)??;
    if now >= expires + skew {
        return Err(NoJwt::Expired);
    }
    match seconds("nbf").transpose()? {
        Some(begins) if now < begins - skew => Err(NoJwt::NotYet),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    fn wanted(role: &str, name: &str) -> Wanted {
        Wanted { role: role.into(), name: name.into() }
    }

    #[test]
    fn a_role_is_a_word_or_the_greatest_of_a_list() {
        let wanted = wanted("realm_access.roles", "sub");
        for (claims, role) in [
            (
                json!({"realm_access": {"roles": ["viewer", "x", "operator", 1]}}),
                Some(Role::Operator),
            ),
            (json!({"realm_access": {"roles": "client"}}), Some(Role::Client)),
            (
                json!({"realm_access.roles": "viewer", "realm_access": {"roles": "client"}}),
                Some(Role::Viewer),
            ),
            (json!({"realm_access": {"roles": ["admin", "Operator"]}}), None),
            (json!({"realm_access": {"roles": {"operator": true}}}), None),
            (json!({"realm_access": "operator"}), None),
            (json!({}), None),
        ] {
            assert_eq!(wanted.role(&map(claims.clone())), role, "{claims}");
        }
    }

    #[test]
    fn a_name_is_text_that_can_be_shown() {
        let wanted = wanted("role", "email");
        let name = |value: Value| {
            wanted.name(&map(json!({ "email": value }))).map(|name| name.to_string())
        };
        assert_eq!(name(json!("zoë@example.com")).as_deref(), Some("zoë@example.com"));
        for other in [
            json!(7),
            json!(""),
            json!(" "),
            json!("ann "),
            json!("10.0.0.1"),
            json!("::1"),
            json!("a\nb"),
            json!("n".repeat(129)),
            json!(null),
        ] {
            assert_eq!(name(other.clone()), None, "{other}");
        }
        assert_eq!(wanted.name(&map(json!({}))), None);
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let at = |seconds: i64| Wall(seconds * 1_000);
        let check = |claims: Value, now| check_times(&map(claims), at(now));
        let claims = || json!({ "exp": 1_000, "nbf": 500.5 });
        assert_eq!(check(claims(), 1_059), Ok(()));
        assert_eq!(check(claims(), 1_060), Err(NoJwt::Expired));
        assert_eq!(check(claims(), 441), Ok(()));
        assert_eq!(check(claims(), 440), Err(NoJwt::NotYet));
        assert_eq!(check(json!({ "exp": 1_000 }), 0), Ok(()));
        for claims in [json!({}), json!({ "exp": "1000" }), json!({ "exp": 1_000, "nbf": null })] {
            assert_eq!(check(claims.clone(), 0), Err(NoJwt::Unreadable), "{claims}");
        }
    }
}
