//! Signatures by which a receiver knows that an alert is ours, as Standard Webhooks says:
//! HMAC-SHA256 over `{id}.{timestamp}.{body}`, in base64.
//! Source: the Standard Webhooks specification, "Signature scheme" (symmetric).

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// What a secret begins with when it is written down.
const PREFIX: &str = "whsec_";
/// Fewest and most bytes of a key, by the specification.
const KEY_LEN: std::ops::RangeInclusive<usize> = 24..=64;

/// What alerts are signed with. It has no print of its own: a `Secret` keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

/// The text is no key. It does not say the text: that may be nearly one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be whsec_ and then 24 to 64 random bytes in base64")]
pub struct InvalidSigningKey;

impl FromStr for SigningKey {
    type Err = InvalidSigningKey;

    fn from_str(text: &str) -> Result<Self, InvalidSigningKey> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSigningKey)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSigningKey)?;
        if KEY_LEN.contains(&key.len()) { Ok(Self(key)) } else { Err(InvalidSigningKey) }
    }
}

impl SigningKey {
    /// The value of `webhook-signature`. `timestamp` is that of `webhook-timestamp`: the
    /// seconds since 1970 at which this is sent.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // A key of any length will do for an HMAC; ours was measured besides.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_signature_is_the_one_other_implementations_make() {
        // The example that libraries for Standard Webhooks are tested with.
        let key: SigningKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a key");
        let signature =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_and_not_repeated() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_*"]
        {
            assert_eq!(text.parse::<Secret<SigningKey>>(), Err(InvalidSigningKey), "{text}");
        }
    }
}
