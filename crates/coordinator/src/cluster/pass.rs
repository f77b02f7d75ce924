//! What a node writes on a request that it passes on to another, and what that one goes by: only
//! who has read the database's shared secret can write it, for one request, one addressee and half
//! a minute.

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

/// What a pass begins with: `v` and [`NODE_PROTOCOL`](tercet_wire::NODE_PROTOCOL).
const VERSION: &str = "v2";

/// What cannot stand in a header as it is: names of people have all letters there are.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The secret that all nodes on one database share.
#[derive(Clone)]
pub struct ClusterKey(Vec<u8>);

/// A request on its way from one node to another.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// How it is asked.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a str,
    /// Its body, as it is.
    pub body: &'a [u8],
    /// Who asked the node that passes it on, as `in_header` writes it.
    pub who: &'a str,
    /// What that one may.
    pub role: &'a str,
}

impl Passed<'_> {
    /// Who asks, if that can be understood. To be asked only once the pass was checked.
    pub(super) fn caller(&self) -> Option<Caller> {
        let who = percent_decode_str(self.who).decode_utf8().ok()?;
        Some(Caller { who: Arc::from(who), role: self.role.parse().ok()? })
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
        passed: &Passed<'_>,
        (from, to): (Incarnation, Incarnation),
        at: Wall,
    ) -> Option<HeaderValue> {
        let mac = self.mac(passed, (from, to), at)?.finalize().into_bytes();
        let text =
            format!("{VERSION};{};{};{};{}", from.0, to.0, at.0, BASE64_STANDARD.encode(mac));
        HeaderValue::try_from(text).ok()
    }

    /// Who has passed a request on to this life.
    ///
    /// # Errors
    /// The pass does not count.
    pub fn check(
        &self,
        pass: &HeaderValue,
        passed: &Passed<'_>,
        own: Incarnation,
        now: Wall,
    ) -> Result<Incarnation, NoPass> {
        let text = pass.to_str().map_err(|_| NoPass::Forged)?;
        let parts: Vec<&str> = text.split(';').collect();
        let [VERSION, from, to, at, mac] = parts.as_slice() else { return Err(NoPass::Forged) };
        let number = |text: &str| text.parse::<i64>().map_err(|_| NoPass::Forged);
        let (from, to, at) =
            (Incarnation(number(from)?), Incarnation(number(to)?), Wall(number(at)?));
        let mac = BASE64_STANDARD.decode(mac).map_err(|_| NoPass::Forged)?;
        let expected = self.mac(passed, (from, to), at).ok_or(NoPass::Forged)?;
        expected.verify_slice(&mac).map_err(|_| NoPass::Forged)?;
        if now.since(at).max(at.since(now)) > VALID_FOR {
            return Err(NoPass::Stale);
        }
        if to != own {
            return Err(NoPass::OfAnother);
        }
        Ok(from)
    }

    /// Over all of it. None of the parts before the last can have a line's end in it.
    fn mac(
        &self,
        passed: &Passed<'_>,
        (from, to): (Incarnation, Incarnation),
        at: Wall,
    ) -> Option<Hmac<Sha256>> {
        // A key of any length will do for an HMAC.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        let Passed { method, target, body, who, role } = passed;
        let head = format!(
            "{VERSION}\n{method}\n{target}\n{who}\n{role}\n{}\n{}\n{}\n",
            from.0, to.0, at.0
        );
        mac.update(head.as_bytes());
        mac.update(&Sha256::digest(body));
        Some(mac)
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

    fn passed(body: &[u8]) -> Passed<'_> {
        const METHOD: &Method = &Method::POST;
        let target = "/v1/transactions?wait=decided";
        Passed { method: METHOD, target, body, who: "10.0.0.1", role: "viewer" }
    }

    #[test]
    fn a_pass_is_good_for_one_request_one_addressee_and_half_a_minute() {
        let key = ClusterKey::new("a secret");
        let request = passed(b"{}");
        let pass = key.sign(&request, (THEIRS, OURS), Wall(60_000)).expect("a pass");
        let check = |request, own, now| key.check(&pass, &request, own, Wall(now));
        assert_eq!(check(request, OURS, 60_000), Ok(THEIRS));
        assert_eq!(check(request, OURS, 90_000), Ok(THEIRS));
        assert_eq!(check(request, OURS, 30_000), Ok(THEIRS));
        assert_eq!(check(request, OURS, 90_001), Err(NoPass::Stale));
        assert_eq!(check(request, OURS, 29_999), Err(NoPass::Stale));
        assert_eq!(check(request, Incarnation(8), 60_000), Err(NoPass::OfAnother));
        for other in [
            passed(b"[]"),
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

    #[test]
    fn a_pass_says_who_asks_whatever_their_name_and_what_they_may() {
        for who in ["10.0.0.1", "::1", "ops@example.com", "100%", "Zoë 渡", ""] {
            let named = in_header(who);
            assert!(HeaderValue::from_str(&named).is_ok(), "{named}");
            let caller = Passed { who: &named, role: "client", ..passed(b"") }.caller();
            assert_eq!(caller, Some(Caller { who: who.into(), role: Role::Client }));
        }
        assert_eq!(Passed { role: "", ..passed(b"") }.caller(), None);
        assert_eq!(Passed { role: "root", ..passed(b"") }.caller(), None);
        assert_eq!(Passed { who: "%ff", ..passed(b"") }.caller(), None);
    }

    #[test]
    fn a_pass_is_of_the_protocol_that_the_rows_of_lives_name() {
        assert_eq!(VERSION, format!("v{}", tercet_wire::NODE_PROTOCOL));
    }

    #[test]
    fn what_is_no_pass_is_refused() {
        let key = ClusterKey::new("a secret");
        let good = key.sign(&passed(b""), (THEIRS, OURS), Wall(0)).expect("a pass");
        let good = good.to_str().expect("text");
        for text in
            ["", "v2", "v2;9;7;0;", "v2;9;7;x;AAAA", "v1;9;7;0;AAAA", &good[..good.len() - 4]]
        {
            let pass = HeaderValue::from_str(text).expect("a header");
            assert_eq!(
                key.check(&pass, &passed(b""), OURS, Wall(0)),
                Err(NoPass::Forged),
                "{text}"
            );
        }
    }
}
