//! Asks a coordinator over HTTP.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client as Http, Method};
use rustls::ClientConfig;
use serde_json::Value;
use tercet_wire::{Problem, ProblemCode, TransactionView};
use thiserror::Error;
use url::Url;

use crate::secret::Secret;

/// Longer than anybody waits for a coordinator that is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any wait that is asked for here.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// A look at what may be no coordinator does not wait for long.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// A retry of all takes as long as it takes; a coordinator that is gone is noticed sooner.
const WALK_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Nothing is asked for beside what the path says.
pub(in crate::cli) const NO_QUERY: &[(&str, String)] = &[];

/// Why nothing was done, or nobody knows.
#[derive(Debug, Error)]
pub(in crate::cli) enum ClientError {
    /// The client itself could not be made.
    #[error("the HTTP client could not be built")]
    Build(#[source] reqwest::Error),
    /// The URL can have no path.
    #[error("{0} is no http or https URL")]
    Url(Url),
    /// No answer came.
    #[error("no answer from {url}")]
    Unreachable {
        /// Where it was asked, without what is secret in it.
        url: String,
        /// What happened.
        #[source]
        cause: reqwest::Error,
    },
    /// The coordinator said no.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Box<Problem>),
    /// A secret is none. It is not said.
    #[error("{0}: must be {must_be}", must_be = tercet_wire::SigningKey::MUST_BE)]
    Secret(&'static str),
    /// Something answered that has no books.
    #[error("{url} answered {what}, and not with a page of branches")]
    NoBooks {
        /// Where it was asked.
        url: String,
        /// With what instead.
        what: String,
    },
    /// Something answered that is no coordinator.
    #[error("{url} answered {status}, and not as a coordinator does")]
    Strange {
        /// Where it was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
}

/// What the coordinator answered.
#[derive(Debug)]
pub(in crate::cli) struct Answered {
    /// 200, 201, 202 or 204.
    pub(super) status: u16,
    pub(in crate::cli) body: Value,
}

/// What was answered. A participant's result, or a payload, may be JSON that no `Value` can hold (too deep, a number
/// too large, half of a surrogate pair): then it is shown as its text.
fn body_of(text: &str) -> Result<Value, serde_json::Error> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mut view: TransactionView = serde_json::from_str(text).map_err(|_| error)?;
    for branch in &mut view.branches {
        for json in branch.result.iter_mut().chain(&mut branch.payload) {
            let as_text = serde_json::to_string(json.as_str())?;
            *json = serde_json::from_str(&as_text)?;
        }
    }
    serde_json::to_value(view)
}

/// Asks a coordinator.
#[derive(Clone)]
pub(in crate::cli) struct Client {
    http: Http,
    base: Url,
    token: Option<Secret<String>>,
}

impl Client {
    pub(super) fn new(
        base: Url,
        token: Option<Secret<String>>,
        tls: ClientConfig,
    ) -> Result<Self, ClientError> {
        if !matches!(base.scheme(), "http" | "https") {
            return Err(ClientError::Url(base));
        }
        let http = Http::builder()
            .user_agent(concat!("tercet/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(ClientError::Build)?;
        Ok(Self { http, base, token })
    }

    /// The same connections to somebody else, to whom no token is shown.
    pub(super) fn elsewhere(&self, base: Url) -> Result<Self, ClientError> {
        if !matches!(base.scheme(), "http" | "https") {
            return Err(ClientError::Url(base));
        }
        Ok(Self { http: self.http.clone(), base, token: None })
    }

    /// What is answered, whatever it is.
    pub(super) async fn get_text(
        &self,
        path: &[&str],
        query: &[(impl AsRef<str>, String)],
        headers: Vec<(&'static str, String)>,
    ) -> Result<(u16, String), ClientError> {
        let url = self.address(path, query)?;
        let request = self.http.get(url).timeout(ANSWER_TIMEOUT);
        let request =
            headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let unreachable = |cause: reqwest::Error| self.unreachable(cause);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(unreachable)?))
    }

    /// Whether a token is shown.
    pub(in crate::cli) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The same, showing no token: to somebody who may be a stranger.
    pub(in crate::cli) fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// What is answered to us soon, whatever it is, and the date that is said with it.
    pub(in crate::cli) async fn get_raw(
        &self,
        path: &[&str],
    ) -> Result<(u16, String, Option<String>), ClientError> {
        let mut request = self.http.get(self.address(path, NO_QUERY)?).timeout(LOOK_TIMEOUT);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let unreachable = |cause: reqwest::Error| self.unreachable(cause);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.map(str::to_owned);
        Ok((status, response.text().await.map_err(unreachable)?, date))
    }

    pub(in crate::cli) async fn get(
        &self,
        path: &[&str],
        query: &[(impl AsRef<str>, String)],
    ) -> Result<Answered, ClientError> {
        self.send(Method::GET, path, query, None, ANSWER_TIMEOUT).await
    }

    pub(super) async fn post(
        &self,
        path: &[&str],
        query: &[(impl AsRef<str>, String)],
        body: Option<Value>,
    ) -> Result<Answered, ClientError> {
        let body = body.map(|body| body.to_string());
        self.send(Method::POST, path, query, body, ANSWER_TIMEOUT).await
    }

    /// As `post`, of a text that is sent as it is.
    pub(super) async fn post_text(
        &self,
        path: &[&str],
        body: String,
    ) -> Result<Answered, ClientError> {
        self.send(Method::POST, path, NO_QUERY, Some(body), ANSWER_TIMEOUT).await
    }

    pub(super) async fn put(&self, path: &[&str], body: String) -> Result<Answered, ClientError> {
        self.send(Method::PUT, path, NO_QUERY, Some(body), ANSWER_TIMEOUT).await
    }

    pub(super) async fn patch(&self, path: &[&str], body: &Value) -> Result<Answered, ClientError> {
        let body = Some(body.to_string());
        self.send(Method::PATCH, path, NO_QUERY, body, ANSWER_TIMEOUT).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<Answered, ClientError> {
        self.send(Method::DELETE, path, NO_QUERY, None, ANSWER_TIMEOUT).await
    }

    /// As `post`, for what can take long.
    pub(super) async fn walk(
        &self,
        path: &[&str],
        query: &[(impl AsRef<str>, String)],
    ) -> Result<Answered, ClientError> {
        self.send(Method::POST, path, query, None, WALK_TIMEOUT).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(impl AsRef<str>, String)],
        body: Option<String>,
        timeout: Duration,
    ) -> Result<Answered, ClientError> {
        let url = self.address(path, query)?;
        let mut request = self.http.request(method, url).timeout(timeout);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            let json = ("content-type", "application/json");
            request = request.header(json.0, json.1).body(body);
        }
        let unreachable = |cause: reqwest::Error| self.unreachable(cause);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(unreachable)?;
        let strange = || self.strange(status);
        match status {
            200..=202 => {
                let body = body_of(&text).map_err(|_| strange())?;
                Ok(Answered { status, body })
            }
            204 => Ok(Answered { status, body: Value::Null }),
            _ => {
                let problem = serde_json::from_str(&text).map_err(|_| strange())?;
                Err(ClientError::Refused(Box::new(problem)))
            }
        }
    }

    /// The address of a resource; whatever stands in an id is one segment of its path.
    fn address(
        &self,
        path: &[&str],
        query: &[(impl AsRef<str>, String)],
    ) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ClientError::Url(self.base.clone()))?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// The URL is shown by us: what it may hold of a password is not.
    fn unreachable(&self, cause: reqwest::Error) -> ClientError {
        ClientError::Unreachable { url: self.shown(), cause: cause.without_url() }
    }

    /// What answered with this status is no coordinator.
    pub(super) fn strange(&self, status: u16) -> ClientError {
        ClientError::Strange { url: self.shown(), status }
    }

    /// What answered so keeps no books.
    pub(super) fn no_books(&self, what: String) -> ClientError {
        ClientError::NoBooks { url: self.shown(), what }
    }

    pub(in crate::cli) fn shown(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

/// What the operator's script is to make of it; see the table of exit codes in API and docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    Usage,
    NotFound,
    Conflict,
    Auth,
    Unreachable,
    Failed,
}

impl ClientError {
    pub(in crate::cli) fn kind(&self) -> Kind {
        match self {
            Self::Build(_) => Kind::Failed,
            Self::Url(_) | Self::Secret(_) => Kind::Usage,
            Self::NoBooks { .. } => Kind::Failed,
            Self::Unreachable { .. } => Kind::Unreachable,
            Self::Refused(problem) => of_problem(problem.code),
            Self::Strange { status, .. } => match status {
                401 | 403 => Kind::Auth,
                502..=504 => Kind::Unreachable,
                _ => Kind::Failed,
            },
        }
    }
}

fn of_problem(code: ProblemCode) -> Kind {
    match code.status() {
        400 | 405 | 413 | 415 => Kind::Usage,
        401 | 403 => Kind::Auth,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        // It is there, and cannot be asked now.
        // Another node, or this one later, can answer.
        421 | 503 => Kind::Unreachable,
        _ => Kind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{self, TlsFiles};

    fn client(base: &str) -> Client {
        let tls = TlsFiles::default().read().and_then(tls::client).expect("no file is read");
        Client::new(base.parse().expect("a URL"), None, tls).expect("a client")
    }

    #[test]
    fn an_address_stands_below_the_url_and_an_id_is_one_segment_of_it() {
        let query = [("participant", "pay:80".to_owned())];
        let address = |base: &str, path: &[&str]| {
            client(base).address(path, &query).expect("an address").to_string()
        };
        let expected = "http://h:7200/v1/transactions/a%2F..%3Fb?participant=pay%3A80";
        assert_eq!(address("http://h:7200", &["v1", "transactions", "a/..?b"]), expected);
        let below = "https://h/tercet/v1/retry?participant=pay%3A80";
        assert_eq!(address("https://h/tercet/", &["v1", "retry"]), below);
        assert_eq!(address("https://h/tercet", &["v1", "retry"]), below);
    }

    #[test]
    fn a_result_that_no_value_can_hold_is_shown_as_its_text() {
        let examples = include_str!("../../../assets/openapi-examples.json");
        let examples: Value = serde_json::from_str(examples).expect("examples");
        let deep = "[".repeat(300) + &"]".repeat(300);
        for result in [deep.as_str(), r#""\ud800""#, "1e400"] {
            let mut view = examples["TransactionView"].clone();
            view["branches"][0]["result"] = "HERE".into();
            let shown = body_of(&view.to_string().replace("\"HERE\"", result));
            let shown = shown.expect("a transaction");
            assert_eq!(shown["branches"][0]["result"], result);
            assert_eq!(shown["gid"], view["gid"]);
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        assert_eq!(client("http://me:secret@h:7200/x").shown(), "http://h:7200");
    }

    #[test]
    fn every_code_is_of_a_kind_that_a_script_can_tell() {
        use ProblemCode as Code;
        for (code, kind) in [
            (Code::InvalidRequest, Kind::Usage),
            (Code::Unauthorized, Kind::Auth),
            (Code::Forbidden, Kind::Auth),
            (Code::TransactionNotFound, Kind::NotFound),
            (Code::BranchNotFound, Kind::NotFound),
            (Code::AlreadyFinished, Kind::Conflict),
            (Code::NotDecided, Kind::Conflict),
            (Code::NotOwner, Kind::Unreachable),
            (Code::JournalUnavailable, Kind::Unreachable),
            (Code::ShuttingDown, Kind::Unreachable),
            (Code::Internal, Kind::Failed),
        ] {
            assert_eq!(of_problem(code), kind, "{code}");
        }
    }
}
