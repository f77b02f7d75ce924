//! Makes connections to participants: TCP, and TLS where the URL says so, within one timeout.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{BoxError, Service};

use super::settings::DispatcherSettings;

/// A connection's two directions, encrypted or not.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The HTTP client for calls could not be built.
#[derive(Debug, Error)]
#[error("the HTTP client for calls could not be built: {0}")]
pub struct StartError(#[from] rustls::Error);

/// The look-up of the name, the connection and TLS together took too long.
#[derive(Debug, Error)]
#[error("no connection in time")]
pub(super) struct NotInTime;

/// Makes connections.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(settings: &DispatcherSettings) -> Result<Self, StartError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // It is asked for https too, beneath TLS.
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self { https, timeout: settings.connect_timeout })
    }
}

/// TLS that trusts whom the system trusts.
fn tls() -> Result<ClientConfig, StartError> {
    let provider = Arc::new(ring::default_provider());
    let tls = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let tls = match Verifier::new(provider) {
        Ok(verifier) => tls.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
        Err(error) => {
            // A container without certificate authorities still serves participants on http.
            tracing::warn!(event = "no_certificate_authorities",
                cause = %error,
                "no certificate authorities: participants on https cannot be called"
            );
            tls.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(tls.with_no_client_auth())
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = timeout(self.timeout, self.https.call(target));
        Box::pin(async move { connecting.await.map_err(|_| NotInTime)? })
    }
}
