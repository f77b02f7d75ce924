//! The table of routes: a route is mounted by standing in it with what it needs of whoever asks, and
//! so has its label in metrics. There is no other way to mount one, and none without saying that.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use http::Method;
use serde_json::Value;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::{OpenApi, Paths};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::access::{Needs, Role};
use crate::http::pages::contract::complete;
use crate::http::state::Api;

/// A page that needs the contract when it is made.
type Make = Box<dyn FnOnce(&Value) -> MethodRouter<Arc<Api>>>;

/// The routes of the contract, and pages for people and tools, which are no part of it.
pub(super) struct RouteTable {
    contract: OpenApiRouter<Arc<Api>>,
    pages: Vec<(&'static str, Make)>,
    needs: RouteNeeds,
}

/// The routes as they serve.
pub(super) struct Mounted {
    pub(super) router: Router<Arc<Api>>,
    /// The paths that they have there.
    pub(super) paths: Vec<String>,
    pub(super) needs: RouteNeeds,
}

/// What each route needs, by its path's template.
#[derive(Debug, Default)]
pub(super) struct RouteNeeds(HashMap<String, Vec<(Method, Needs)>>);

impl RouteNeeds {
    /// What this one needs. What no route has declared there is nobody but an operator's, since a
    /// mistake is to let in nobody.
    pub(super) fn of(&self, path: &str, method: &Method) -> Needs {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let declared = self.0.get(path).into_iter().flatten();
        let declared = declared.into_iter().find(|(declared, _)| declared == method);
        declared.map_or(Needs::Role(Role::Operator), |(_, needs)| *needs)
    }

    fn add(&mut self, path: &str, method: Method, needs: Needs) {
        self.0.entry(path.to_owned()).or_default().push((method, needs));
    }
}

impl RouteTable {
    /// An empty one, for a contract that says what no route says.
    pub(super) fn of(contract: OpenApi) -> Self {
        Self {
            contract: OpenApiRouter::with_openapi(contract),
            pages: Vec::new(),
            needs: RouteNeeds::default(),
        }
    }

    /// Handlers that need the same, which the contract describes.
    pub(super) fn contract(mut self, needs: Needs, routes: UtoipaMethodRouter<Arc<Api>>) -> Self {
        for (path, method) in methods(&routes.1) {
            self.needs.add(&path, method, needs);
        }
        self.contract = self.contract.routes(routes);
        self
    }

    /// A page, or what tools ask for like one, of this method alone.
    pub(super) fn page(
        mut self,
        needs: Needs,
        path: &'static str,
        method: Method,
        routes: MethodRouter<Arc<Api>>,
    ) -> Self {
        self.needs.add(path, method, needs);
        self.pages.push((path, Box::new(|_| routes)));
        self
    }

    /// A page about the contract, which is the same for as long as the process lives.
    pub(super) fn made_once<R: IntoResponse + Clone + Send + Sync + 'static>(
        mut self,
        needs: Needs,
        path: &'static str,
        make: fn(&Value) -> R,
    ) -> Self {
        let make = move |contract: &Value| {
            let made = make(contract);
            get(move || std::future::ready(made.clone()))
        };
        self.needs.add(path, Method::GET, needs);
        self.pages.push((path, Box::new(make)));
        self
    }

    /// All of them as a router.
    pub(super) fn mounted(self) -> Mounted {
        let Self { contract, pages, needs } = self;
        let (mut router, contract) = contract.split_for_parts();
        let mut paths: Vec<String> = contract.paths.paths.keys().cloned().collect();
        let contract = complete(&contract, &needs);
        for (path, make) in pages {
            paths.push(path.to_owned());
            router = router.route(path, make(&contract));
        }
        Mounted { router, paths, needs }
    }
}

/// What handlers answer: utoipa reads it off them.
fn methods(paths: &Paths) -> Vec<(String, Method)> {
    let of = |item: &PathItem| {
        [
            (&item.get, Method::GET),
            (&item.put, Method::PUT),
            (&item.post, Method::POST),
            (&item.delete, Method::DELETE),
            (&item.options, Method::OPTIONS),
            (&item.head, Method::HEAD),
            (&item.patch, Method::PATCH),
            (&item.trace, Method::TRACE),
        ]
        .into_iter()
        .filter_map(|(operation, method)| operation.is_some().then_some(method))
        .collect::<Vec<Method>>()
    };
    let all = paths.paths.iter();
    all.flat_map(|(path, item)| of(item).into_iter().map(|method| (path.clone(), method))).collect()
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use utoipa::OpenApi as _;

    use super::*;
    use crate::http::pages::openapi::Contract;

    #[test]
    fn what_no_route_has_declared_is_an_operators() {
        let answer = || async { "" };
        let nothing = Needs::Nothing;
        let table = RouteTable::of(Contract::openapi());
        let table = table.page(nothing, "/page", Method::GET, get(answer).merge(post(answer)));
        let needs = table.mounted().needs;
        assert_eq!(needs.of("/page", &Method::GET), nothing);
        assert_eq!(needs.of("/page", &Method::HEAD), nothing, "it is a GET without its body");
        let operator = Needs::Role(Role::Operator);
        assert_eq!(needs.of("/page", &Method::POST), operator, "it was mounted beside the GET");
        assert_eq!(needs.of("/other", &Method::GET), operator);
        assert_eq!(needs.of("", &Method::GET), operator);
    }
}
