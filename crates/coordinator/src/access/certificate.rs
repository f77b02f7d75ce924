//! What a request shows beside its token: the certificate of the connection that it came by.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;

use super::rules::Caller;
use super::tokens::NamedClient;

/// A client's certificate that an authority of `server.tls.client_ca_file` has issued. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate(Arc<[String]>);

impl Certificate {
    /// One with these names.
    #[must_use]
    pub fn of(names: Vec<String>) -> Self {
        Self(names.into())
    }
}

/// What a request shows.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The certificate, where one is asked for.
    pub certificate: Option<&'a Certificate>,
}

impl<'a> From<&'a HeaderMap> for Shown<'a> {
    fn from(headers: &'a HeaderMap) -> Self {
        Self { headers, certificate: None }
    }
}

/// Whom certificates stand for, by their names.
#[derive(Debug, Default)]
pub(super) struct Certified(BTreeMap<String, Caller>);

impl Certified {
    pub(super) fn of(names: &BTreeMap<String, NamedClient>) -> Self {
        let known = names.iter().map(|(name, NamedClient { name: who, role })| {
            let caller = Caller { who: Arc::from(who.as_str()), role: *role };
            (name.clone(), caller)
        });
        Self(known.collect())
    }

    /// Whom this one stands for: the first of its names that is known says it.
    pub(super) fn find(&self, certificate: &Certificate) -> Option<&Caller> {
        certificate.0.iter().find_map(|name| self.0.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    #[test]
    fn the_first_name_that_is_known_says_who_it_is() {
        let known = [("a", Role::Viewer), ("spiffe://x/b", Role::Operator)].map(|(name, role)| {
            (name.to_owned(), NamedClient { name: format!("who-{}", role.as_str()), role })
        });
        let certified = Certified::of(&known.into());
        let find = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            certified.find(&Certificate::of(names)).map(|caller| caller.role)
        };
        assert_eq!(find(&["a"]), Some(Role::Viewer));
        assert_eq!(find(&["z", "spiffe://x/b", "a"]), Some(Role::Operator));
        for unknown in [&[][..], &["A"], &["a.b"], &["*"], &[""], &["who-viewer"]] {
            assert_eq!(find(unknown), None, "{unknown:?}");
        }
    }
}
