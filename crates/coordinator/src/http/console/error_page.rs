//! What people are shown of what did not work.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tercet_wire::{Problem, ProblemCode};

use crate::http::console::ask::Refused;
use crate::http::console::assets::{POLICY, VERSION, guard_page};
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;

#[derive(Template)]
#[template(path = "console/refused.html")]
struct RefusedPage {
    shell: Shell,
    problem: Refused,
    back: String,
}

#[derive(Template)]
#[template(path = "console/bare.html")]
struct BarePage<'a> {
    version: &'static str,
    title: &'a str,
    text: &'a str,
    /// Where it goes on from here, by itself.
    to: Option<&'a str>,
}

/// The API has said no.
pub(super) fn refused(visitor: &Visitor, tab: Tab, back: &str, problem: Refused) -> Response {
    let status = status_of(&problem);
    let shell = Shell::new(visitor, tab, problem.title.clone());
    let filled = RefusedPage { shell, problem, back: back.to_owned() };
    (status, page(&filled)).into_response()
}

/// A page without anything around it, for whoever is not known.
pub(super) fn bare(code: ProblemCode, text: &str) -> Response {
    let problem = Problem::new(code, text);
    let filled = BarePage { version: &VERSION, title: &problem.title, text, to: None };
    let mut response = (status_of(&problem), page(&filled)).into_response();
    guard_page(response.headers_mut());
    response
}

/// A page that goes to this one of ours.
pub(super) fn again(path: &str) -> Response {
    let filled = BarePage {
        version: &VERSION,
        title: "Tercet",
        text: "This page opens by itself.",
        to: Some(path),
    };
    let mut response = page(&filled);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn status_of(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
