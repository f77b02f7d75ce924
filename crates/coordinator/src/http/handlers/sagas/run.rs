//! `POST /v1/sagas/{name}/runs`.
//!
//! A run is a begin whose branches stand in a definition. Which version a repeat is compared with is
//! that of the transaction that is there; so where the newest does not answer, that is looked at.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use tercet_engine::{Ask, Refusal, Reply, Until};
use tercet_wire::{
    Arrival, CheckedBegin, Gid, Invalid, Pointer, Problem, ProblemCode, RunRequest, SagaName,
    SagaVersion, TransactionView, check_run, header, input_of,
};

use crate::http::extract::document::Document;
use crate::http::extract::params::Query;
use crate::http::extract::saga_path::SagaPath;
use crate::http::extract::wait::{DecisionWait, WaitFor};
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;
use crate::sagas::{Found, SagaError};

/// Where transactions are found, seen from where runs are begun.
const TRANSACTIONS: &str = "../../transactions";

/// Run a saga
///
/// Begins a saga whose steps stand in a definition: each step's payload is `input`, to the byte, and
/// the results of those before it go with it. The gid makes it idempotent: the same content again answers with the
/// transaction as it is, also when the definition has changed meanwhile or was retired.
#[utoipa::path(
    post,
    operation_id = "run_saga",
    path = "/v1/sagas/{name}/runs",
    tag = "sagas",
    params(
        ("name" = String, Path, description = "Which definition."),
        DecisionWait,
        ("traceparent" = Option<String>, Header, description = "W3C trace context, continued in every call to a participant."),
    ),
    request_body = RunRequest,
    responses(
        (status = 201, body = TransactionView, description = "Begun, and what was waited for has come.",
            headers(("Location" = String), ("Tercet-Status" = String))),
        (status = 200, body = TransactionView, description = "A repeat, and what was waited for has come."),
        (status = 202, body = TransactionView, description = "The wait ran out first; the transaction goes on."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`saga-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`gid-reused` or `saga-retired`"),
        (status = 413, body = Problem, content_type = PROBLEM_JSON, description = "`payload-too-large`"),
        (status = 415, body = Problem, content_type = PROBLEM_JSON, description = "`unsupported-media-type`"),
        (status = 429, body = Problem, content_type = PROBLEM_JSON, description = "`too-many-requests`",
            headers(("Retry-After" = u32))),
        (status = 503, body = Problem, content_type = PROBLEM_JSON,
            description = "`journal-unavailable`, `owner-unreachable`, `not-accepted` or `shutting-down`", headers(("Retry-After" = u32))),
    ),
)]
pub(in crate::http) async fn run(
    State(api): State<Arc<Api>>,
    SagaPath(name): SagaPath,
    headers: HeaderMap,
    Query(wait): Query<DecisionWait>,
    Document(request): Document<RunRequest>,
) -> Result<Response, Failure> {
    let traceparent = headers.get(header::TRACEPARENT).and_then(|value| value.to_str().ok());
    let gid = request.gid.as_deref().map(str::parse::<Gid>).transpose();
    let field = || Pointer::root().field("gid");
    let gid = gid.map_err(|error| Invalid::new("gid", error).at(field()))?;
    let payload_bytes = api.limits.payload_bytes;
    if input_of(&request).len() > payload_bytes {
        let too_large = Invalid::too_large("input", input_of(&request).len(), payload_bytes);
        return Err(too_large.at(Pointer::root().field("input")).into());
    }
    let run = Run { api: &api, name, request, wait: wait.wait(), traceparent };
    let version = run.version()?;
    let first = run.begun(version).await;
    // A gid that nobody knows cannot have been begun with another version.
    let (Err(refused), Some(gid)) = (&first, gid) else { return first };
    if !refused.may_be_another_versions() {
        return first;
    }
    match run.known(&gid).await? {
        Known::Run(with) if version.is_none_or(|version| version == with) => {
            run.repeated(with).await
        }
        Known::Run(_) => Err(Failure::refused(Refusal::GidReused, &gid)),
        Known::RefusedBefore => run.as_it_is(&gid).await,
        Known::Not => first,
    }
}

/// What is known of a gid that a run is asked for with.
enum Known {
    /// It runs, or ran, with this version of this definition.
    Run(u32),
    /// A cancel came before its begin, whatever that would have been.
    RefusedBefore,
    /// Nothing, or something else altogether.
    Not,
}

/// A run that is asked for.
struct Run<'a> {
    api: &'a Api,
    name: SagaName,
    request: RunRequest,
    wait: WaitFor,
    traceparent: Option<&'a str>,
}

impl Run<'_> {
    /// The version that is asked for, if one is. One that there can be none of is not found.
    fn version(&self) -> Result<Option<u32>, Failure> {
        let given = self.request.version.map(|version| u32::try_from(version).unwrap_or(u32::MAX));
        match given {
            Some(0) => {
                let invalid = Invalid::new("version", "must be 1 or more, this is 0");
                Err(invalid.at(Pointer::root().field("version")).into())
            }
            given => Ok(given),
        }
    }

    /// Begins it with this version, or the newest.
    async fn begun(&self, version: Option<u32>) -> Result<Response, Failure> {
        let found = self.found(version).await?;
        if found.retired_at.is_some() {
            let SagaVersion { name, version } = found.definition.saga.clone();
            return Err(Failure::about_saga(SagaError::Retired { name, version }));
        }
        self.begun_with(&found).await
    }

    /// The same of one that was begun with this version, whatever became of the definition since.
    async fn repeated(&self, version: u32) -> Result<Response, Failure> {
        let found = self.found(Some(version)).await?;
        self.begun_with(&found).await
    }

    async fn found(&self, version: Option<u32>) -> Result<Found, Failure> {
        self.api.sagas.version(&self.name, version).await.map_err(Failure::about_saga)
    }

    async fn begun_with(&self, found: &Found) -> Result<Response, Failure> {
        let Self { api, request, wait, traceparent, .. } = self;
        let definition = &found.definition;
        let checked = api.sagas.check_input(definition, input_of(request)).await;
        checked.map_err(Failure::about_saga)?;
        let arrival = Arrival {
            instance: api.new_instance(),
            at: api.clock.now().wall,
            traceparent: *traceparent,
        };
        let saga = definition.saga.clone();
        let run = check_run(request.clone(), saga, &definition.request, &api.limits, &arrival)?;
        let CheckedBegin { spec, fresh } = run;
        let gid = spec.gid.clone();
        let ask = Ask::Begin { spec: Arc::new(spec), fresh };
        let reply = api.engine.ask(gid.clone(), ask, wait.until, wait.within).await;
        let response = reply::transaction(reply, &gid)?;
        Ok(reply::with_location(response, TRANSACTIONS, &gid))
    }

    /// The transaction of this gid, as an answer.
    async fn as_it_is(&self, gid: &Gid) -> Result<Response, Failure> {
        let Self { api, wait, .. } = self;
        let reply = api.engine.ask(gid.clone(), Ask::Read, wait.until, wait.within).await;
        Ok(reply::with_location(reply::transaction(reply, gid)?, TRANSACTIONS, gid))
    }

    async fn known(&self, gid: &Gid) -> Result<Known, Failure> {
        let ask = self.api.engine.ask(gid.clone(), Ask::Read, Until::Accepted, Duration::ZERO);
        let snapshot = match ask.await {
            Reply::Refused(Refusal::NotFound) => return Ok(Known::Not),
            reply => reply::snapshot_of(reply, gid)?.1,
        };
        let spec = snapshot.transaction.spec();
        Ok(match spec.saga() {
            Some(saga) if saga.name == self.name => Known::Run(saga.version),
            None if spec.fingerprint.is_of_refused() => Known::RefusedBefore,
            _ => Known::Not,
        })
    }
}

impl Failure {
    /// Whether a repeat could be refused so that was begun with another version than was looked at.
    fn may_be_another_versions(&self) -> bool {
        matches!(
            self.code(),
            ProblemCode::SagaRetired
                | ProblemCode::InvalidRequest
                | ProblemCode::GidReused
                | ProblemCode::PayloadTooLarge
        )
    }
}
