//! Every route and every middleware; tests build the same router that serves.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::{Method, Uri};
use tercet_wire::ProblemCode;
use utoipa::OpenApi as _;
use utoipa_axum::routes;

use crate::access::{Needs, Role};
use crate::cluster::{JOB_ACT, LEFT, PAUSED};
use crate::http::console::{self, Console, Offers};
use crate::http::handlers::{
    audit, begin, decide, events, health, jobs, left, list, participants, pause, readdress,
    register, resolve, restored, retry, retry_all, sagas, show, stats,
};
use crate::http::middleware::access::{Guard, guarded};
use crate::http::middleware::forwarding::{self, Forwarding};
use crate::http::middleware::passed::passed;
use crate::http::middleware::request_metrics::RequestMetrics;
use crate::http::middleware::{Middleware, every_request};
use crate::http::pages::openapi::{self, Contract};
use crate::http::pages::{docs_page, problems_page, saga_schema};
use crate::http::response::problem::Failure;
use crate::http::route_table::{Mounted, RouteTable};
use crate::http::state::Api;
use crate::metrics::ForwardingMetrics;

/// Everything this node answers over HTTP.
pub fn router(api: Api) -> Router {
    let Mounted { router, paths, needs } = table(api.console.is_some()).mounted();
    let offers = Offers::of(&paths);
    let guard = Guard { access: Arc::clone(&api.access), needs: Arc::new(needs) };
    let middleware = Middleware {
        readiness: api.readiness.clone(),
        metrics: Arc::new(RequestMetrics::of_routes(paths.iter().map(String::as_str))),
    };
    let forwarding = api.forwarder.clone().map(|forwarder| Forwarding {
        forwarder,
        requests: api.requests.clone(),
        metrics: ForwardingMetrics::register(),
        pauses: api.pauses.clone(),
        has_rules: api.access.has_rules(),
    });
    // Where a node is alone, no request takes that way.
    let router = match forwarding.clone() {
        Some(around) => router.route_layer(from_fn_with_state(around, forwarding::forwarding)),
        None => router,
    };
    // Around all others: what is not let in is read no further, and passed on to nobody.
    let router = match api.access.looks_at_requests() {
        true => router.route_layer(from_fn_with_state(guard, guarded)),
        false => router,
    };
    let router = match forwarding {
        Some(around) => router.route_layer(from_fn_with_state(around, passed)),
        None => router,
    };
    let api = Arc::new(api);
    let router = router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(Arc::clone(&api));
    // It asks what stands below it, not what counts and limits requests from outside.
    let router = match Console::of(&api, router.clone(), offers) {
        Some(console) => router.layer(Extension(Arc::new(console))),
        None => router,
    };
    router.layer(from_fn_with_state(middleware, every_request))
}

/// Every route there is, and what it needs of whoever asks. Those of the contract first; pages may
/// show it.
fn table(has_console: bool) -> RouteTable {
    const VIEWER: Needs = Needs::Role(Role::Viewer);
    const CLIENT: Needs = Needs::Role(Role::Client);
    const OPERATOR: Needs = Needs::Role(Role::Operator);
    const NOTHING: Needs = Needs::Nothing;
    let table = RouteTable::of(Contract::openapi())
        .contract(CLIENT, routes!(begin::begin))
        .contract(VIEWER, routes!(list::list))
        .contract(VIEWER, routes!(show::show))
        .contract(CLIENT, routes!(register::register))
        .contract(CLIENT, routes!(decide::confirm))
        .contract(CLIENT, routes!(decide::cancel))
        .contract(VIEWER, routes!(events::events))
        .contract(OPERATOR, routes!(retry::retry))
        .contract(OPERATOR, routes!(resolve::resolve))
        .contract(OPERATOR, routes!(readdress::readdress))
        .contract(OPERATOR, routes!(retry_all::retry_all))
        .contract(OPERATOR, routes!(restored::release))
        .contract(OPERATOR, routes!(audit::audit))
        .contract(OPERATOR, routes!(sagas::put::put))
        .contract(VIEWER, routes!(sagas::list::list))
        .contract(VIEWER, routes!(sagas::show::show))
        .contract(OPERATOR, routes!(sagas::retire::retire))
        .contract(CLIENT, routes!(sagas::run::run))
        .contract(OPERATOR, routes!(jobs::begin::begin))
        .contract(VIEWER, routes!(jobs::list::list))
        .contract(VIEWER, routes!(jobs::show::show))
        .contract(OPERATOR, routes!(jobs::stop::stop))
        .contract(VIEWER, routes!(participants::participants))
        .contract(OPERATOR, routes!(pause::pause))
        .contract(OPERATOR, routes!(pause::resume))
        .contract(VIEWER, routes!(stats::stats))
        .contract(NOTHING, routes!(health::livez))
        .contract(NOTHING, routes!(health::readyz))
        .contract(Needs::Metrics, routes!(health::metrics))
        .made_once(NOTHING, "/openapi.json", openapi::render)
        .made_once(NOTHING, "/docs", docs_page::render)
        .page(VIEWER, "/schemas/saga.json", Method::GET, get(saga_schema::saga_schema))
        .page(Needs::Node, JOB_ACT, Method::POST, post(jobs::act::act))
        .page(Needs::Node, LEFT, Method::POST, post(left::left))
        .page(Needs::Node, PAUSED, Method::POST, post(pause::paused))
        .page(NOTHING, "/problems", Method::GET, get(problems_page::index))
        .page(NOTHING, "/problems/{code}", Method::GET, get(problems_page::one));
    if !has_console {
        return table;
    }
    let table = table.page(NOTHING, "/", Method::GET, get(console::to_console));
    let pages = console::mounted().into_iter();
    pages.fold(table, |table, (needs, path, method, page)| table.page(needs, path, method, page))
}

pub(super) async fn not_found(uri: Uri) -> Failure {
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
