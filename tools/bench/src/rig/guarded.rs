//! What a daemon has that others reach: a certificate, and a token that it asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::RigError;

/// A certificate for the loopback interface, which is its own authority, and a token.
#[derive(Debug)]
pub(super) struct Guarded {
    directory: TempDir,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) token: String,
}

impl Guarded {
    /// Makes them, in files below `below`.
    pub(super) fn make(below: &Path) -> Result<Self, RigError> {
        let wrong = |why: &dyn std::fmt::Display| std::io::Error::other(why.to_string());
        let key = KeyPair::generate().map_err(|why| wrong(&why))?;
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]);
        let cert = params.and_then(|params| params.self_signed(&key)).map_err(|why| wrong(&why))?;
        fs::create_dir_all(below)?;
        let directory = tempfile::Builder::new().prefix("guarded-").tempdir_in(below)?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).map_err(|why| wrong(&why))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| wrong(&why))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let made = Self { directory, tls: Arc::new(tls), token: "a-token-for-figures".to_owned() };
        fs::write(made.at("cert.pem"), cert.pem())?;
        let at = made.at("key.pem");
        fs::write(&at, key.serialize_pem())?;
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&at, fs::Permissions::from_mode(0o600))?;
        Ok(made)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// As the daemon is told. What it counts it says beside, by plain HTTP.
    pub(super) fn settings(&self) -> [(&'static str, String); 4] {
        // The daemon runs elsewhere.
        let path = |name| std::path::absolute(self.at(name)).unwrap_or_default();
        let shown = |name| path(name).display().to_string();
        let digest = Sha256::digest(&self.token);
        let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let tokens = json!([{ "name": "bench", "role": "client", "sha256": sha256 }]);
        [
            ("TERCET_SERVER__TLS__CERT_FILE", shown("cert.pem")),
            ("TERCET_SERVER__TLS__KEY_FILE", shown("key.pem")),
            ("TERCET_SERVER__ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("TERCET_AUTH__TOKENS", tokens.to_string()),
        ]
    }
}
