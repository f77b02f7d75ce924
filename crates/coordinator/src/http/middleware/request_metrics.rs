//! How many requests were answered, how, and how long it took: by route. A route is
//! the path's template, so that ids in paths never become labels.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tercet_wire::metric;

use http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};

/// The label of requests that match no route, or that are answered before one is looked for.
const UNMATCHED: &str = "unmatched";

/// Handles for every route there is.
#[derive(Debug)]
pub(in crate::http) struct RequestMetrics {
    routes: HashMap<String, RouteMetrics>,
    unmatched: RouteMetrics,
}

struct RouteMetrics {
    route: String,
    duration: Histogram,
    /// Made when a status is first sent: most routes ever send three.
    by_status: Mutex<BTreeMap<u16, Counter>>,
}

impl RequestMetrics {
    pub(in crate::http) fn of_routes<'a>(routes: impl IntoIterator<Item = &'a str>) -> Self {
        let routes = routes.into_iter().map(|route| (route.to_owned(), RouteMetrics::new(route)));
        Self { routes: routes.collect(), unmatched: RouteMetrics::new(UNMATCHED) }
    }

    /// An answer without a look at any route, which takes no time.
    pub(in crate::http) fn turned_away(&self, status: StatusCode) {
        self.answered(None, status, Duration::ZERO);
    }

    pub(in crate::http) fn answered(
        &self,
        route: Option<&str>,
        status: StatusCode,
        took: Duration,
    ) {
        let known = route.and_then(|route| self.routes.get(route));
        known.unwrap_or(&self.unmatched).answered(status, took);
    }
}

impl RouteMetrics {
    fn new(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            duration: histogram!(metric::HTTP_REQUEST_DURATION, "route" => route.to_owned()),
            by_status: Mutex::default(),
        }
    }

    fn answered(&self, status: StatusCode, took: Duration) {
        self.duration.record(took);
        // A counter that was being added when a panic struck is simply added again.
        let mut by_status = self.by_status.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = by_status.entry(status.as_u16()).or_insert_with(|| {
            let labels = [("route", self.route.clone()), ("status", status.as_str().to_owned())];
            counter!(metric::HTTP_REQUESTS, &labels)
        });
        counter.increment(1);
    }
}

impl std::fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouteMetrics").field("route", &self.route).finish_non_exhaustive()
    }
}
