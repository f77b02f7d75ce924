//! A client with more than an address.

use super::error::ClientError;
use super::http::Http;
use super::token::Token;
use super::{Client, WAIT, WaitFor};

/// Puts a [`Client`] together; see [`Client::builder`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    url: String,
    token: Option<Token>,
}

impl ClientBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), token: None }
    }

    /// The token by which the coordinator knows this client: `tercet token new` makes one. It is sent with
    /// every request, and shown in no print of the client and in no error. Take it from a file or a
    /// variable (`TERCET_TOKEN` is the usual one), not from a command line.
    #[must_use]
    pub fn bearer(self, token: impl Into<Token>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// The client.
    ///
    /// # Errors
    /// The URL is not an http or https URL, the token cannot be sent, or TLS cannot be set up.
    pub fn build(self) -> Result<Client, ClientError> {
        let bearer = self.token.map(|token| token.into_header()).transpose()?;
        let http = Http::new(&self.url, bearer)?;
        Ok(Client { http, wait_for: WaitFor::default(), wait: WAIT })
    }
}
