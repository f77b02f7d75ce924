//! TLS: the files of the own port, of calls, and of what nodes say to each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::access::NamedClient;
use crate::config::settings::{ClusterSection, unless_empty};

/// `[server.tls]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsSection {
    /// The port's certificate, and those between it and its authority; absent: it speaks plain HTTP.
    #[serde(deserialize_with = "unless_empty")]
    pub cert_file: Option<PathBuf>,
    /// The certificate's key.
    #[serde(deserialize_with = "unless_empty")]
    pub key_file: Option<PathBuf>,
    /// Whose certificates clients must show, if any.
    #[serde(deserialize_with = "unless_empty")]
    pub client_ca_file: Option<PathBuf>,
    /// Whom a name in a client's certificate stands for.
    pub client_names: BTreeMap<String, NamedClient>,
}

/// `[dispatcher.tls]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallsTlsSection {
    /// Who is trusted beside those whom the system trusts.
    #[serde(deserialize_with = "unless_empty")]
    pub ca_file: Option<PathBuf>,
    /// What is shown to those who ask for a certificate.
    #[serde(deserialize_with = "unless_empty")]
    pub cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(deserialize_with = "unless_empty")]
    pub key_file: Option<PathBuf>,
}

impl ServerTlsSection {
    /// Whether the port speaks TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.cert_file.is_some()
    }

    /// What URLs of the port begin with.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }

    /// What is missing, or too much: the setting, and what it must be.
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        let both = both(
            (&self.cert_file, "server.tls.cert_file"),
            (&self.key_file, "server.tls.key_file"),
        );
        if both.is_some() {
            return both;
        }
        let (key, what) = if self.client_ca_file.is_some() && !self.is_on() {
            ("server.tls.cert_file", "is missing, beside server.tls.client_ca_file")
        } else if !self.client_names.is_empty() && self.client_ca_file.is_none() {
            ("server.tls.client_ca_file", "is missing: nobody is asked for a certificate")
        } else {
            return None;
        };
        Some((key, what.to_owned()))
    }
}

impl CallsTlsSection {
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        let cert = (&self.cert_file, "dispatcher.tls.cert_file");
        both(cert, (&self.key_file, "dispatcher.tls.key_file"))
    }
}

impl ClusterSection {
    pub(super) fn tls_objection(&self) -> Option<(&'static str, String)> {
        both((&self.cert_file, "cluster.cert_file"), (&self.key_file, "cluster.key_file"))
    }
}

type File<'a> = (&'a Option<PathBuf>, &'static str);

/// A certificate is of no use without its key, nor a key without its certificate.
fn both((cert, cert_file): File<'_>, (key, key_file): File<'_>) -> Option<(&'static str, String)> {
    match (cert, key) {
        (Some(_), None) => Some((key_file, format!("is missing, beside {cert_file}"))),
        (None, Some(_)) => Some((cert_file, format!("is missing, beside {key_file}"))),
        (None, None) | (Some(_), Some(_)) => None,
    }
}
