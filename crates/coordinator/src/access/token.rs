//! What is known of a token: its SHA-256, and nothing by which it could be made again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tercet_clock::Clock;
use tercet_wire::{hex, unhex};
use thiserror::Error;

use crate::secret::{Masked, Secret};

/// What tokens of ours begin with, so that people and scanners of repositories know one when they see
/// it.
const PREFIX: &str = "tercet_";

/// The SHA-256 of a token. It is shown to nobody either: a token that somebody made up could be
/// guessed by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// That of a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether they are the same, in a time that does not depend on where they differ.
    pub(super) fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }

    /// From what a session has sealed.
    pub(super) fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Itself, to be sealed into a session.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As it stands in `sha256`.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The text is no such digest. It does not say the text: that may be the token itself, by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be the 64 hexadecimal digits of a token's SHA-256")]
pub struct NoDigest;

impl FromStr for TokenDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NoDigest)
    }
}

impl Masked for TokenDigest {
    fn masked(_: &str) -> String {
        "***".to_owned()
    }
}

impl<'de> Deserialize<'de> for TokenDigest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A token that nobody has or can guess: over 240 random bits.
#[must_use]
pub fn new_token(clock: &dyn Clock) -> Secret<String> {
    Secret::new(format!("{PREFIX}{}", clock.new_secret()))
}

#[cfg(test)]
mod tests {
    use tercet_clock::SystemClock;

    use super::*;

    /// Source: FIPS 180-4, the example of one block.
    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_the_hexadecimal_sha_256_of_a_token() {
        let digest = TokenDigest::of(b"abc");
        assert_eq!(digest.to_hex(), OF_ABC);
        assert_eq!(OF_ABC.parse(), Ok(digest));
        assert_eq!(OF_ABC.to_uppercase().parse(), Ok(digest));
        for text in ["", "abc", &OF_ABC[2..], &format!("{OF_ABC}00"), &OF_ABC.replace('b', "g")] {
            assert_eq!(text.parse::<TokenDigest>(), Err(NoDigest), "{text}");
        }
        assert_eq!(format!("{digest:?}"), "***");
    }

    #[test]
    fn digests_are_the_same_only_if_all_of_them_is() {
        let digest = TokenDigest::of(b"abc");
        assert!(bool::from(digest.is(&digest)));
        for at in 0..32 {
            let mut other = digest;
            other.0[at] ^= 1;
            assert!(!bool::from(digest.is(&other)), "byte {at}");
        }
    }

    #[test]
    fn no_two_new_tokens_are_the_same_and_none_is_shown() {
        let clock = SystemClock::start();
        let tokens = [new_token(&clock), new_token(&clock)];
        assert_ne!(tokens[0].expose(), tokens[1].expose());
        for token in &tokens {
            assert!(token.expose().starts_with(PREFIX) && token.expose().len() >= 64);
            assert_eq!(format!("{token} {token:?}"), "*** ***");
        }
    }
}
