//! Signs calls to those who share a secret with the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use tercet_wire::{SignedHost, SigningKey, Wall, call_id, header, webhook_timestamp};
use url::Url;

use super::request::Unwritable;
use crate::secret::Secret;

const ID: HeaderName = HeaderName::from_static(header::WEBHOOK_ID);
const TIMESTAMP: HeaderName = HeaderName::from_static(header::WEBHOOK_TIMESTAMP);
const SIGNATURE: HeaderName = HeaderName::from_static(header::WEBHOOK_SIGNATURE);

/// By which key the calls to whom are signed. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signing {
    keys: Arc<BTreeMap<SignedHost, Secret<SigningKey>>>,
}

impl Signing {
    /// Calls to each of these are signed by its key.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (SignedHost, Secret<SigningKey>)>) -> Self {
        Self { keys: Arc::new(keys.into_iter().collect()) }
    }

    /// The key by which calls to this URL are signed, if they are.
    pub(super) fn key_of(&self, url: &Url) -> Option<&SigningKey> {
        if self.keys.is_empty() {
            return None;
        }
        let hosts = SignedHost::of(url)?;
        hosts.iter().find_map(|host| self.keys.get(host)).map(Secret::expose)
    }
}

/// Puts the headers of Standard Webhooks on a request. A branch's own headers of these names do not
/// stay: it cannot speak in our name.
pub(super) fn sign<B>(
    request: &mut Request<B>,
    key: &SigningKey,
    body: &[u8],
    now: Wall,
) -> Result<(), Unwritable> {
    let headers = request.headers_mut();
    let id = call_id(|name| text(headers, name));
    let timestamp = webhook_timestamp(now);
    let signature = key.sign(&id, timestamp, body);
    let value = |name, text: &str| HeaderValue::from_str(text).map_err(|_| Unwritable::Value(name));
    headers.insert(ID, value(ID, &id)?);
    headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
    headers.insert(SIGNATURE, value(SIGNATURE, &signature)?);
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
