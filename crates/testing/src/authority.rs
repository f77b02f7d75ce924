//! Certificates of an authority of the test's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// It issues certificates that count for whoever trusts it.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, both in PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new one, which nobody has heard of.
    ///
    /// # Panics
    /// There is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = called("an authority of tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for this common name and these others: hosts, addresses, URIs.
    ///
    /// # Panics
    /// One of them is no name.
    #[must_use]
    pub fn issue(&self, common_name: &str, others: &[&str]) -> Issued {
        let is_uri = |name: &&str| name.contains("://");
        let (uris, hosts): (Vec<&str>, Vec<&str>) = others.iter().partition(|name| is_uri(name));
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        let uris = uris.into_iter().map(|uri| SanType::URI(uri.try_into().expect("a URI")));
        params.subject_alt_names.extend(uris);
        params.distinguished_name = called(common_name);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Issued { cert, key: key.serialize_pem() }
    }

    /// A certificate for the loopback interface.
    #[must_use]
    pub fn issue_for_loopback(&self) -> Issued {
        self.issue("a server of tests", &["127.0.0.1", "localhost"])
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Issued {
    /// Puts both into this directory, the key for its owner alone, and says where they are.
    ///
    /// # Panics
    /// They cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) =
            (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        std::fs::write(&cert, &self.cert).expect("written");
        write_private(&key, &self.key);
        (cert, key)
    }

    /// Both in one.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}{}", self.cert, self.key)
    }

    /// TLS of a server with this certificate, which asks clients for one of the authority's if there is
    /// one.
    ///
    /// # Panics
    /// They do not fit.
    #[must_use]
    pub fn server(&self, of_clients: Option<&Authority>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match of_clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(authority.pem())).expect("an authority");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let server = builder.with_single_cert(vec![certificate(&self.cert)], key);
        Arc::new(server.expect("a certificate and its key"))
    }
}

/// Writes a file that its owner alone may read.
///
/// # Panics
/// It cannot be written.
pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("written");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("its mode");
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}
