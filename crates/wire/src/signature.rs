//! Signatures by which a receiver knows that a call or an alert is ours, as Standard Webhooks says:
//! HMAC-SHA256 over `{id}.{timestamp}.{body}`, in base64.
//! Source: the Standard Webhooks specification, "Signature scheme" (symmetric).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::header;
use crate::time::Wall;

/// What a secret begins with when it is written down.
const PREFIX: &str = "whsec_";
/// What a signature of this scheme begins with.
const VERSION: &str = "v1,";
/// Fewest and most bytes of a key, by the specification.
const KEY_LEN: std::ops::RangeInclusive<usize> = 24..=64;
/// A signature is good for so many seconds before and after its timestamp.
const GOOD_FOR_SECONDS: u64 = 5 * 60;
/// Signatures that are looked at in one header; a sender that rotates its keys sends two or three.
const MOST_SIGNATURES: usize = 16;

/// What is signed with. Nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

/// The text is no key. It does not say the text: that may be nearly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be {}", SigningKey::MUST_BE)]
pub struct InvalidSigningKey;

impl FromStr for SigningKey {
    type Err = InvalidSigningKey;

    fn from_str(text: &str) -> Result<Self, InvalidSigningKey> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSigningKey)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSigningKey)?;
        if KEY_LEN.contains(&key.len()) { Ok(Self(key)) } else { Err(InvalidSigningKey) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl SigningKey {
    /// What a text must be that is read as one.
    pub const MUST_BE: &str = "whsec_ and then 24 to 64 random bytes in base64";

    /// The value of `webhook-signature`. `timestamp` is that of `webhook-timestamp`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let made = self.mac(id, &timestamp.to_string(), body);
        let made = made.map(|mac| STANDARD.encode(mac.finalize().into_bytes()));
        [VERSION, &made.unwrap_or_default()].concat()
    }

    /// A key that whoever has this one does not have: for those who try what becomes of a wrong one.
    #[must_use]
    pub fn of_a_stranger(&self) -> Self {
        Self(self.0.iter().map(|byte| !byte).collect())
    }

    /// Whether it made this signature. How long it takes says nothing of the right one.
    fn made(&self, signature: &[u8], id: &str, timestamp: &str, body: &[u8]) -> bool {
        let mac = self.mac(id, timestamp, body);
        mac.is_some_and(|mac| mac.verify_slice(signature).is_ok())
    }

    /// None cannot be: a key of any length will do for an HMAC, and ours was measured besides.
    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(mac)
    }
}

/// The seconds since 1970, as they stand in `webhook-timestamp`.
#[must_use]
pub fn webhook_timestamp(now: Wall) -> i64 {
    now.0.div_euclid(1_000)
}

/// The `webhook-id` of a call, from what its headers say of it: gid, branch, op and instance with
/// slashes between, an absent one empty. Repeats of a call have the same one. The parts of what is
/// signed are told apart by dots, so a dot of a gid is written as `%2E`.
#[must_use]
pub fn call_id<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> String {
    let parts = [header::GID, header::BRANCH, header::OP, header::INSTANCE];
    let parts = parts.map(|name| header(name).unwrap_or_default());
    parts.map(|part| part.replace('%', "%25").replace('.', "%2E")).join("/")
}

/// What came with a call by which it is known whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more, with spaces between.
    pub signatures: &'a str,
}

/// Why a call is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unverified {
    /// It has not all of the three headers.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// It was signed at another time, or does not say when.
    #[error("header {} is more than five minutes off, or no time", header::WEBHOOK_TIMESTAMP)]
    Timestamp,
    /// It was signed for another call, or what tells of the call was changed.
    #[error("header {} is that of another call than its other headers tell of", header::WEBHOOK_ID)]
    Id,
    /// None of the keys made any of its signatures.
    #[error("header {} has no signature by a secret that is known here", header::WEBHOOK_SIGNATURE)]
    Signature,
}

impl<'a> Signed<'a> {
    /// What these headers say.
    ///
    /// # Errors
    /// One is missing.
    pub fn read(header: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, Unverified> {
        let read = |name| header(name).ok_or(Unverified::Missing(name));
        Ok(Self {
            id: read(header::WEBHOOK_ID)?,
            timestamp: read(header::WEBHOOK_TIMESTAMP)?,
            signatures: read(header::WEBHOOK_SIGNATURE)?,
        })
    }

    /// Whether it was signed around now, whoever did.
    ///
    /// # Errors
    /// It was not: somebody may have kept it.
    pub fn check_time(&self, now: Wall) -> Result<(), Unverified> {
        let is_number = self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let at: i64 =
            self.timestamp.parse().ok().filter(|_| is_number).ok_or(Unverified::Timestamp)?;
        match at.abs_diff(webhook_timestamp(now)) {
            off if off <= GOOD_FOR_SECONDS => Ok(()),
            _ => Err(Unverified::Timestamp),
        }
    }

    /// Whether one of these keys signed it with this body.
    ///
    /// # Errors
    /// None of them did.
    pub fn check_signature(&self, keys: &[SigningKey], body: &[u8]) -> Result<(), Unverified> {
        let signatures = self.signatures.split(' ').take(MOST_SIGNATURES);
        let mut signatures = signatures.filter_map(|text| text.strip_prefix(VERSION));
        let is_ours = signatures.any(|text| {
            let Ok(signature) = STANDARD.decode(text) else { return false };
            keys.iter().any(|key| key.made(&signature, self.id, self.timestamp, body))
        });
        if is_ours { Ok(()) } else { Err(Unverified::Signature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(1_614_265_330_999);

    fn key(text: &str) -> SigningKey {
        text.parse().expect("a key")
    }

    /// The example that libraries for Standard Webhooks are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: Signed<'_> = Signed {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signatures: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };

    #[test]
    fn a_signature_is_the_one_other_implementations_make() {
        let made = key(SECRET).sign(SIGNED.id, webhook_timestamp(NOW), BODY);
        assert_eq!(made, SIGNED.signatures);
        assert_eq!(SIGNED.check_time(NOW), Ok(()));
        assert_eq!(SIGNED.check_signature(&[key(SECRET)], BODY), Ok(()));
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_and_no_key_is_shown() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_*"]
        {
            assert_eq!(text.parse::<SigningKey>(), Err(InvalidSigningKey), "{text}");
        }
        assert_eq!(format!("{:?} {:#?}", key(SECRET), Some(key(SECRET))), "*** Some(\n    ***,\n)");
    }

    #[test]
    fn any_of_several_secrets_and_signatures_will_do() {
        let other = key("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let keys = [other.clone(), key(SECRET)];
        assert_eq!(SIGNED.check_signature(&keys, BODY), Ok(()), "by the second");
        assert_eq!(
            SIGNED.check_signature(std::slice::from_ref(&other), BODY),
            Err(Unverified::Signature)
        );
        assert_eq!(SIGNED.check_signature(&[], BODY), Err(Unverified::Signature));
        let theirs = other.sign(SIGNED.id, 1_614_265_330, BODY);
        let both = format!("v1a,xyz {theirs} {}", SIGNED.signatures);
        let signed = Signed { signatures: &both, ..SIGNED };
        assert_eq!(signed.check_signature(&[key(SECRET)], BODY), Ok(()));
    }

    #[test]
    fn what_was_changed_on_the_way_is_nobodys() {
        let keys = [key(SECRET)];
        assert_eq!(SIGNED.check_signature(&keys, b"{}"), Err(Unverified::Signature));
        let changed = [
            Signed { id: "msg_p5jXN8AQM9LWM0D4loKWxJel", ..SIGNED },
            Signed { timestamp: "1614265331", ..SIGNED },
            Signed { signatures: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", ..SIGNED },
            Signed { signatures: "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", ..SIGNED },
            Signed { signatures: "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", ..SIGNED },
            Signed { signatures: "v1,", ..SIGNED },
            Signed { signatures: "v1,g0hM", ..SIGNED },
            Signed { signatures: "", ..SIGNED },
        ];
        for signed in changed {
            assert_eq!(
                signed.check_signature(&keys, BODY),
                Err(Unverified::Signature),
                "{signed:?}"
            );
        }
    }

    #[test]
    fn a_timestamp_is_good_for_five_minutes() {
        for (off, expected) in [
            (0, Ok(())),
            (300, Ok(())),
            (-300, Ok(())),
            (301, Err(Unverified::Timestamp)),
            (-301, Err(Unverified::Timestamp)),
        ] {
            let timestamp = (1_614_265_330 + off).to_string();
            let signed = Signed { timestamp: &timestamp, ..SIGNED };
            assert_eq!(signed.check_time(NOW), expected, "{off}");
        }
        for timestamp in ["", "-1", "+1614265330", "1614265330.0", "now", "99999999999999999999"] {
            let signed = Signed { timestamp, ..SIGNED };
            assert_eq!(signed.check_time(NOW), Err(Unverified::Timestamp), "{timestamp}");
        }
    }

    #[test]
    fn a_header_that_is_missing_is_named() {
        let all = [
            (header::WEBHOOK_ID, "a"),
            (header::WEBHOOK_TIMESTAMP, "1"),
            (header::WEBHOOK_SIGNATURE, "v1,"),
        ];
        let read = |without| {
            Signed::read(|name| {
                let found = all.iter().find(|(known, _)| *known == name && name != without);
                found.map(|(_, value)| *value)
            })
        };
        assert_eq!(read(""), Ok(Signed { id: "a", timestamp: "1", signatures: "v1," }));
        for (name, _) in all {
            assert_eq!(read(name), Err(Unverified::Missing(name)));
        }
    }

    #[test]
    fn the_id_of_a_call_says_which_and_has_no_dot() {
        let instance = "0193a5f0-0000-7000-8000-00000000002a";
        let of = |parts: [Option<&'static str>; 4]| {
            let names = [header::GID, header::BRANCH, header::OP, header::INSTANCE];
            call_id(move |name| {
                names.iter().position(|known| *known == name).and_then(|at| parts[at])
            })
        };
        let call = of([Some("order.1001"), Some("b.1"), Some("try"), Some(instance)]);
        assert_eq!(call, format!("order%2E1001/b%2E1/try/{instance}"));
        assert_eq!(
            of([Some("order"), None, Some("check"), Some(instance)]),
            format!("order//check/{instance}")
        );
        assert_ne!(
            of([Some("a.b"), Some("c"), None, None]),
            of([Some("a%2Eb"), Some("c"), None, None])
        );
    }
}
