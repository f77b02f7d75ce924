//! Signing in with a token, and out again.

use askama::Template;
use axum::Extension;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use url::form_urlencoded;

use crate::access::{Denied, Failed};
use crate::http::console::assets::VERSION;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::session::{Session, forgotten, keeps_to_itself};
use crate::http::console::shell::page;
use crate::http::console::visit::Guest;

/// Where the form is sent.
pub(super) const PATH: &str = "/console/sign-in";

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage<'a> {
    version: &'static str,
    form_token: &'a str,
    to: Option<String>,
    objection: Option<&'a str>,
    /// Whether a token may be sent this way at all.
    is_offered: bool,
    has_tokens: bool,
}

/// The form; or why there is none.
pub(super) fn form(guest: &Guest, objection: Option<&str>) -> Response {
    let (_, query) = guest.path.split_once('?').unwrap_or_default();
    let to = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "to");
    page(&SignInPage {
        version: &VERSION,
        form_token: &guest.form_token,
        to: to.map(|(_, to)| to.into_owned()).filter(|to| link::is_own(to)),
        objection,
        is_offered: keeps_to_itself(guest.door),
        has_tokens: guest.console.access.has_tokens(),
    })
}

/// Begins a session for whoever has this token.
pub(super) async fn sign_in(Extension(guest): Extension<Guest>, form: Form) -> Response {
    if !keeps_to_itself(guest.door) {
        return refused(&guest, &form, "No token may be sent this way.");
    }
    let token = form.get("token").unwrap_or_default();
    let kept = match guest.console.access.sign_in(token, guest.from) {
        Ok((_, kept)) => kept,
        Err(denied) => return refused(&guest, &form, &said(&denied)),
    };
    let Some(keys) = guest.console.keys().await else {
        return refused(&guest, &form, "The database does not answer. Try again in a moment.");
    };
    let clock = &*guest.console.clock;
    let session = Session::begin(Some(kept), clock);
    let Some(cookie) = session.cookie(guest.door, keys, clock) else {
        let text = "This token is longer than a browser keeps. Use one with fewer claims, or one of \
                    auth.tokens.";
        return refused(&guest, &form, text);
    };
    let to = form.get("to").filter(|to| link::is_own(to)).unwrap_or("/console");
    leads(to, cookie)
}

/// Ends the session.
pub(super) async fn sign_out(Extension(guest): Extension<Guest>, form: Form) -> Response {
    let Some(keys) = guest.console.keys().await else {
        return refused(&guest, &form, "The database does not answer. Try again in a moment.");
    };
    leads("/console", forgotten(guest.door, keys))
}

fn leads(to: &str, cookie: HeaderValue) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

fn refused(guest: &Guest, sent: &Form, objection: &str) -> Response {
    let to = sent.get("to").filter(|to| link::is_own(to));
    let path = link::with_query("/console", to.map(|to| ("to", to)));
    let mut response = form(&Guest { path, ..guest.clone() }, Some(objection));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// As a sentence, and of what people do here rather than of headers.
fn said(denied: &Denied) -> String {
    match denied {
        Denied::Unknown(Failed::Missing) => "Enter a token.".to_owned(),
        Denied::Unknown(Failed::Malformed) => "This is no token.".to_owned(),
        Denied::Unknown(Failed::Unknown) => {
            "Nobody here has this token: it was mistyped, or taken away.".to_owned()
        }
        Denied::Unknown(Failed::Jwt(_) | Failed::Certificate)
        | Denied::NoRole { .. }
        | Denied::TooSmall { .. } => format!("Not signed in: {denied}."),
    }
}
