//! `[participants]`: who may be called, and whose calls are signed.

use std::sync::Arc;

use serde::Deserialize;
use tercet_wire::{CallRule, CallRules, SignedHost, SigningKey};

use crate::secret::Secret;

/// `[participants]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantSection {
    /// Who is called; empty: everybody who is not denied.
    pub allow: Vec<CallRule>,
    /// Who is not.
    pub deny: Vec<CallRule>,
    /// Whether nobody is called where no participant is.
    pub deny_defaults: bool,
    /// Whose calls are signed.
    pub signing: Vec<SigningTable>,
}

/// `[[participants.signing]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningTable {
    /// Calls to whom.
    pub host: SignedHost,
    /// By the first it is signed; the others are there to be taken over from.
    pub secrets: Vec<Secret<SigningKey>>,
}

impl ParticipantSection {
    /// Who may be called.
    #[must_use]
    pub fn call_rules(&self) -> Arc<CallRules> {
        let (allow, deny) = (self.allow.clone(), self.deny.clone());
        Arc::new(CallRules::new(allow, deny, self.deny_defaults))
    }

    /// By which secret calls to whom are signed: the first of each. The others are known to
    /// participants, who verify by any.
    pub fn signing_keys(&self) -> impl Iterator<Item = (SignedHost, Secret<SigningKey>)> {
        let key = |table: &SigningTable| Some((table.host.clone(), table.secrets.first()?.clone()));
        self.signing.iter().filter_map(key)
    }

    /// What does not go together: the setting, and what it must be.
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        let mut seen: Vec<&SignedHost> = Vec::new();
        for SigningTable { host, secrets } in &self.signing {
            if secrets.is_empty() {
                return Some(("participants.signing", format!("has no secret for {host}")));
            }
            if seen.contains(&host) {
                return Some(("participants.signing", format!("has {host} twice")));
            }
            seen.push(host);
        }
        None
    }
}
