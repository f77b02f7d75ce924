//! One delivery: a POST, and whether it was taken.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::redirect::Policy;
use reqwest::{Client, retry};
use tercet_wire::Wall;
use thiserror::Error;

use super::queue::Alert;
use super::settings::AlertSettings;
use super::signature::SigningKey;
use crate::secret::{Secret, SecretUrl};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// For a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The HTTP client could not be built.
#[derive(Debug, Error)]
#[error("the HTTP client for alerts could not be built: {0}")]
pub struct StartError(#[from] reqwest::Error);

/// Why an alert was not taken.
#[derive(Debug, Error)]
pub(super) enum NotTaken {
    /// The receiver answered, but not with 2xx.
    #[error("the receiver answered {0}")]
    Status(u16),
    /// No answer came. The URL is left out: it may hold a key.
    #[error("{0}")]
    NoAnswer(String),
}

/// Sends alerts, with a client of its own: what participants do to theirs is not its concern.
#[derive(Debug)]
pub(super) struct Delivery {
    client: Client,
    url: SecretUrl,
    key: Option<Secret<SigningKey>>,
}

impl Delivery {
    pub(super) fn new(settings: &AlertSettings) -> Result<Self, StartError> {
        // Refused only where one is installed already, which then does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("tercet/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .retry(retry::never())
                .referer(false)
                .no_proxy()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(settings.timeout)
                // Alerts are rare; a connection kept for the next would be a stale one.
                .pool_max_idle_per_host(0)
        };
        // Without certificate authorities a receiver on http can still be told.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build())?;
        Ok(Self { client, url: settings.url.clone(), key: settings.key.clone() })
    }

    /// Sends an alert; it was taken if the answer is 2xx. What the answer's body says does not
    /// matter, and it is not read.
    pub(super) async fn send(&self, alert: &Alert, now: Wall) -> Result<(), NotTaken> {
        let timestamp = now.0.div_euclid(1_000);
        let mut request = self
            .client
            .post(self.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID, &alert.id)
            .header(TIMESTAMP, timestamp);
        if let Some(key) = &self.key {
            let signature = key.expose().sign(&alert.id, timestamp, &alert.body);
            request = request.header(SIGNATURE, signature);
        }
        let response = request.body(alert.body.clone()).send().await;
        let status = response.map_err(|error| NotTaken::NoAnswer(causes(error)))?.status();
        if status.is_success() { Ok(()) } else { Err(NotTaken::Status(status.as_u16())) }
    }
}

/// The error and what led to it, without the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
