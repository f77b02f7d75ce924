//! Every route and every middleware; tests build the same router that serves.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use http::{Method, Uri, header};
use tercet_wire::ProblemCode;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::handlers::{
    begin, decide, events, health, list, participants, register, resolve, retry, retry_all, show,
    stats,
};
use crate::http::middleware::request_metrics::RequestMetrics;
use crate::http::middleware::{Middleware, every_request};
use crate::http::pages::openapi::Contract;
use crate::http::pages::{docs_page, problems_page};
use crate::http::response::problem::Failure;
use crate::http::state::Api;

/// Pages for people and tools; they are not part of the contract they describe.
const PAGES: [&str; 4] = ["/openapi.json", "/docs", "/problems", "/problems/{code}"];

/// Everything this node answers over HTTP.
pub fn router(api: Api) -> Router {
    let (routes, contract) = contract_routes().split_for_parts();
    let paths = contract.paths.paths.keys().map(String::as_str);
    let middleware = Middleware {
        readiness: api.readiness.clone(),
        metrics: Arc::new(RequestMetrics::of_routes(paths.chain(PAGES))),
    };
    routes
        .merge(pages(&contract))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(Arc::new(api))
        .layer(from_fn_with_state(middleware, every_request))
}

fn contract_routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Contract::openapi())
        .routes(routes!(begin::begin, list::list))
        .routes(routes!(show::show))
        .routes(routes!(register::register))
        .routes(routes!(decide::confirm))
        .routes(routes!(decide::cancel))
        .routes(routes!(events::events))
        .routes(routes!(retry::retry))
        .routes(routes!(resolve::resolve))
        .routes(routes!(retry_all::retry_all))
        .routes(routes!(participants::participants))
        .routes(routes!(stats::stats))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

fn pages(contract: &OpenApi) -> Router<Arc<Api>> {
    // Both are the same for as long as the process lives.
    let docs = docs_page::render(contract);
    let json = serde_json::to_string(contract).unwrap_or_default();
    let json = ([(header::CONTENT_TYPE, "application/json")], json);
    let [openapi_path, docs_path, problems_path, problem_path] = PAGES;
    Router::new()
        .route(openapi_path, get(move || std::future::ready(json.clone())))
        .route(docs_path, get(move || std::future::ready(docs.clone())))
        .route(problems_path, get(problems_page::index))
        .route(problem_path, get(problems_page::one))
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
