//! What a node writes on a request that it passes on to another, and what that one goes by: only
//! who has read the database's shared secret can write it, for one request, one addressee and half
//! a minute. It names the body by its digest, so that it is checked before a byte of that is read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Method};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use tercet_wire::{Incarnation, Wall};
use thiserror::Error;

use crate::access::Caller;

/// How old a pass may be, or how far ahead the sender's clock.
const VALID_FOR: Duration = Duration::from_secs(30);

/// What a pass begins with: `v` and the [`NODE_PROTOCOL`](tercet_wire::NODE_PROTOCOL) with which passes changed last.
const VERSION: &str = "v3";

/// What cannot stand in a header as it is: names of people have all letters there are.
/// A space at an end would be cut off.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The secret that all nodes on one database share.
#[derive(Clone)]
pub struct ClusterKey(Vec<u8>);

/// A request on its way from one node to another, but for its body.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// How it is asked.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a str,
    /// Who asked the node that passes it on, as `in_header` writes it.
    pub who: &'a str,
    /// What that one may.
    pub role: &'a str,
}

impl Passed<'_> {
    /// Who asks, if that can be understood. To be asked only once the pass was checked.
    #[must_use]
    pub fn caller(&self) -> Option<Caller> {
        let who = percent_decode_str(self.who).decode_utf8().ok()?;
        Some(Caller { who: Arc::from(who), role: self.role.parse().ok()? })
    }
}

/// The SHA-256 of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// That of this one.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

/// What a pass that counts says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Who has passed the request on.
    pub from: Incarnation,
    body: BodyDigest,
}

impl Pass {
    /// Whether this is the body that it was written for.
    ///
    /// # Errors
    /// It is another.
    pub fn check_body(&self, body: &[u8]) -> Result<(), NoPass> {
        if BodyDigest::of(body) == self.body { Ok(()) } else { Err(NoPass::Forged) }
    }
}

/// A name as it stands in a header.
pub(super) fn in_header(who: &str) -> String {
    utf8_percent_encode(who, ENCODED).to_string()
}

/// Why a pass does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoPass {
    /// It is no pass, or not of this request, or of another secret.
    #[error("it was not written for this request by a node on this database")]
    Forged,
    /// It is too old, or of a clock that is far ahead.
    #[error("it is from another time: the clocks of the two nodes must agree to half a minute")]
    Stale,
    /// It was written for another life.
    #[error("it was written for another life of a node")]
    OfAnother,
}

impl ClusterKey {
    /// The key that this text stands for.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(secret.as_bytes().to_vec())
    }

    /// The pass of a request.
    #[must_use]
    pub fn sign(
        &self,
        (passed, body): (&Passed<'_>, BodyDigest),
        (from, to): (Incarnation, Incarnation),
        at: Wall,
    ) -> Option<HeaderValue> {
        let mac = self.mac((passed, body), (from, to), at)?.finalize().into_bytes();
        let (body, mac) = (BASE64_STANDARD.encode(body.0), BASE64_STANDARD.encode(mac));
        let text = format!("{VERSION};{};{};{};{body};{mac}", from.0, to.0, at.0);
        HeaderValue::try_from(text).ok()
    }

    /// What the pass of a request to this life says; whether its body is the one is to be asked of it.
    ///
    /// # Errors
    /// The pass does not count.
    pub fn check(
        &self,
        pass: &HeaderValue,
        passed: &Passed<'_>,
        own: Incarnation,
        now: Wall,
    ) -> Result<Pass, NoPass> {
        let text = pass.to_str().map_err(|_| NoPass::Forged)?;
        let parts: Vec<&str> = text.split(';').collect();
        let [VERSION, from, to, at, body, mac] = parts.as_slice() else {
            return Err(NoPass::Forged);
        };
        let number = |text: &str| text.parse::<i64>().map_err(|_| NoPass::Forged);
        let (from, to, at) =
            (Incarnation(number(from)?), Incarnation(number(to)?), Wall(number(at)?));
        let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| NoPass::Forged);
        let body = BodyDigest(bytes(body)?.try_into().map_err(|_| NoPass::Forged)?);
        let mac = bytes(mac)?;
        let expected = self.mac((passed, body), (from, to), at).ok_or(NoPass::Forged)?;
        expected.verify_slice(&mac).map_err(|_| NoPass::Forged)?;
        if now.since(at).max(at.since(now)) > VALID_FOR {
            return Err(NoPass::Stale);
        }
        if to != own {
            return Err(NoPass::OfAnother);
        }
        Ok(Pass { from, body })
    }

    /// Over all of it. None of the parts before the last can have a line's end in it.
    fn mac(
        &self,
        (passed, body): (&Passed<'_>, BodyDigest),
        (from, to): (Incarnation, Incarnation),
        at: Wall,
    ) -> Option<Hmac<Sha256>> {
        // A key of any length will do for an HMAC.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        let Passed { method, target, who, role } = passed;
        let head = format!(
            "{VERSION}\n{method}\n{target}\n{who}\n{role}\n{}\n{}\n{}\n",
            from.0, to.0, at.0
        );
        mac.update(head.as_bytes());
        mac.update(&body.0);
        Some(mac)
    }
}

impl fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyDigest")
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    const OURS: Incarnation = Incarnation(7);
    const THEIRS: Incarnation = Incarnation(9);

    fn passed() -> Passed<'static> {
        const METHOD: &Method = &Method::POST;
        let target = "/v1/transactions?wait=decided";
        Passed { method: METHOD, target, who: "10.0.0.1", role: "viewer" }
    }

    fn digest() -> BodyDigest {
        BodyDigest::of(b"{}")
    }

    #[test]
    fn a_pass_is_good_for_one_request_one_addressee_and_half_a_minute() {
        let key = ClusterKey::new("a secret");
        let request = passed();
        let pass = key.sign((&request, digest()), (THEIRS, OURS), Wall(60_000)).expect("a pass");
        let check = |request, own, now| {
            let read = key.check(&pass, &request, own, Wall(now))?;
            assert_eq!(read.check_body(b"[]"), Err(NoPass::Forged), "it is of another body");
            read.check_body(b"{}").map(|()| read.from)
        };
        assert_eq!(check(request, OURS, 60_000), Ok(THEIRS));
        assert_eq!(check(request, OURS, 90_000), Ok(THEIRS));
        assert_eq!(check(request, OURS, 30_000), Ok(THEIRS));
        assert_eq!(check(request, OURS, 90_001), Err(NoPass::Stale));
        assert_eq!(check(request, OURS, 29_999), Err(NoPass::Stale));
        assert_eq!(check(request, Incarnation(8), 60_000), Err(NoPass::OfAnother));
        for other in [
            Passed { method: &Method::GET, ..request },
            Passed { target: "/v1/transactions", ..request },
            Passed { who: "10.0.0.2", ..request },
            Passed { role: "operator", ..request },
            // Nothing can be moved from one part into the next.
            Passed { who: "10.0.0.1v", role: "iewer", ..request },
        ] {
            assert_eq!(check(other, OURS, 60_000), Err(NoPass::Forged), "{other:?}");
        }
        let other = ClusterKey::new("another secret").check(&pass, &request, OURS, Wall(60_000));
        assert_eq!(other, Err(NoPass::Forged));
    }

    /// Else whoever has seen one could send any body with it.
    #[test]
    fn the_digest_of_the_body_is_signed_too() {
        let key = ClusterKey::new("a secret");
        let pass = key.sign((&passed(), digest()), (THEIRS, OURS), Wall(0)).expect("a pass");
        let text = pass.to_str().expect("text");
        let of_another = BASE64_STANDARD.encode(BodyDigest::of(b"[]").0);
        let changed = text.replace(&BASE64_STANDARD.encode(digest().0), &of_another);
        assert_ne!(changed, text);
        let changed = HeaderValue::from_str(&changed).expect("a header");
        assert_eq!(key.check(&changed, &passed(), OURS, Wall(0)), Err(NoPass::Forged));
    }

    #[test]
    fn a_pass_says_who_asks_whatever_their_name_and_what_they_may() {
        for who in ["10.0.0.1", "::1", "ops@example.com", "100%", "Zoë 渡", " a b ", ""] {
            let named = in_header(who);
            assert!(HeaderValue::from_str(&named).is_ok(), "{named}");
            assert_eq!(named.trim(), named, "what is at its ends gets through");
            let caller = Passed { who: &named, role: "client", ..passed() }.caller();
            assert_eq!(caller, Some(Caller { who: who.into(), role: Role::Client }));
        }
        assert_eq!(Passed { role: "", ..passed() }.caller(), None);
        assert_eq!(Passed { role: "root", ..passed() }.caller(), None);
        assert_eq!(Passed { who: "%ff", ..passed() }.caller(), None);
    }

    #[test]
    fn what_is_no_pass_is_refused() {
        let key = ClusterKey::new("a secret");
        let good = key.sign((&passed(), digest()), (THEIRS, OURS), Wall(0)).expect("a pass");
        let good = good.to_str().expect("text");
        for text in
            ["", "v3", "v3;9;7;0;;", "v3;9;7;x;AAAA;AAAA", "v2;9;7;0;AAAA", &good[..good.len() - 4]]
        {
            let pass = HeaderValue::from_str(text).expect("a header");
            assert_eq!(key.check(&pass, &passed(), OURS, Wall(0)), Err(NoPass::Forged), "{text}");
        }
    }
}
