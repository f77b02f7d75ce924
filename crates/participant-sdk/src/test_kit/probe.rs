//! How the kit looks at what a participant has.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::balances::Balances;

type Looking = Pin<Box<dyn Future<Output = Result<Balances, String>> + Send>>;

/// Where balances are read.
#[derive(Clone)]
pub(super) enum Probe {
    /// From JSON behind this URL.
    Url(String),
    /// From a function of the user's.
    Function(Arc<dyn Fn() -> Looking + Send + Sync>),
}

impl Probe {
    pub(super) fn function<F, R>(look: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Balances, String>> + Send + 'static,
    {
        Self::Function(Arc::new(move || Box::pin(look())))
    }

    /// Reads the balances; why not, in words, if that fails.
    pub(super) async fn look(
        &self,
        http: &reqwest::Client,
        counted: &[String],
    ) -> Result<Balances, String> {
        match self {
            Self::Function(look) => look().await,
            Self::Url(url) => {
                let answer = http.get(url).send().await;
                let answer = answer.and_then(reqwest::Response::error_for_status);
                let text = match answer {
                    Ok(answer) => answer.text().await,
                    Err(error) => Err(error),
                };
                let text = text.map_err(|error| format!("{url}: {error}"))?;
                let json: Value = serde_json::from_str(&text)
                    .map_err(|error| format!("{url} does not answer with JSON: {error}"))?;
                Balances::from_json(&json, counted).map_err(|error| format!("{url}: {error}"))
            }
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}
