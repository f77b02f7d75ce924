//! TLS towards others.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::WantsClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls_platform_verifier::Verifier;

use super::files::Identity;
use super::server::roots;
use super::{Loaded, TlsError};

/// Trusts these authorities, beside those whom the system trusts or alone, and shows this certificate to
/// whoever asks for one.
pub(crate) fn client(loaded: Loaded) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder: rustls::ConfigBuilder<ClientConfig, WantsClientCert> = match loaded.authorities {
        Some((file, certificates)) if loaded.alone => {
            builder.with_root_certificates(roots(&file, certificates)?)
        }
        authorities => match beside_the_system(authorities, provider)? {
            Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
            None => builder.with_root_certificates(RootCertStore::empty()),
        },
    };
    match loaded.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { settings: (cert, of_key), chain, key }) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|cause| TlsError::Identity { cert, key: of_key, cause }),
    }
}

type Authorities = (super::files::NamedFile, Vec<rustls::pki_types::CertificateDer<'static>>);

/// Trusts whom the system trusts, and these. None where that is nobody: a container without certificate
/// authorities can still ask on http.
fn beside_the_system(
    authorities: Option<Authorities>,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ServerCertVerifier>>, TlsError> {
    let Some((file, certificates)) = authorities else {
        return Ok(of_the_system(provider));
    };
    let verifier = Verifier::new_with_extra_roots(certificates, provider);
    let verifier = verifier.map_err(|cause| TlsError::Authority {
        setting: file.setting,
        path: file.path.display().to_string(),
        cause,
    })?;
    Ok(Some(Arc::new(verifier)))
}

fn of_the_system(provider: Arc<CryptoProvider>) -> Option<Arc<dyn ServerCertVerifier>> {
    match Verifier::new(provider) {
        Ok(verifier) => Some(Arc::new(verifier)),
        Err(error) => {
            tracing::warn!(
                event = "no_certificate_authorities",
                cause = %error,
                "no certificate authorities: nobody on https can be called"
            );
            None
        }
    }
}
