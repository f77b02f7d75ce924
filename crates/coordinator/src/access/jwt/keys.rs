//! The issuer's public keys. Source: RFC 7517.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// The longest set that is read, in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1_024;

/// The most keys of it that are kept.
const MOST: usize = 100;

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("auth.jwt.jwks_file: {path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is longer than any that is needed.
    #[error("the issuer's keys have more than 256 KiB")]
    TooLong,
    /// It is no JSON Web Key Set.
    #[error("the issuer's keys are no JSON Web Key Set (RFC 7517)")]
    NoSet(#[source] serde_json::Error),
    /// None of them can be used.
    #[error("none of the issuer's keys is for RS256, ES256 or EdDSA")]
    NoKey,
    /// The issuer does not answer.
    #[error("the issuer does not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// It answers something else.
    #[error("the issuer answers {0}")]
    Refused(u16),
    /// Not in time.
    #[error("the issuer does not answer in time")]
    TooLate,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    /// What it is for; no token says that.
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    /// By this it is compared.
    jwk: Value,
}

/// All of them that can be used.
#[derive(Clone, Default)]
pub(in crate::access) struct Keys(Vec<Key>);

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|key| &key.jwk).eq(other.0.iter().map(|key| &key.jwk))
    }
}

impl Keys {
    /// Those of a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(in crate::access) fn read(path: &Path) -> Result<Self, KeysError> {
        let unreadable = |cause| KeysError::Unreadable { path: path.display().to_string(), cause };
        let mut text = Vec::new();
        let bound = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        let file = File::open(path).map_err(unreadable)?;
        file.take(bound + 1).read_to_end(&mut text).map_err(unreadable)?;
        Self::parse(&text)
    }

    /// Those of a JSON Web Key Set; none if the issuer has taken all of them back. What is not for us
    /// is left out: sets have keys of all kinds.
    ///
    /// # Errors
    /// It is no such set.
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeysError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        if text.len() > MAX_BYTES {
            return Err(KeysError::TooLong);
        }
        let set: Set = serde_json::from_slice(text).map_err(KeysError::NoSet)?;
        Ok(Self(set.keys.into_iter().filter_map(key).take(MOST).collect()))
    }

    /// The one with this id, if it is for this algorithm; without an id the only one that is.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let of_algorithm = self.0.iter().filter(|key| key.algorithm == algorithm);
        let mut found = of_algorithm.filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        match (found.next(), found.next()) {
            (Some(key), None) => Some(key),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    pub(in crate::access) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::access) fn len(&self) -> usize {
        self.0.len()
    }
}

fn key(jwk: Value) -> Option<Key> {
    let read = Jwk::deserialize(&jwk).ok()?;
    let is_for_signatures =
        matches!(read.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let algorithm = match &read.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    let is_said = match read.common.key_algorithm {
        None => true,
        Some(KeyAlgorithm::RS256) => algorithm == Algorithm::RS256,
        Some(KeyAlgorithm::ES256) => algorithm == Algorithm::ES256,
        Some(KeyAlgorithm::EdDSA) => algorithm == Algorithm::EdDSA,
        Some(_) => false,
    };
    if !(is_for_signatures && is_said) {
        return None;
    }
    let key = DecodingKey::from_jwk(&read).ok()?;
    Some(Key { kid: read.common.key_id, algorithm, key, jwk })
}
