//! The table of routes: a route is mounted by standing in it, and so has its label in metrics.

use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::http::pages::contract::complete;
use crate::http::state::Api;

/// A page that needs the contract when it is made.
type Make = Box<dyn FnOnce(&Value) -> MethodRouter<Arc<Api>>>;

/// The routes of the contract, and pages for people and tools, which are no part of it.
pub(super) struct RouteTable {
    contract: OpenApiRouter<Arc<Api>>,
    pages: Vec<(&'static str, Make)>,
}

impl RouteTable {
    /// An empty one, for a contract that says what no route says.
    pub(super) fn of(contract: OpenApi) -> Self {
        Self { contract: OpenApiRouter::with_openapi(contract), pages: Vec::new() }
    }

    /// Handlers of one path, which the contract describes.
    pub(super) fn contract(mut self, routes: UtoipaMethodRouter<Arc<Api>>) -> Self {
        self.contract = self.contract.routes(routes);
        self
    }

    /// A page.
    pub(super) fn page(mut self, path: &'static str, routes: MethodRouter<Arc<Api>>) -> Self {
        self.pages.push((path, Box::new(|_| routes)));
        self
    }

    /// A page about the contract, which is the same for as long as the process lives.
    pub(super) fn made_once<R: IntoResponse + Clone + Send + Sync + 'static>(
        mut self,
        path: &'static str,
        make: fn(&Value) -> R,
    ) -> Self {
        let make = move |contract: &Value| {
            let made = make(contract);
            get(move || std::future::ready(made.clone()))
        };
        self.pages.push((path, Box::new(make)));
        self
    }

    /// All of them as a router, and the paths that they have there.
    pub(super) fn mounted(self) -> (Router<Arc<Api>>, Vec<String>) {
        let (mut router, contract) = self.contract.split_for_parts();
        let mut paths: Vec<String> = contract.paths.paths.keys().cloned().collect();
        let contract = complete(&contract);
        for (path, make) in self.pages {
            paths.push(path.to_owned());
            router = router.route(path, make(&contract));
        }
        (router, paths)
    }
}
