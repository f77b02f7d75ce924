//! Every page of the console, and every form: what stands here is mounted, and nothing else.

use std::sync::Arc;

use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, Method, Uri};

use crate::access::Needs;
use crate::http::console::visit::visit;
use crate::http::console::{
    act, assets, came, hold, jobs, many, needs_you, operations, participants, resolve, sign_in,
    transaction, transactions,
};
use crate::http::pages::problems_page::wants_html;
use crate::http::response::problem::Failure;
use crate::http::router::not_found;
use crate::http::state::Api;

/// A page with what it needs, its path and its method.
pub(in crate::http) type Route = (Needs, &'static str, Method, MethodRouter<Arc<Api>>);

/// All of them.
pub(in crate::http) fn mounted() -> Vec<Route> {
    vec![
        screen("/console", needs_you::needs_you),
        // Nothing stands there: it is how some people write the address.
        (Needs::Nothing, "/console/", Method::GET, get(to_console)),
        screen("/console/transactions", transactions::transactions),
        screen("/console/transactions/{gid}", transaction::transaction),
        screen("/console/participants", participants::participants),
        screen("/console/participants/{participant}", participants::participant),
        screen("/console/operations", operations::operations),
        screen("/console/operations/audit", operations::audit),
        screen("/console/operations/settings", operations::settings),
        screen("/console/operations/sagas", operations::sagas),
        screen("/console/operations/jobs", jobs::jobs),
        screen("/console/operations/jobs/{id}", jobs::job),
        form(sign_in::PATH, sign_in::sign_in),
        form("/console/sign-out", sign_in::sign_out),
        form("/console/retry", act::retry_all),
        form(hold::RELEASE, hold::release),
        form("/console/transactions/{gid}/retry", act::retry),
        form("/console/transactions/{gid}/confirm", act::confirm),
        form("/console/transactions/{gid}/cancel", act::cancel),
        form("/console/transactions/{gid}/branches/{id}/resolve", resolve::resolve),
        form("/console/transactions/{gid}/branches/{id}/readdress", act::readdress),
        form("/console/participants/{participant}/pause", act::pause),
        form("/console/participants/{participant}/resume", act::resume),
        form("/console/review", many::review),
        form("/console/chosen", came::chosen),
        form("/console/jobs", many::job),
        form("/console/operations/jobs/{id}/stop", jobs::stop),
        file(assets::STYLE_PATH, assets::style),
        file(assets::SCRIPT_PATH, assets::script),
        file(assets::MARK_PATH, assets::mark),
    ]
}

fn screen<H: Handler<T, Arc<Api>>, T: 'static>(path: &'static str, handler: H) -> Route {
    (Needs::Session, path, Method::GET, get(handler).route_layer(from_fn(visit)))
}

fn form<H: Handler<T, Arc<Api>>, T: 'static>(path: &'static str, handler: H) -> Route {
    (Needs::Session, path, Method::POST, post(handler).route_layer(from_fn(visit)))
}

fn file<H: Handler<T, Arc<Api>>, T: 'static>(path: &'static str, handler: H) -> Route {
    (Needs::Nothing, path, Method::GET, get(handler))
}

/// A browser is led to the console; a program is told what it was always told.
pub(in crate::http) async fn to_console(headers: HeaderMap, uri: Uri) -> Result<Response, Failure> {
    match wants_html(&headers) {
        true => Ok(Redirect::to("/console").into_response()),
        false => Err(not_found(uri).await),
    }
}
