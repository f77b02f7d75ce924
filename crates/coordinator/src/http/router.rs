//! Every route and every middleware; tests build the same router that serves.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::{Method, Uri};
use tercet_wire::ProblemCode;
use utoipa::OpenApi as _;
use utoipa_axum::routes;

use crate::cluster::LEFT;
use crate::http::handlers::{
    begin, decide, events, health, left, list, participants, register, resolve, retry, retry_all,
    show, stats,
};
use crate::http::middleware::forwarding::{self, Forwarding};
use crate::http::middleware::request_metrics::RequestMetrics;
use crate::http::middleware::{Middleware, every_request};
use crate::http::pages::openapi::{self, Contract};
use crate::http::pages::{docs_page, problems_page};
use crate::http::response::problem::Failure;
use crate::http::route_table::RouteTable;
use crate::http::state::Api;
use crate::metrics::ForwardingMetrics;

/// Everything this node answers over HTTP.
pub fn router(api: Api) -> Router {
    let (router, paths) = table().mounted();
    let middleware = Middleware {
        readiness: api.readiness.clone(),
        metrics: Arc::new(RequestMetrics::of_routes(paths.iter().map(String::as_str))),
    };
    let forwarding = api.forwarder.clone().map(|forwarder| Forwarding {
        forwarder,
        requests: api.requests.clone(),
        metrics: ForwardingMetrics::register(),
    });
    // Where a node is alone, no request takes that way.
    let router = match forwarding {
        Some(around) => router.route_layer(from_fn_with_state(around, forwarding::forwarding)),
        None => router,
    };
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(Arc::new(api))
        .layer(from_fn_with_state(middleware, every_request))
}

/// Every route there is. Those of the contract first; pages may show it.
fn table() -> RouteTable {
    RouteTable::of(Contract::openapi())
        .contract(routes!(begin::begin, list::list))
        .contract(routes!(show::show))
        .contract(routes!(register::register))
        .contract(routes!(decide::confirm))
        .contract(routes!(decide::cancel))
        .contract(routes!(events::events))
        .contract(routes!(retry::retry))
        .contract(routes!(resolve::resolve))
        .contract(routes!(retry_all::retry_all))
        .contract(routes!(participants::participants))
        .contract(routes!(stats::stats))
        .contract(routes!(health::livez))
        .contract(routes!(health::readyz))
        .contract(routes!(health::metrics))
        .made_once("/openapi.json", openapi::render)
        .made_once("/docs", docs_page::render)
        .page(LEFT, post(left::left))
        .page("/problems", get(problems_page::index))
        .page("/problems/{code}", get(problems_page::one))
}

async fn not_found(uri: Uri) -> Failure {
    let detail = format!("there is no {}; see /docs", shortened(uri.path()));
    Failure::new(ProblemCode::NotFound, detail)
}

/// The `Allow` header is added by axum.
async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    let detail = format!("{} does not take {}", shortened(uri.path()), shortened(method.as_str()));
    Failure::new(ProblemCode::MethodNotAllowed, detail)
}

fn shortened(text: &str) -> String {
    text.chars().take(128).collect()
}
