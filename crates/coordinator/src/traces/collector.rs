//! The way to the collector: requests that the exporter writes, sent as every other call of the daemon's.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::Full;
use opentelemetry_http::{HttpClient, HttpError};
use thiserror::Error;
use tokio::time::sleep;
use url::{Position, Url};

use super::TraceSettings;
use crate::outbound::{self, Connections, Connector, Sending};

/// Who calls.
const CALLER: HeaderValue = HeaderValue::from_static(concat!("tercet/", env!("CARGO_PKG_VERSION")));

/// As much of an answer as is read: it says at most how many spans were not taken.
const ANSWER_BYTES: usize = 64 * 1024;

/// How long a connection is kept for the next batch.
const KEPT: Duration = Duration::from_secs(10);

/// Why a batch was not taken.
#[derive(Debug, Error)]
enum NotTaken {
    /// The collector answered, but not with 2xx.
    #[error("the collector answered {0}")]
    Status(u16),
    /// No answer came.
    #[error("{0}")]
    NoAnswer(String),
    /// The request cannot be written, which is a bug of ours; it names no value, since they may be secrets.
    #[error("the request cannot be written")]
    Unwritable,
}

/// Where batches go.
pub(super) struct Collector {
    connections: Connections,
    settings: TraceSettings,
}

impl Collector {
    pub(super) fn new(settings: TraceSettings, connector: Connector) -> Self {
        Self { connections: Connections::new(connector, KEPT), settings }
    }

    async fn send(&self, given: &HeaderMap, body: &Bytes) -> Result<Bytes, NotTaken> {
        let url = &self.settings.url;
        let mut short = None;
        let how = Sending { fresh: false, short: &mut short };
        let mut timer = pin!(sleep(self.settings.timeout));
        let sent = self.connections.send(url, || self.request(url, given, body), how);
        let sent = outbound::before(timer.as_mut(), sent).await;
        let (mut connection, mut response) = match sent {
            Some(sent) => sent.map_err(|error| NotTaken::NoAnswer(outbound::why(&error)))?,
            None => {
                let within = self.settings.timeout.as_millis();
                return Err(NotTaken::NoAnswer(format!("no answer within {within} ms")));
            }
        };
        let status = response.status();
        let mut answer = Vec::new();
        let reading = async {
            while let Some(Ok(frame)) = connection.next(response.body_mut()).await {
                answer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
                if answer.len() > ANSWER_BYTES {
                    return false;
                }
            }
            true
        };
        if outbound::before(timer, reading).await == Some(true) {
            self.connections.keep(url, status.as_u16(), connection);
        }
        if status.is_success() { Ok(answer.into()) } else { Err(NotTaken::Status(status.as_u16())) }
    }

    fn request(
        &self,
        url: &Url,
        given: &HeaderMap,
        body: &Bytes,
    ) -> Result<Request<Full<Bytes>>, NotTaken> {
        let unwritable = |_| NotTaken::Unwritable;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        let target = &url[Position::BeforePath..Position::AfterQuery];
        *request.uri_mut() = Uri::try_from(target).map_err(|_| NotTaken::Unwritable)?;
        let headers = request.headers_mut();
        headers.clone_from(given);
        let host = &url[Position::BeforeHost..Position::AfterPort];
        headers.insert(HOST, HeaderValue::from_str(host).map_err(unwritable)?);
        headers.insert(USER_AGENT, CALLER);
        for (name, value) in &self.settings.headers {
            headers.insert(name, value.expose().clone());
        }
        Ok(request)
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        Ok(Response::new(self.send(&head.headers, &body).await?))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}
