//! TLS of the own port.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::files::Identity;
use super::{Loaded, TlsError};

/// What is spoken beneath: HTTP/2 is not.
const HTTP_1_1: &[u8] = b"http/1.1";

/// A port that shows this certificate, and asks clients for one of these authorities' if there are any.
pub(super) fn server(loaded: Loaded) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match loaded.authorities {
        None => builder.with_no_client_auth(),
        Some((file, certificates)) => {
            let roots = Arc::new(roots(&file, certificates)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    // A port without a certificate is none that speaks TLS, so there is no such section.
    let Some(Identity { settings: (cert, of_key), chain, key }) = loaded.identity else {
        return Err(rustls::Error::NoCertificatesPresented.into());
    };
    let unusable = |cause| TlsError::Identity { cert, key: of_key, cause };
    let mut server = builder.with_single_cert(chain, key).map_err(unusable)?;
    server.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(server)
}

/// Authorities that are trusted. One that cannot be one is a mistake, not to be passed over: somebody
/// meant it.
pub(super) fn roots(
    file: &super::files::NamedFile,
    certificates: Vec<rustls::pki_types::CertificateDer<'static>>,
) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|cause| TlsError::Authority {
            setting: file.setting,
            path: file.path.display().to_string(),
            cause,
        })?;
    }
    Ok(roots)
}
