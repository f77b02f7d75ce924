//! Requests that another node has passed on: whose they are, and what they may, was found where they
//! came in, and stands on them under that node's signature. Nobody asks for a token again.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use tercet_wire::{ProblemCode, header};

use crate::cluster::{JOB_ACT, NoPass, Passed};
use crate::http::extract::body::{HasRoom, whole};
use crate::http::middleware::forwarding::Forwarding;
use crate::http::response::problem::Failure;

const NODE: HeaderName = HeaderName::from_static(header::NODE);
const WHO: HeaderName = HeaderName::from_static(header::WHO);
const ROLE: HeaderName = HeaderName::from_static(header::ROLE);

/// On a request: another node has passed it on, so it goes no further.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct PassedOn;

/// Believes what a node of this database says of a request, and nobody else.
pub(in crate::http) async fn passed(
    State(around): State<Forwarding>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let has_pass = headers.contains_key(NODE) && is_of_one(&request);
    if has_pass {
        return match checked(&around, request).await {
            // Its room in the budget is kept for as long as it is answered.
            Ok((request, _place)) => next.run(request).await,
            Err(failure) => failure.into_response(),
        };
    }
    // Where nobody is asked for a token there is nothing to be gained by saying so, and nothing is.
    if around.has_rules && (headers.contains_key(WHO) || headers.contains_key(ROLE)) {
        refused(NoPass::Forged);
        let detail = "Tercet-Who, Tercet-Role: these are what nodes say to each other, and no node \
                      has signed this request";
        return Failure::new(ProblemCode::Unauthorized, detail).into_response();
    }
    next.run(request).await
}

/// Whether it is about one transaction: such requests are passed on, or asked of whoever drives it.
pub(in crate::http) fn is_of_one(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    path.is_some_and(|path| path.starts_with("/v1/transactions/{gid}") || path == JOB_ACT)
        || (matches!(path, Some("/v1/transactions" | "/v1/sagas/{name}/runs"))
            && request.method() == Method::POST)
}

/// The request with what its pass says, and the room that its body takes.
async fn checked(around: &Forwarding, request: Request) -> Result<(Request, impl Sized), Failure> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let passed = Passed {
        method: &parts.method,
        target,
        who: text(&parts.headers, &WHO),
        role: text(&parts.headers, &ROLE),
    };
    let pass = around.forwarder.pass_of(&parts.headers, &passed).map_err(no_pass)?;
    let caller = passed.caller().ok_or(NoPass::Forged).map_err(no_pass)?;
    // No stranger's is read, or takes room; reads have none that anybody looks at.
    let (body, place) = match parts.method {
        Method::GET | Method::HEAD => (Bytes::new(), None),
        _ => whole(&parts.headers, body, &around.requests).await?,
    };
    pass.check_body(&body).map_err(no_pass)?;
    parts.extensions.insert(caller);
    parts.extensions.insert(PassedOn);
    parts.extensions.insert(HasRoom);
    Ok((Request::from_parts(parts, Body::from(body)), place))
}

fn no_pass(why: NoPass) -> Failure {
    let detail = format!("{}: {why}", header::NODE);
    if why == NoPass::OfAnother {
        // This node has begun anew since: whoever passed it on looks again.
        return Failure::new(ProblemCode::NotOwner, detail);
    }
    refused(why);
    Failure::new(ProblemCode::Unauthorized, detail)
}

fn refused(why: NoPass) {
    tracing::warn!(event = "pass_refused", %why, "a request came with a pass that does not count");
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
