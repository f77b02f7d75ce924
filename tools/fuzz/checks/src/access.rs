//! Who is let in: whatever stands in `Authorization`, nobody is whose token is not known, and what an
//! issuer has not signed says nothing.

use std::sync::{Arc, OnceLock};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tercet_coordinator::access::{Access, Denied, NamedToken, Role, TokenDigest};
use tercet_coordinator::config::Settings;

use crate::choices::Choices;
use crate::clock::BranchState;

const TOKEN: &str = "tercet_known";

/// Source: RFC 8037, A.2, whose other half is not used here.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k2",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The first byte says whether the rest is the header, or the three parts of a JWT in lines.
pub(crate) fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let is_jwt = choices.below(2) == 1;
    let rest = choices.rest();
    let value = if is_jwt { jwt(rest) } else { rest.to_vec() };
    let Ok(value) = HeaderValue::from_bytes(&value) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value.clone());
    let is_known =
        value.to_str().ok().and_then(|text| text.split_once(' ')).is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer") && token.trim_matches(' ') == TOKEN
        });
    for needs in Role::ALL {
        match access().admit(&headers, needs, None) {
            Ok(caller) => {
                assert!(is_known, "let in: {value:?}");
                assert_eq!((&*caller.who, caller.role), ("known", Role::Client));
                assert!(needs <= Role::Client);
            }
            Err(denied @ (Denied::TooSmall { .. } | Denied::NoRole { .. })) => {
                assert!(is_known && needs == Role::Operator, "known: {value:?} {denied}");
            }
            Err(denied @ Denied::Unknown(_)) => {
                assert!(!is_known, "not known: {value:?}");
                let said = denied.to_string();
                assert!(!said.contains(TOKEN), "{said}");
            }
        }
    }
}

/// What these lines are as a token: header, claims, signature.
fn jwt(lines: &[u8]) -> Vec<u8> {
    let mut token = b"Bearer ".to_vec();
    for (at, part) in lines.splitn(3, |byte| *byte == b'\n').enumerate() {
        if at > 0 {
            token.push(b'.');
        }
        token.extend(base64(part));
    }
    token
}

/// Source: RFC 4648, 5, without padding.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = Vec::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| usize::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letters = [18, 12, 6, 0].map(|shift| LETTERS[bits >> shift & 63]);
        text.extend(&letters[..=chunk.len()]);
    }
    text
}

fn access() -> &'static Access {
    static ACCESS: OnceLock<Access> = OnceLock::new();
    ACCESS.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys.json");
        std::fs::write(&path, KEYS).expect("written");
        let mut settings = Settings::built_in().expect("the defaults fit");
        settings.auth.tokens = vec![NamedToken {
            name: "known".to_owned(),
            sha256: TokenDigest::of(TOKEN.as_bytes()),
            role: Role::Client,
        }];
        settings.auth.jwt.issuer = "https://login.example".to_owned();
        settings.auth.jwt.audience = "tercet".to_owned();
        settings.auth.jwt.jwks_file = Some(path);
        Access::begin(&settings, Arc::new(BranchState::default())).expect("rules")
    })
}
