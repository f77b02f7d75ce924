//! The rules that hold, as they are at the moment.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tercet_clock::Clock;
use thiserror::Error;

use super::certificate::{Certified, Shown};
use super::failed_logins::{Failed, FailedLogins};
use super::jwt::{IssuerKeys, Jwt, KeysError, NoJwt, Source};
use super::presented::Presented;
use super::tokens::{Tokens, doubled};
use super::tokens_file::{TokensFile, TokensFileError};
use super::{Certificate, Kept, NamedToken, Role, TokenDigest};
use crate::config::Settings;

/// Whoever asks, once that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What histories call them: the token's name, or an address.
    pub who: Arc<str>,
    /// What they may do.
    pub role: Role,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denied {
    /// Nobody knows who it is.
    #[error(transparent)]
    Unknown(#[from] Failed),
    /// It is known, and nobody says what they may.
    #[error(
        "this takes a role, and the token of {who} names none: its claim {claim} has none of viewer, client, operator"
    )]
    NoRole {
        /// Who it is.
        who: Arc<str>,
        /// Which claim was to name it.
        claim: Arc<str>,
    },
    /// It is known, and may not.
    #[error("this takes the role {needs}, and {who} has the role {has}")]
    TooSmall {
        /// Who it is.
        who: Arc<str>,
        /// The role that they have.
        has: Role,
        /// The one that it takes.
        needs: Role,
    },
}

/// Why access cannot be as the settings say.
#[derive(Debug, Error)]
pub enum AccessError {
    /// Everybody who reaches the port would be let in, and nobody said that this is meant.
    #[error(
        "server.listen = {0} is reached from other machines, and nobody is asked for a token: give \
         auth.tokens (`tercet token new` makes one), auth.tokens_file, auth.jwt or \
         server.tls.client_names, or set \
         auth.allow_anonymous = true if whoever reaches the port may do everything"
    )]
    Open(SocketAddr),
    /// Both cannot be meant.
    #[error(
        "auth.allow_anonymous = true lets everybody in without a token, and {0} says whom to let in: \
         leave one of the two out"
    )]
    Both(&'static str),
    /// The file of tokens cannot be used.
    #[error(transparent)]
    TokensFile(#[from] TokensFileError),
    /// The issuer's keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A token stands in the settings and in the file.
    #[error("auth.tokens_file: {0} and {1}, one of them of auth.tokens, have the same sha256")]
    Doubled(String, String),
}

/// Who is let in, and to what.
pub struct Access {
    /// Whether anybody is asked who they are.
    has_rules: bool,
    has_open_metrics: bool,
    looks_at_requests: bool,
    of_settings: Vec<NamedToken>,
    file: Option<PathBuf>,
    tokens: RwLock<Arc<Tokens>>,
    certified: Certified,
    pub(super) jwt: Option<Arc<Jwt>>,
    last: Mutex<Last>,
    failed: FailedLogins,
    clock: Arc<dyn Clock>,
}

/// What was read of the file last.
#[derive(Debug, Default)]
struct Last {
    /// What holds.
    tokens: Vec<NamedToken>,
    /// What differs from it, and is not taken before it is read twice: it may still be written.
    unsettled: Option<Vec<NamedToken>>,
    /// What was said of it.
    objection: Option<String>,
    group_mode: Option<u32>,
    /// What was said of the issuer's keys.
    keys_objection: Option<String>,
}

impl Access {
    /// The rules of these settings.
    ///
    /// # Errors
    /// They do not go together, or the file of tokens cannot be used.
    pub fn begin(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, AccessError> {
        Self::check(settings)?;
        let Settings { auth, server, .. } = settings;
        let has_rules = settings.access_rules().is_some();
        let has_open_metrics = auth.open_metrics || auth.allow_anonymous;
        let are_probed_by_others = server.admin_listen.is_some_and(|listen| !is_loopback(listen));
        let access = Self {
            has_rules,
            has_open_metrics,
            looks_at_requests: has_rules || (are_probed_by_others && !has_open_metrics),
            of_settings: auth.tokens.clone(),
            file: auth.tokens_file.clone(),
            tokens: RwLock::new(Arc::new(Tokens::of(&auth.tokens))),
            certified: Certified::of(&server.tls.client_names),
            jwt: Jwt::of(&auth.jwt)?.map(Arc::new),
            last: Mutex::default(),
            failed: FailedLogins::register(),
            clock,
        };
        if let Some(path) = &access.file {
            let read = TokensFile::read(path)?;
            let mut last = access.last();
            access.warn_of_group(&mut last, read.group_mode);
            access.take(&mut last, read.tokens)?;
        }
        Ok(access)
    }

    /// Whether a daemon with these settings may listen where they say.
    ///
    /// # Errors
    /// It may not.
    pub fn check(settings: &Settings) -> Result<(), AccessError> {
        let (auth, listen) = (&settings.auth, settings.server.listen);
        match (settings.access_rules(), auth.allow_anonymous) {
            (Some(rules), true) => Err(AccessError::Both(rules)),
            (None, false) if !is_loopback(listen) => Err(AccessError::Open(listen)),
            _ => Ok(()),
        }
    }

    /// Whether anybody is asked who they are.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// Whether there is anything to be looked at in requests: who sends them, or that metrics are
    /// asked for where nobody may.
    #[must_use]
    pub fn looks_at_requests(&self) -> bool {
        self.looks_at_requests
    }

    /// Whether metrics are shown to everybody.
    #[must_use]
    pub fn has_open_metrics(&self) -> bool {
        self.has_open_metrics
    }

    /// Who asks, if they may do what needs this role.
    ///
    /// # Errors
    /// They may not.
    pub fn admit<'a>(
        &self,
        shown: impl Into<Shown<'a>>,
        needs: Role,
        from: Option<SocketAddr>,
    ) -> Result<Caller, Denied> {
        let caller = self.caller(shown.into()).inspect_err(|denied| self.count(denied, from))?;
        caller.may(needs)?;
        Ok(caller)
    }

    /// A token decides if there is one, whatever the certificate says.
    fn caller(&self, shown: Shown<'_>) -> Result<Caller, Denied> {
        match shown.certificate {
            Some(certificate) if !shown.headers.contains_key(AUTHORIZATION) => {
                let caller = self.certified.find(certificate);
                Ok(caller.cloned().ok_or(Failed::Certificate)?)
            }
            Some(_) | None => self.by_token(shown.headers),
        }
    }

    /// Who it is that shows this token in a form, and what of it a session can keep.
    ///
    /// # Errors
    /// It is none that counts; it is counted like any other that does not.
    pub fn sign_in(&self, text: &str, from: Option<SocketAddr>) -> Result<(Caller, Kept), Denied> {
        let found = Presented::typed(text).map_err(Denied::from).and_then(|token| {
            let caller = self.by_text(token.expose())?;
            let digest = TokenDigest::of(token.expose().as_bytes());
            let is_named = self.tokens().find(&digest).is_some();
            let kept = if is_named { Kept::Digest(digest) } else { Kept::jwt(token.expose()) };
            Ok((caller, kept))
        });
        found.inspect_err(|denied| self.count(denied, from))
    }

    /// Who began a session that keeps this, if what they showed counts still.
    ///
    /// # Errors
    /// It does not.
    pub fn still(&self, kept: &Kept) -> Result<Caller, Denied> {
        match kept {
            Kept::Digest(digest) => {
                Ok(self.tokens().find(digest).cloned().ok_or(Failed::Unknown)?)
            }
            Kept::Jwt(token) => self.by_text(token.expose()),
        }
    }

    /// Whom a client's certificate stands for.
    #[must_use]
    pub fn certified(&self, certificate: &Certificate) -> Option<Caller> {
        self.certified.find(certificate).cloned()
    }

    /// Whether there is a token that somebody could sign in with.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        self.jwt.is_some() || self.file.is_some() || self.tokens().len() > 0
    }

    fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, denied: &Denied, from: Option<SocketAddr>) {
        if let Denied::Unknown(why) = denied {
            self.failed.count(*why, from, self.clock.mono());
        }
    }

    fn by_token(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        self.by_text(Presented::of(headers)?.expose())
    }

    fn by_text(&self, token: &str) -> Result<Caller, Denied> {
        let tokens = self.tokens();
        if let Some(caller) = tokens.find(&TokenDigest::of(token.as_bytes())) {
            return Ok(caller.clone());
        }
        match &self.jwt {
            Some(jwt) if Jwt::looks_like_one(token) => {
                let caller = jwt.caller(token, self.clock.now().wall)?;
                if tokens.has_name(&caller.who) {
                    return Err(Failed::Jwt(NoJwt::NameOfToken).into());
                }
                Ok(caller)
            }
            Some(_) | None => Err(Failed::Unknown.into()),
        }
    }

    /// Looks whether the files say something else by now. `at_once`: they are known to be whole.
    pub(super) fn read_again(&self, at_once: bool) {
        self.read_tokens_again(at_once);
        self.read_keys_again(at_once);
    }

    /// The issuer's. Half of a set is none, so that nothing is taken too early.
    fn read_keys_again(&self, at_once: bool) {
        let Some(jwt) = &self.jwt else { return };
        let Source::File(path) = &jwt.source else { return };
        let read = IssuerKeys::read(path);
        let mut last = self.last();
        match read {
            Ok(keys) => {
                last.keys_objection = None;
                jwt.take(keys, at_once);
            }
            Err(error) => {
                let said = with_cause(&error);
                if at_once || last.keys_objection.as_ref() != Some(&said) {
                    tracing::warn!(
                        event = "issuer_keys_not_read",
                        error = said,
                        "the issuer's keys could not be read; those that are known hold, and it is \
                         asked again"
                    );
                }
                last.keys_objection = Some(said);
            }
        }
    }

    /// The tokens. A file that is still being written can be read, and have some of them alone.
    fn read_tokens_again(&self, at_once: bool) {
        let Some(path) = &self.file else { return };
        let read = TokensFile::read(path);
        let mut last = self.last();
        let taken = match read {
            Ok(read) => {
                self.warn_of_group(&mut last, read.group_mode);
                if read.tokens == last.tokens && !at_once {
                    last.unsettled = None;
                    last.objection = None;
                    return;
                }
                if !at_once && last.unsettled.as_ref() != Some(&read.tokens) {
                    last.unsettled = Some(read.tokens);
                    return;
                }
                self.take(&mut last, read.tokens)
            }
            Err(error) => Err(error.into()),
        };
        match taken {
            Ok(tokens) => {
                tracing::info!(event = "tokens_read", tokens, "auth.tokens_file was read again");
            }
            Err(error) => object(&mut last, &error, at_once),
        }
    }

    /// From here on these count, beside those of the settings; says how many that are.
    fn take(&self, last: &mut Last, tokens: Vec<NamedToken>) -> Result<usize, AccessError> {
        let all: Vec<NamedToken> = self.of_settings.iter().chain(&tokens).cloned().collect();
        if let Some((one, other)) = doubled(&all) {
            return Err(AccessError::Doubled(one.name.clone(), other.name.clone()));
        }
        let all = Arc::new(Tokens::of(&all));
        let count = all.len();
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = all;
        last.tokens = tokens;
        last.unsettled = None;
        last.objection = None;
        Ok(count)
    }

    fn warn_of_group(&self, last: &mut Last, group_mode: Option<u32>) {
        if let (Some(mode), None, Some(path)) = (group_mode, last.group_mode, &self.file) {
            tracing::warn!(
                event = "tokens_file_readable",
                path = %path.display(),
                mode = %format_args!("{mode:03o}"),
                "its group may read or write auth.tokens_file: chmod 600 it, unless that is meant"
            );
        }
        last.group_mode = group_mode;
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        // It is put together before it is written, so it is whole.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything to be read again.
    pub(super) fn has_files(&self) -> bool {
        let keys = self.jwt.as_ref().is_some_and(|jwt| matches!(jwt.source, Source::File(_)));
        self.file.is_some() || keys
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Says what is wrong with the file, once for as long as it is the same.
fn object(last: &mut Last, error: &AccessError, at_once: bool) {
    let said = with_cause(error);
    last.unsettled = None;
    if at_once || last.objection.as_ref() != Some(&said) {
        tracing::error!(
            event = "tokens_not_read",
            why = said,
            "auth.tokens_file cannot be used as it is now; what was read of it before holds"
        );
    }
    last.objection = Some(said);
}

impl Caller {
    /// Whether they may do what needs this role.
    ///
    /// # Errors
    /// Their own is smaller.
    pub fn may(&self, needs: Role) -> Result<(), Denied> {
        if self.role >= needs {
            return Ok(());
        }
        Err(Denied::TooSmall { who: Arc::clone(&self.who), has: self.role, needs })
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("has_rules", &self.has_rules).finish_non_exhaustive()
    }
}

/// Whether nobody on another machine reaches it.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
