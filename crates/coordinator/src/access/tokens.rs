//! The tokens that count.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use subtle::ConditionallySelectable as _;

use super::rules::Caller;
use super::{Role, TokenDigest};

/// The longest name, in bytes.
const NAME_BYTES: usize = 64;

/// Whether a token can be called so: histories show it in place of an address, so it is none.
#[must_use]
pub fn is_token_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@+/-".contains(&byte);
    (1..=NAME_BYTES).contains(&text.len())
        && text.bytes().all(allowed)
        && text.parse::<IpAddr>().is_err()
}

/// One of `[[auth.tokens]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedToken {
    /// Who has it. Two may have one name, so that one can follow the other.
    pub name: String,
    /// What is known of it.
    pub sha256: TokenDigest,
    /// What whoever has it may do.
    pub role: Role,
}

/// Whom a client's certificate stands for: a value of `server.tls.client_names`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedClient {
    /// Who has it.
    pub name: String,
    /// What whoever has it may do.
    pub role: Role,
}

/// All that count.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<(TokenDigest, Caller)>);

impl Tokens {
    pub(super) fn of<'a>(named: impl IntoIterator<Item = &'a NamedToken>) -> Self {
        let known = |token: &NamedToken| {
            let caller = Caller { who: Arc::from(token.name.as_str()), role: token.role };
            (token.sha256, caller)
        };
        Self(named.into_iter().map(known).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one is called so.
    pub(super) fn has_name(&self, who: &str) -> bool {
        self.0.iter().any(|(_, caller)| &*caller.who == who)
    }

    /// Whose token has this digest. All are compared, whichever it is, so that the time it takes says
    /// nothing of whether there is one and where it stands.
    pub(super) fn find(&self, digest: &TokenDigest) -> Option<&Caller> {
        let mut place = u64::MAX;
        for (at, (known, _)) in (0..).zip(&self.0) {
            place.conditional_assign(&at, known.is(digest));
        }
        let (_, caller) = self.0.get(usize::try_from(place).ok()?)?;
        Some(caller)
    }
}

/// Two with one digest, of which nobody could say which is meant.
pub(crate) fn doubled(tokens: &[NamedToken]) -> Option<(&NamedToken, &NamedToken)> {
    let mut sorted: Vec<&NamedToken> = tokens.iter().collect();
    sorted.sort_by_key(|token| token.sha256);
    sorted.windows(2).find_map(|pair| {
        let [one, other] = pair else { return None };
        (one.sha256 == other.sha256).then_some((*one, *other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, token: &str, role: Role) -> NamedToken {
        NamedToken { name: name.to_owned(), sha256: TokenDigest::of(token.as_bytes()), role }
    }

    #[test]
    fn a_token_is_found_by_all_of_itself_wherever_it_stands() {
        let all = [
            named("a", "token-a", Role::Viewer),
            named("b", "token-b", Role::Client),
            named("b", "token-b2", Role::Operator),
        ];
        let tokens = Tokens::of(&all);
        let find = |token: &str| {
            let found = tokens.find(&TokenDigest::of(token.as_bytes()));
            found.map(|caller| (caller.who.to_string(), caller.role))
        };
        assert_eq!(find("token-a"), Some(("a".to_owned(), Role::Viewer)));
        assert_eq!(find("token-b"), Some(("b".to_owned(), Role::Client)));
        assert_eq!(find("token-b2"), Some(("b".to_owned(), Role::Operator)));
        for other in ["", "token-", "token-A", "token-a ", "token-b22"] {
            assert_eq!(find(other), None, "{other}");
        }
        assert!(Tokens::default().find(&TokenDigest::of(b"")).is_none());
    }

    /// One digest that begins as another does is another.
    #[test]
    fn a_digest_that_only_begins_like_one_is_not_found() {
        let digest = TokenDigest::of(b"token-a").to_hex();
        let alike = NamedToken {
            sha256: format!("{}00", &digest[..62]).parse().expect("a digest"),
            ..named("a", "", Role::Operator)
        };
        assert!(Tokens::of([&alike]).find(&TokenDigest::of(b"token-a")).is_none());
    }

    #[test]
    fn a_name_is_no_address_and_has_nothing_that_reads_otherwise() {
        for name in ["ops", "orders.eu-1", "ann@example.com", "ci/deploy", &"n".repeat(64)] {
            assert!(is_token_name(name), "{name}");
        }
        for name in ["", "a b", "a\n", "10.0.0.1", "::1", "é", "a,b", &"n".repeat(65)] {
            assert!(!is_token_name(name), "{name}");
        }
    }

    #[test]
    fn two_entries_of_one_token_are_noticed() {
        let one = named("a", "same", Role::Viewer);
        let other = named("b", "same", Role::Operator);
        let third = named("c", "else", Role::Operator);
        assert_eq!(doubled(&[one.clone(), third.clone()]), None);
        let all = [one, third, other];
        let (one, other) = doubled(&all).expect("two are the same");
        assert_eq!((one.name.as_str(), other.name.as_str()), ("a", "b"));
    }
}
