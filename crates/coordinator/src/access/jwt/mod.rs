//! JSON Web Tokens of an issuer that people sign in with: RFC 7519, signed as RFC 7515 says.
//!
//! ```text
//!  keys of the issuer: a file, or its URL ─▶ Keys (kid → key, with the one algorithm it is for)
//!  token ─▶ header: kid, alg ─▶ key of that kid, if alg is its own ─▶ signature ─▶ claims ─▶ Caller
//! ```
//!
//! Which algorithm counts is the key's to say, never the token's: one that says `none`, or HS256 with
//! a public key as its secret, meets no key that is for it.

mod claims;
mod fetching;
mod keys;
mod signature;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};
use tercet_wire::Wall;
use thiserror::Error;
use tokio::sync::Notify;
use url::Url;

use self::claims::Wanted;
use self::keys::Keys;
pub use self::keys::KeysError;
use super::{Caller, Denied, Failed};
use crate::config::JwtSection;

pub(super) use self::fetching::keep_keys;

/// Why a JWT does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoJwt {
    /// It is no signed JWT.
    #[error("it cannot be read as a signed JWT")]
    Unreadable,
    /// Nothing was heard of the issuer's keys so far, or it has taken all of them back.
    #[error("no key of its issuer is known here")]
    NoKeys,
    /// No key of the issuer's has its `kid`, or its `alg` is not that key's.
    #[error("none of the issuer's keys has its kid and is for its alg")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("its signature, its iss or its aud is not what it must be")]
    NotOurs,
    /// It was valid before.
    #[error("it has expired")]
    Expired,
    /// It will be valid.
    #[error("it is not valid yet")]
    NotYet,
    /// It says not who has it.
    #[error("its claim that is to name who has it (auth.jwt.name_claim) does not")]
    NoName,
    /// Histories could not tell the two.
    #[error("its claim that names who has it (auth.jwt.name_claim) has the name of a token")]
    NameOfToken,
}

/// Where the issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Url(Url),
}

/// Knows callers by what an issuer says of them.
pub(super) struct Jwt {
    wanted: Wanted,
    issuer: String,
    audience: String,
    pub(super) source: Source,
    keys: RwLock<Arc<Keys>>,
    /// A token came whose key is not known: the issuer may have a new one.
    pub(super) missed: Notify,
}

impl Jwt {
    /// As these settings say; none if they say nothing. A file's keys are read at once.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(super) fn of(settings: &JwtSection) -> Result<Option<Self>, KeysError> {
        signature::install();
        let source = match (&settings.jwks_file, &settings.jwks_url) {
            _ if settings.issuer.is_empty() => return Ok(None),
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(url)) => Source::Url(url.clone()),
            (None, None) => return Ok(None),
        };
        let keys = match &source {
            Source::File(path) => match Keys::read(path)? {
                keys if keys.is_empty() => return Err(KeysError::NoKey),
                keys => keys,
            },
            Source::Url(_) => Keys::default(),
        };
        Ok(Some(Self {
            wanted: Wanted::of(settings),
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            source,
            keys: RwLock::new(Arc::new(keys)),
            missed: Notify::new(),
        }))
    }

    /// Whether this can be one: three parts.
    pub(super) fn looks_like_one(token: &str) -> bool {
        token.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Who has this token.
    ///
    /// # Errors
    /// It does not count, or gives no role.
    pub(super) fn caller(&self, token: &str, now: Wall) -> Result<Caller, Denied> {
        let claims = self.claims(token, now).map_err(Failed::Jwt)?;
        let who = self.wanted.name(&claims).ok_or(Failed::Jwt(NoJwt::NoName))?;
        match self.wanted.role(&claims) {
            Some(role) => Ok(Caller { who, role }),
            None => Err(Denied::NoRole { who, claim: self.wanted.role_claim() }),
        }
    }

    /// What it says, once that is known to be the issuer's word, for this daemon and for now.
    fn claims(&self, token: &str, now: Wall) -> Result<Map<String, Value>, NoJwt> {
        let keys = self.keys();
        if keys.is_empty() {
            self.missed.notify_one();
            return Err(NoJwt::NoKeys);
        }
        let header = decode_header(token).map_err(|_| NoJwt::Unreadable)?;
        let Some(key) = keys.find(header.kid.as_deref(), header.alg) else {
            self.missed.notify_one();
            return Err(NoJwt::UnknownKey);
        };
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // By the daemon's own clock, below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let read = decode::<Map<String, Value>>(token, &key.key, &validation);
        let claims = read.map_err(|_| NoJwt::NotOurs)?.claims;
        claims::check_times(&claims, now)?;
        Ok(claims)
    }

    /// From here on these count, and no others; `asked`: somebody wants to hear of it anyway.
    pub(super) fn take(&self, keys: Keys, asked: bool) {
        let count = keys.len();
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = **held != keys;
        *held = Arc::new(keys);
        drop(held);
        if count == 0 && is_new {
            tracing::warn!(
                event = "issuer_keys_gone",
                "the issuer has no key any more for RS256, ES256 or EdDSA; no token of its counts"
            );
        } else if is_new || asked {
            tracing::info!(event = "issuer_keys_read", keys = count, "the issuer's keys were read");
        }
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) use self::keys::Keys as IssuerKeys;

#[cfg(test)]
mod tests;
