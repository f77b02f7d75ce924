//! `GET /problems` and `/problems/{code}`: what each code means and what to do about it.

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use tercet_wire::ProblemCode;

use crate::http::pages::page::{AS_IT_SAYS, Prose, page};
use crate::http::response::problem::Failure;

const MARKDOWN: HeaderValue = HeaderValue::from_static("text/markdown; charset=utf-8");

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    title: &'static str,
    code: ProblemCode,
    status: u16,
    what_to_do: Prose,
}

#[derive(Template)]
#[template(path = "problems.html")]
struct ProblemsPage {
    title: &'static str,
    codes: &'static [ProblemCode],
}

pub(in crate::http) async fn one(
    code: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    // What does not decode to UTF-8 is no code either.
    let code = code.ok().and_then(|Path(code)| code.parse::<ProblemCode>().ok());
    let code = code.ok_or_else(|| {
        Failure::new(ProblemCode::NotFound, "there is no such problem; see /problems")
    })?;
    let (status, title, what_to_do) = (code.status(), code.title(), code.what_to_do());
    Ok(if wants_html(&headers) {
        page(&ProblemPage { title, code, status, what_to_do: Prose::new(what_to_do) })
            .into_response()
    } else {
        let text =
            format!("# {title}\n\n`{code}`, sent with HTTP status {status}.\n\n{what_to_do}\n");
        ([(header::CONTENT_TYPE, MARKDOWN), AS_IT_SAYS], text).into_response()
    })
}

pub(in crate::http) async fn index(headers: HeaderMap) -> Response {
    if wants_html(&headers) {
        page(&ProblemsPage { title: "Problems", codes: ProblemCode::ALL }).into_response()
    } else {
        let lines = ProblemCode::ALL.iter();
        let lines = lines.map(|code| format!("- `{code}` ({}): {}\n", code.status(), code.title()));
        let text = format!("# Problems\n\n{}", lines.collect::<String>());
        ([(header::CONTENT_TYPE, MARKDOWN), AS_IT_SAYS], text).into_response()
    }
}

/// Browsers name HTML; programs and curl do not, and read plain text more easily.
pub(in crate::http) fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
}
