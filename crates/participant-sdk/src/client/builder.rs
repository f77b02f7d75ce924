//! A client with more than an address.

use super::error::ClientError;
use super::http::Http;
use super::tls::Tls;
use super::token::Token;
use super::{Client, WAIT, WaitFor};

/// Puts a [`Client`] together; see [`Client::builder`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    url: String,
    token: Option<Token>,
    tls: Tls,
}

impl ClientBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), token: None, tls: Tls::default() }
    }

    /// The token by which the coordinator knows this client: `tercet token new` makes one. It is sent with
    /// every request, and shown in no print of the client and in no error. Take it from a file or a
    /// variable (`TERCET_TOKEN` is the usual one), not from a command line.
    #[must_use]
    pub fn bearer(self, token: impl Into<Token>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// Certificates (PEM) of authorities that are trusted beside those whom the system trusts, when the
    /// coordinator is asked by https. Once more: those as well.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.authorities.push(pem.into());
        self
    }

    /// The certificate that is shown to a coordinator that asks for one, those between it and its authority,
    /// and its key: all PEM, in one. With it a client may need no token (`server.tls.client_names`). It is
    /// shown in no print of the builder.
    #[must_use]
    pub fn identity(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some(pem.into());
        self
    }

    /// The client.
    ///
    /// # Errors
    /// The URL is not an http or https URL, the token cannot be sent, a certificate or its key cannot be
    /// read, or TLS cannot be set up.
    pub fn build(self) -> Result<Client, ClientError> {
        let bearer = self.token.map(|token| token.into_header()).transpose()?;
        let http = Http::new(&self.url, bearer, &self.tls)?;
        Ok(Client { http, wait_for: WaitFor::default(), wait: WAIT })
    }
}
