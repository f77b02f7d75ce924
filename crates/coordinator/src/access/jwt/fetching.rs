//! Keys that are at the issuer's: asked for in time, when a token comes with one that is not known,
//! and never so often that it would be the issuer's trouble. While it is away what was read holds.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::time::{sleep, timeout};
use url::Url;

use super::keys::{Keys, KeysError, MAX_BYTES};
use super::{Jwt, Source};

/// From one time to the next.
const REFRESH: Duration = Duration::from_secs(300);

/// The least from one time to the next, whoever asks with whatever.
const LEAST: Duration = Duration::from_secs(10);

/// How long the issuer may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks for keys for as long as the process lives.
pub(in crate::access) async fn keep_keys(jwt: Arc<Jwt>) {
    let Source::Url(url) = &jwt.source else { return };
    // Refused only where one is installed already, which then does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("tercet/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(WITHIN)
    };
    // A machine without certificate authorities can still ask on http.
    let http = match builder().build().or_else(|_| builder().tls_certs_only([]).build()) {
        Ok(http) => http,
        Err(cause) => return not_read(&KeysError::NoAnswer(cause)),
    };
    let mut is_away = false;
    loop {
        let asked = timeout(WITHIN, fetch(&http, url)).await;
        let wait = match asked.unwrap_or(Err(KeysError::TooLate)) {
            Ok(keys) => {
                is_away = false;
                jwt.take(keys, false);
                REFRESH
            }
            Err(error) => {
                // Once for each time that it is away.
                if !std::mem::replace(&mut is_away, true) {
                    not_read(&error);
                }
                LEAST
            }
        };
        sleep(LEAST).await;
        tokio::select! {
            () = sleep(wait.saturating_sub(LEAST)) => {}
            () = jwt.missed.notified() => {}
        }
    }
}

fn not_read(error: &KeysError) {
    let error: &(dyn std::error::Error + 'static) = error;
    tracing::warn!(
        event = "issuer_keys_not_read",
        error,
        "the issuer's keys could not be read; those that are known hold, and it is asked again"
    );
}

async fn fetch(http: &reqwest::Client, url: &Url) -> Result<Keys, KeysError> {
    let mut answer = http.get(url.clone()).send().await.map_err(KeysError::NoAnswer)?;
    if !answer.status().is_success() {
        return Err(KeysError::Refused(answer.status().as_u16()));
    }
    let mut text = Vec::new();
    while let Some(more) = answer.chunk().await.map_err(KeysError::NoAnswer)? {
        if text.len() + more.len() > MAX_BYTES {
            return Err(KeysError::TooLong);
        }
        text.extend_from_slice(&more);
    }
    Keys::parse(&text)
}
