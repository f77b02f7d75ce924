//! The API, asked in this process by whoever looks at a page: its own routes, with all they check, and
//! passed on to the node that drives a transaction like any request.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::{Method, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tercet_wire::{Problem, ProblemCode};
use tower::ServiceExt as _;

use crate::access::Caller;
use crate::http::extract::body::HasRoom;

/// What the API has said no with. Boxed, since it nearly always says yes.
pub(super) type Refused = Box<Problem>;

/// What came of something that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acted {
    /// It is so.
    Done,
    /// It is taken, and not so yet (202).
    AskedFor,
}

/// Whom to ask, and for whom.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) api: Router,
    pub(super) caller: Caller,
}

impl Ask {
    /// What is read at this address.
    pub(super) async fn get<T: DeserializeOwned>(&self, uri: &str) -> Result<T, Refused> {
        read(&self.send(Method::GET, uri, None).await?)
    }

    /// The same, of what is text.
    pub(super) async fn text(&self, uri: &str) -> Result<String, Refused> {
        let bytes = self.send(Method::GET, uri, None).await?;
        String::from_utf8(bytes.into()).map_err(|_| misfit())
    }

    /// Has something done.
    pub(super) async fn post(&self, uri: &str, body: Option<&Value>) -> Result<Value, Refused> {
        read(&self.send(Method::POST, uri, body).await?)
    }

    /// As whatever the address takes.
    pub(super) async fn send(
        &self,
        method: Method,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, Refused> {
        Ok(self.answered(method, uri, body).await?.1)
    }

    /// Whether what was asked for has come, or is taken and goes on.
    pub(super) async fn act(
        &self,
        method: Method,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<Acted, Refused> {
        let (status, _) = self.answered(method, uri, body).await?;
        Ok(if status == StatusCode::ACCEPTED { Acted::AskedFor } else { Acted::Done })
    }

    async fn answered(
        &self,
        method: Method,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Refused> {
        let uri: Uri = uri.parse().map_err(|_| {
            let detail = "what was asked for cannot stand in an address";
            Box::new(Problem::new(ProblemCode::InvalidRequest, detail))
        })?;
        let content = body.map(|body| Body::from(body.to_string())).unwrap_or_default();
        let mut request = Request::new(content);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        if body.is_some() {
            let json = header::HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        request.extensions_mut().insert(self.caller.clone());
        // It is in memory already, and was counted when it came.
        request.extensions_mut().insert(HasRoom);
        let Ok(answer) = self.api.clone().oneshot(request).await;
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(|_| misfit())?.to_bytes();
        match parts.status.is_success() {
            true => Ok((parts.status, bytes)),
            false => Err(serde_json::from_slice(&bytes).map_or_else(|_| misfit(), Box::new)),
        }
    }
}

/// What an answer of the API says.
pub(super) fn read<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(bytes).map_err(|error| {
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::error!(
            event = "console_misread",
            error,
            "the console cannot read what the API of this node answers"
        );
        misfit()
    })
}

fn misfit() -> Refused {
    let detail = "the request met a fault of ours; the log names it";
    Box::new(Problem::new(ProblemCode::Internal, detail))
}
