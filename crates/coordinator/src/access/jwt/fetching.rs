//! Keys that are at the issuer's: asked for in time, when a token comes with one that is not known,
//! and never so often that it would be the issuer's trouble. While it is away what was read holds.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::ClientConfig;
use tokio::time::{sleep, timeout};
use url::Url;

use super::keys::{Keys, KeysError, MAX_BYTES};
use super::{Jwt, Source};
use crate::tls::Held;

/// From one time to the next.
const REFRESH: Duration = Duration::from_secs(300);

/// The least from one time to the next, whoever asks with whatever.
const LEAST: Duration = Duration::from_secs(10);

/// How long the issuer may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks for keys for as long as the process lives.
pub(in crate::access) async fn keep_keys(jwt: Arc<Jwt>, tls: Arc<Held<ClientConfig>>) {
    let Source::Url(url) = &jwt.source else { return };
    let mut is_away = false;
    loop {
        let asked = timeout(WITHIN, fetch(&tls, url)).await;
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

/// By a client of its own, since it is asked seldom and TLS may be another by the next time.
async fn fetch(tls: &Held<ClientConfig>, url: &Url) -> Result<Keys, KeysError> {
    let http = reqwest::Client::builder()
        .user_agent(concat!("tercet/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(WITHIN)
        .tls_backend_preconfigured((*tls.get()).clone())
        .build()
        .map_err(KeysError::NoAnswer)?;
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
