//! `[auth]`: who may do what, and the file that has further tokens.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use crate::access::NamedToken;
use crate::config::schema::TOKENS_FILE;
use crate::config::settings::unless_empty;
use crate::config::{ConfigError, Layers};

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSection {
    /// Those that count.
    pub tokens: Vec<NamedToken>,
    /// Where further ones are, if anywhere.
    #[serde(deserialize_with = "unless_empty")]
    pub tokens_file: Option<PathBuf>,
    /// Whether everybody is let in who reaches a port that other machines reach.
    pub allow_anonymous: bool,
    /// Whether everybody may read metrics.
    pub open_metrics: bool,
    /// People who sign in elsewhere.
    pub jwt: JwtSection,
}

/// `[auth.jwt]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSection {
    /// Who signs; empty: nobody.
    pub issuer: String,
    /// For whom it must be meant.
    pub audience: String,
    /// Where the issuer's keys are: a file,
    #[serde(deserialize_with = "unless_empty")]
    pub jwks_file: Option<PathBuf>,
    /// or where the issuer shows them.
    #[serde(deserialize_with = "unless_empty")]
    pub jwks_url: Option<Url>,
    /// Which claim says what they may.
    pub role_claim: String,
    /// Which says who they are.
    pub name_claim: String,
}

impl JwtSection {
    /// What is missing, or too much: the setting, and what it must be.
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        let (key, what) = match (&self.jwks_file, &self.jwks_url) {
            _ if self.issuer.is_empty() => {
                let is_said = !self.audience.is_empty()
                    || self.jwks_file.is_some()
                    || self.jwks_url.is_some();
                is_said.then_some(("auth.jwt.issuer", "is missing, beside others of [auth.jwt]"))?
            }
            _ if self.audience.is_empty() => {
                ("auth.jwt.audience", "is missing: any token of the issuer's would do")
            }
            (None, None) => ("auth.jwt.jwks_url", "is missing, or auth.jwt.jwks_file in its place"),
            (Some(_), Some(_)) => ("auth.jwt.jwks_url", "is given beside auth.jwt.jwks_file"),
            (Some(_), None) | (None, Some(_)) => return None,
        };
        Some((key, what.to_owned()))
    }
}

impl AuthSection {
    /// The first setting that says who is let in; none where everybody is.
    #[must_use]
    pub fn rules(&self) -> Option<&'static str> {
        if !self.tokens.is_empty() {
            Some("auth.tokens")
        } else if self.tokens_file.is_some() {
            Some("auth.tokens_file")
        } else if !self.jwt.issuer.is_empty() {
            Some("auth.jwt")
        } else {
            None
        }
    }
}

/// The tokens that this text has, as it stands in a file.
///
/// # Errors
/// Something else stands there.
pub(crate) fn tokens_of(path: &Path, text: &str) -> Result<Vec<NamedToken>, ConfigError> {
    #[derive(Deserialize)]
    struct OfFile {
        auth: Tokens,
    }
    #[derive(Deserialize)]
    struct Tokens {
        tokens: Vec<NamedToken>,
    }
    let read: OfFile = Layers::of_text(&TOKENS_FILE, path, text)?.read()?;
    Ok(read.auth.tokens)
}
