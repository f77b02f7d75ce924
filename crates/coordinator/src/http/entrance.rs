//! Who answers what comes in: before the node has recovered, only what asks how it stands.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use http::Request;
use hyper::body::Incoming;
use tercet_wire::ProblemCode;
use tower::Service as _;

use crate::http::handlers::health;
use crate::http::middleware::request_metrics::RequestMetrics;
use crate::http::middleware::{Middleware, every_request};
use crate::http::readiness::Readiness;
use crate::http::response::problem::Failure;
use crate::http::server::Browsers;
use crate::runtime::{Cause, Refusals};

/// Whether this path asks how the node stands: such requests have connections of their own.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

/// The way to the routers. Cheap to clone; all clones lead to the same.
#[derive(Debug, Clone)]
pub struct Entrance {
    starting: Router,
    open: Arc<RwLock<Option<Router>>>,
    /// Counts what no router is asked, into the same counters as theirs.
    metrics: Arc<RequestMetrics>,
    refusals: Arc<Refusals>,
    browsers: Arc<Browsers>,
}

impl Entrance {
    /// One that is not open yet: probes are answered, everything else is told to come again.
    #[must_use]
    pub fn closed(readiness: &Readiness) -> Self {
        let metrics = Arc::new(RequestMetrics::of_routes(["/livez", "/readyz"]));
        let middleware = Middleware { readiness: readiness.clone(), metrics: Arc::clone(&metrics) };
        let starting = Router::new()
            .route("/livez", get(health::livez))
            .route("/readyz", get(health::readyz))
            .fallback(not_ready)
            .method_not_allowed_fallback(not_ready)
            .with_state(readiness.clone())
            .layer(from_fn_with_state(middleware, every_request));
        let refusals = Arc::new(Refusals::register());
        let browsers = Arc::default();
        Self { starting, open: Arc::default(), metrics, refusals, browsers }
    }

    /// The same, which pages of these origins may ask, and by these names.
    #[must_use]
    pub fn for_browsers(self, browsers: Browsers) -> Self {
        Self { browsers: Arc::new(browsers), ..self }
    }

    pub(super) fn browsers(&self) -> &Browsers {
        &self.browsers
    }

    /// From here on this router answers everything that comes in. What another is asked already is
    /// answered by that.
    pub fn open(&self, router: Router) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(router);
    }

    /// Counts what is answered without asking a router.
    pub(super) fn metrics(&self) -> &Arc<RequestMetrics> {
        &self.metrics
    }

    /// A connection, or what it asked, was refused for want of a place.
    pub(super) fn has_no_place(&self) {
        self.refusals.count(Cause::Connections);
    }

    /// The answer to a request.
    pub(super) fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response> + Send + 'static + use<> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let mut router = open.as_ref().unwrap_or(&self.starting).clone();
        drop(open);
        let answer = router.call(request);
        async move {
            let Ok(answer) = answer.await;
            answer
        }
    }
}

async fn not_ready() -> Failure {
    let detail = "this node is starting and takes up what was unfinished; nothing happened";
    Failure::new(ProblemCode::NotReady, detail)
}
