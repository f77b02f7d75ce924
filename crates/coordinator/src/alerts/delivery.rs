//! One delivery: a POST, and whether it was taken.

use std::pin::pin;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use tercet_wire::{SigningKey, Wall, header, webhook_timestamp};
use thiserror::Error;
use tokio::time::sleep;
use url::Position;

use super::queue::Alert;
use super::settings::AlertSettings;
use crate::outbound::{self, Connections, Connector, Sending};
use crate::secret::{Secret, SecretUrl};

const ID: HeaderName = HeaderName::from_static(header::WEBHOOK_ID);
const TIMESTAMP: HeaderName = HeaderName::from_static(header::WEBHOOK_TIMESTAMP);
const SIGNATURE: HeaderName = HeaderName::from_static(header::WEBHOOK_SIGNATURE);

/// Who calls.
const CALLER: HeaderValue = HeaderValue::from_static(concat!("tercet/", env!("CARGO_PKG_VERSION")));

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

/// Sends alerts, each on a connection of its own: they are rare, and one kept for the next would
/// be a stale one.
pub(super) struct Delivery {
    connections: Connections,
    timeout: Duration,
    url: SecretUrl,
    key: Option<Secret<SigningKey>>,
}

impl Delivery {
    pub(super) fn new(settings: &AlertSettings, connector: Connector) -> Self {
        Self {
            connections: Connections::new(connector, Duration::ZERO),
            timeout: settings.timeout,
            url: settings.url.clone(),
            key: settings.key.clone(),
        }
    }

    /// Sends an alert; it was taken if the answer is 2xx. What the answer's body says does not
    /// matter, and it is not read.
    pub(super) async fn send(&self, alert: &Alert, now: Wall) -> Result<(), NotTaken> {
        let mut short = None;
        let how = Sending { fresh: true, short: &mut short };
        let sent = self.connections.send(self.url.expose(), || self.request(alert, now), how);
        let timer = pin!(sleep(self.timeout));
        let (_connection, response) = match outbound::before(timer, sent).await {
            Some(sent) => sent.map_err(|error| NotTaken::NoAnswer(outbound::why(&error)))?,
            None => {
                let within = format!("no answer within {} ms", self.timeout.as_millis());
                let why = short.map_or(within, |short| short.to_string());
                return Err(NotTaken::NoAnswer(why));
            }
        };
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(NotTaken::Status(status.as_u16())) }
    }

    fn request(&self, alert: &Alert, now: Wall) -> Result<Request<Full<Bytes>>, Unwritable> {
        let url = self.url.expose();
        let timestamp = webhook_timestamp(now);
        let mut request = Request::new(Full::new(Bytes::from(alert.body.clone())));
        *request.method_mut() = Method::POST;
        let target = &url[Position::BeforePath..Position::AfterQuery];
        *request.uri_mut() = Uri::try_from(target).map_err(|_| Unwritable)?;
        let text = |text: &str| HeaderValue::from_str(text).map_err(|_| Unwritable);
        let headers = request.headers_mut();
        headers.insert(HOST, text(&url[Position::BeforeHost..Position::AfterPort])?);
        headers.insert(USER_AGENT, CALLER);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ID, text(&alert.id)?);
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        if !url.username().is_empty() || url.password().is_some() {
            let password = url.password().unwrap_or_default();
            headers.insert(AUTHORIZATION, text(&basic(url.username(), password))?);
        }
        if let Some(key) = &self.key {
            let signature = key.expose().sign(&alert.id, timestamp, alert.body.as_bytes());
            headers.insert(SIGNATURE, text(&signature)?);
        }
        Ok(request)
    }
}

/// Name and password of a URL, in which some of their characters are escaped. Source: RFC 7617.
fn basic(name: &str, password: &str) -> String {
    let plain = [name, ":", password].concat();
    let plain: Vec<u8> = percent_decode_str(&plain).collect();
    format!("Basic {}", BASE64_STANDARD.encode(plain))
}

/// The request of an alert cannot be written. The URL was checked when the settings were read, and
/// the rest is ours, so this is a bug; it names no value, since they may be secrets.
#[derive(Debug, Error)]
#[error("the alert cannot be written")]
struct Unwritable;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_of_the_url_are_sent_as_they_were_meant() {
        // RFC 7617, 2; and an escaped one.
        assert_eq!(basic("Aladdin", "open%20sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
