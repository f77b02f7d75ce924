//! `GET /problems` and `/problems/{code}`: what each code means and what to do about it.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use tercet_wire::ProblemCode;

use crate::http::pages::page::{page, prose};
use crate::http::response::problem::Failure;

const MARKDOWN: &str = "text/markdown; charset=utf-8";

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
        let body = format!(
            "<p><code>{code}</code>, sent with HTTP status {status}.</p>\n<p>{}</p>\n\
             <p><a href=\"/problems\">All problems</a> · <a href=\"/docs\">The API</a></p>\n",
            prose(what_to_do)
        );
        page(title, &body).into_response()
    } else {
        let text =
            format!("# {title}\n\n`{code}`, sent with HTTP status {status}.\n\n{what_to_do}\n");
        ([(header::CONTENT_TYPE, MARKDOWN)], text).into_response()
    })
}

pub(in crate::http) async fn index(headers: HeaderMap) -> Response {
    let codes = ProblemCode::ALL.iter();
    if wants_html(&headers) {
        let rows = codes.map(|code| {
            let (status, title) = (code.status(), code.title());
            let link = format!("<a href=\"/problems/{code}\"><code>{code}</code></a>");
            format!("<tr><td>{link}</td><td>{status}</td><td>{}</td></tr>\n", prose(title))
        });
        let rows: String = rows.collect();
        let body =
            format!("<table>\n<tr><th>Code</th><th>Status</th><th></th></tr>\n{rows}</table>\n");
        page("Problems", &body).into_response()
    } else {
        let lines = codes.map(|code| format!("- `{code}` ({}): {}\n", code.status(), code.title()));
        let text = format!("# Problems\n\n{}", lines.collect::<String>());
        ([(header::CONTENT_TYPE, MARKDOWN)], text).into_response()
    }
}

/// Browsers name HTML; programs and curl do not, and read plain text more easily.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
}
