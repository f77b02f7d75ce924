//! A client that sends what it is given and shows all of what comes back.

use std::net::SocketAddr;
use std::sync::Once;

use http::{HeaderMap, Method};
use serde_json::Value;

use crate::{Authority, GUARD, Issued, eventually, soon};

/// The longest wait a request may ask for, in milliseconds.
const LONGEST_WAIT_MS: u128 = 60_000;

/// Talks to the daemon. Bodies are text, sent as they are, so that wrong ones can be sent too.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

/// All of an answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
    /// The body as JSON; null if it is none.
    pub json: Value,
}

impl Response {
    /// One field of the body; null if there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &Value {
        &self.json[name]
    }

    /// A field of the body that is text; empty if there is none.
    #[must_use]
    pub fn word(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    /// A header; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A branch of the transaction in the body.
    ///
    /// # Panics
    /// There is none of this id.
    #[must_use]
    pub fn branch(&self, id: &str) -> &Value {
        let branches = self.json["branches"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = branches.iter().find(|branch| branch["id"] == id);
        found.unwrap_or_else(|| panic!("no branch {id} in {}", self.text))
    }
}

impl Client {
    /// A client for the daemon at this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        static TLS: Once = Once::new();
        // The client insists on a TLS provider although nothing here uses TLS.
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([])
            .build();
        Self { base: format!("http://{address}"), http: http.expect("a client"), token: None }
    }

    /// A client for the daemon at this address that speaks TLS with whomever this authority knows, and
    /// shows this certificate if there is one.
    ///
    /// # Panics
    /// They do not fit.
    #[must_use]
    pub fn by_tls(address: SocketAddr, authority: &Authority, shows: Option<&Issued>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = authority.pem().as_bytes();
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([reqwest::Certificate::from_pem(pem).expect("an authority")]);
        if let Some(issued) = shows {
            let identity = reqwest::Identity::from_pem(issued.identity().as_bytes());
            http = http.identity(identity.expect("a certificate and its key"));
        }
        let http = http.build().expect("a client");
        Self { base: format!("https://{address}"), http, token: None }
    }

    /// The same client with a bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The HTTP client beneath, for what this one has no words for.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `POST /v1/transactions`; `query` is empty or like `?wait=decided`.
    pub async fn begin(&self, query: &str, body: &str) -> Response {
        self.send(Method::POST, &format!("/v1/transactions{query}"), Some(body)).await
    }

    /// `GET /v1/transactions/{gid}`.
    pub async fn get(&self, gid: &str) -> Response {
        self.send(Method::GET, &format!("/v1/transactions/{gid}"), None).await
    }

    /// `GET /v1/transactions/{gid}?wait=finished`: the transaction once it is finished.
    ///
    /// # Panics
    /// It was not finished in time.
    pub async fn finished(&self, gid: &str) -> Response {
        self.reached(gid, "finished").await
    }

    /// `GET /v1/transactions/{gid}?wait=decided`: the transaction once it is decided.
    ///
    /// # Panics
    /// It was not decided in time.
    pub async fn decided(&self, gid: &str) -> Response {
        self.reached(gid, "decided").await
    }

    async fn reached(&self, gid: &str, wait: &str) -> Response {
        let path = format!("/v1/transactions/{gid}?wait={wait}&wait_ms={LONGEST_WAIT_MS}");
        let at = format!("{wait}_at");
        let mut response = self.send(Method::GET, &path, None).await;
        // As often as the guard allows, and then what it is instead is shown.
        for _ in 1..GUARD.as_millis() / LONGEST_WAIT_MS {
            if response.status != 200 || response.json[&at].is_string() {
                break;
            }
            response = self.send(Method::GET, &path, None).await;
        }
        let reached = response.json[&at].is_string();
        assert!(reached, "{gid} is not {wait}: {} {}", response.status, response.text);
        response
    }

    /// `GET /v1/transactions/{gid}/events`.
    pub async fn events(&self, gid: &str) -> Response {
        self.send(Method::GET, &format!("/v1/transactions/{gid}/events"), None).await
    }

    /// The first line of its history of this kind, as soon as there is one.
    ///
    /// # Panics
    /// There was none in time.
    pub async fn event(&self, gid: &str, kind: &str) -> Value {
        let look = async || {
            let events = self.events(gid).await;
            let items = events.json["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().find(|event| event["kind"] == kind).cloned()
        };
        eventually(&format!("{kind} in the history of {gid}"), look).await
    }

    /// `POST /v1/transactions/{gid}/confirm`.
    pub async fn confirm(&self, gid: &str, query: &str) -> Response {
        self.send(Method::POST, &format!("/v1/transactions/{gid}/confirm{query}"), None).await
    }

    /// `POST /v1/transactions/{gid}/cancel`, with a body or without.
    pub async fn cancel(&self, gid: &str, query: &str, body: Option<&str>) -> Response {
        self.send(Method::POST, &format!("/v1/transactions/{gid}/cancel{query}"), body).await
    }

    /// `POST /v1/transactions/{gid}/branches`.
    pub async fn register(&self, gid: &str, query: &str, body: &str) -> Response {
        self.send(Method::POST, &format!("/v1/transactions/{gid}/branches{query}"), Some(body))
            .await
    }

    /// Any request. A body goes as `application/json`.
    ///
    /// # Panics
    /// No answer came.
    pub async fn send(&self, method: Method, path: &str, body: Option<&str>) -> Response {
        let what = format!("{method} {path}");
        let response = soon(&what, self.try_send(method, path, body)).await;
        response.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    /// Any request, for a daemon that may be gone before it answers.
    ///
    /// # Errors
    /// No answer came.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Result<Response, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        Ok(Response { status, headers, text, json })
    }
}
