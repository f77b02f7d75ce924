//! Runs of sagas that the coordinator has definitions of.

use serde::Serialize;
use serde_json::value::to_raw_value;
use tercet_wire::{RunRequest, SagaName};

use super::Client;
use super::error::ClientError;
use super::http::Sent;
use super::outcome::Outcome;
use super::request::{fresh_gid, traceparent_of};

/// A run of a definition, to be sent.
#[must_use = "nothing runs until it is sent"]
#[derive(Debug, Clone)]
pub struct SagaRun {
    client: Client,
    name: String,
    request: RunRequest,
    traceparent: Option<String>,
}

impl Client {
    /// A run of the saga that the coordinator knows by this name: its newest version, unless one is
    /// named.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), tercet_participant::ClientError> {
    /// #[derive(serde::Serialize)]
    /// struct Trip { traveller: String, seats: u32 }
    ///
    /// let client = tercet_participant::Client::new("http://127.0.0.1:7200")?;
    /// let trip = Trip { traveller: "alice".to_owned(), seats: 2 };
    /// let outcome = client.run_saga("trip").input(&trip)?.gid("trip-1001").send().await?;
    /// # let _ = outcome;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_saga(&self, name: impl Into<String>) -> SagaRun {
        let (name, request) = (name.into(), RunRequest::default());
        SagaRun { client: self.clone(), name, request, traceparent: None }
    }
}

impl SagaRun {
    /// What it is about: the payload of each of its steps. It must fit the definition's schema. By
    /// default `{}`.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn input(mut self, input: &(impl Serialize + ?Sized)) -> Result<Self, ClientError> {
        let raw =
            to_raw_value(input).map_err(|source| ClientError::Json { what: "input", source })?;
        self.request.input = Some(raw);
        Ok(self)
    }

    /// Its gid, as of any transaction: take one that belongs to the business deed, and a repeat of the
    /// deed is the same run. By default it is a new UUIDv7.
    pub fn gid(mut self, gid: impl Into<String>) -> Self {
        self.request.gid = Some(gid.into());
        self
    }

    /// Your own data, shown with the transaction: an object, at most 4 KiB.
    ///
    /// # Errors
    /// It is not an object, or cannot be written as JSON.
    pub fn metadata(mut self, metadata: &impl Serialize) -> Result<Self, ClientError> {
        let object = serde_json::to_value(metadata).and_then(serde_json::from_value);
        self.request.metadata =
            Some(object.map_err(|source| ClientError::Json { what: "metadata", source })?);
        Ok(self)
    }

    /// Which version of the definition. By default the newest; of a repeat that which its gid runs
    /// with.
    pub fn version(mut self, version: u32) -> Self {
        self.request.version = Some(version.into());
        self
    }

    /// The W3C trace context that the run continues.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Runs it, and waits as the client waits.
    ///
    /// # Errors
    /// See [`ClientError`]; no such definition is [`ClientError::Refused`] with code
    /// `saga-not-found`, an input that does not fit `invalid-request` with a `pointer`. Being cancelled
    /// is no error but an [`Outcome`].
    pub async fn send(self) -> Result<Outcome, ClientError> {
        let Self { client, name, mut request, traceparent } = self;
        let name: SagaName = name.parse().map_err(|source| ClientError::Id {
            what: "name",
            given: name.clone(),
            source,
        })?;
        let gid = match request.gid.take() {
            Some(given) => {
                given.parse().map_err(|source| ClientError::Id { what: "gid", given, source })?
            }
            None => fresh_gid(),
        };
        request.gid = Some(gid.to_string());
        let body = serde_json::to_string(&request)
            .map_err(|source| ClientError::Json { what: "run", source })?;
        let sent = Sent { body: Some(body), traceparent: traceparent_of(traceparent)? };
        let path = format!("/v1/sagas/{name}/runs?{}", client.wait_query());
        let reply = client.http.post(&path, &gid, sent, client.wait).await?;
        Ok(Outcome::of(reply.read()?))
    }
}
