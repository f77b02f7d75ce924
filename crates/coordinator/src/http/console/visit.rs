//! Who looks: found before anything is shown or done, at each request anew.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tercet_wire::{ProblemCode, Wall};

use crate::access::{Caller, Certificate, Role};
use crate::http::console::ask::Ask;
use crate::http::console::assets::{POLICY, guard_page};
use crate::http::console::error_page;
use crate::http::console::hold::Hold;
use crate::http::console::link;
use crate::http::console::session::Session;
use crate::http::console::sign_in;
use crate::http::console::state::Console;
use crate::http::extract::peer::{Door, Peer};
use crate::http::response::problem::Failure;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whoever has come, known or not.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) console: Arc<Console>,
    pub(super) session: Session,
    pub(super) door: Door,
    pub(super) from: Option<SocketAddr>,
    /// What each of their forms must have.
    pub(super) form_token: String,
    /// The page that was asked for.
    pub(super) path: String,
}

/// Somebody who may look.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) guest: Guest,
    pub(super) caller: Caller,
    /// What is held since the database was restored.
    pub(super) hold: Option<Hold>,
}

impl Visitor {
    pub(super) fn console(&self) -> &Console {
        &self.guest.console
    }

    /// The API, for them.
    pub(super) fn ask(&self) -> Ask {
        self.console().ask_for(self.caller.clone())
    }

    /// Whether they may do what needs this role; what they may not is not offered.
    pub(super) fn may(&self, role: Role) -> bool {
        self.caller.role >= role
    }

    pub(super) fn now(&self) -> Wall {
        self.console().clock.now().wall
    }

    /// Whether they have shown a token, and so can take it back.
    pub(super) fn has_signed_in(&self) -> bool {
        self.guest.session.kept.is_some()
    }
}

/// Around every page of the console.
pub(super) async fn visit(mut request: Request, next: Next) -> Response {
    let Some(console) = request.extensions().get::<Arc<Console>>().cloned() else {
        return Failure::internal().into_response();
    };
    let peer = request.extensions().get::<Peer>().copied();
    let (door, from) = (peer.map(|peer| peer.door).unwrap_or_default(), peer.map(|it| it.address));
    let Some(keys) = console.keys().await else {
        return error_page::bare(
            ProblemCode::JournalUnavailable,
            "the database does not answer; look again in a moment",
        );
    };
    let came = Session::of(request.headers(), door, keys, console.clock.now().wall);
    if came.is_none() && comes_from_elsewhere(&request) {
        return once_more(&request);
    }
    let mut still = None;
    if let Some(kept) = came.as_ref().and_then(|session| session.kept.as_ref()) {
        still = console.access.still(kept).ok();
    }
    // One whose token counts no more is over.
    let holds = came.filter(|session| session.kept.is_none() || still.is_some());
    let is_new = holds.is_none();
    let session = holds.unwrap_or_else(|| Session::begin(None, &*console.clock));
    let caller = still.or_else(|| without_token(&console, &request));
    let path = request.uri().path_and_query().map_or("/console", |path| path.as_str()).to_owned();
    let form_token = session.form_token(keys);
    let guest = Guest { console: Arc::clone(&console), session, door, from, form_token, path };
    let cookie = is_new.then(|| guest.session.cookie(door, keys, &*console.clock)).flatten();
    let is_signing_in = request.uri().path() == sign_in::PATH;
    let mut response = match caller {
        Some(caller) => {
            let hold = console.hold(&console.ask_for(caller.clone())).await;
            request.extensions_mut().insert(Visitor { guest: guest.clone(), caller, hold });
            request.extensions_mut().insert(guest);
            next.run(request).await
        }
        None if is_signing_in => {
            request.extensions_mut().insert(guest);
            next.run(request).await
        }
        None => unknown(&guest, request.method(), request.uri().path()),
    };
    let headers = response.headers_mut();
    if let Some(cookie) = cookie
        && !headers.contains_key(header::SET_COOKIE)
    {
        headers.insert(header::SET_COOKIE, cookie);
    }
    guard_page(headers);
    response
}

/// Who it is that has shown no token here: whoever a certificate stands for, and where nobody is asked
/// for one, whoever is at that address.
fn without_token(console: &Console, request: &Request) -> Option<Caller> {
    if console.access.has_rules() {
        let certificate = request.extensions().get::<Certificate>()?;
        return console.access.certified(certificate);
    }
    let address = request.extensions().get::<Peer>().map(|peer| peer.address.ip().to_string());
    let who = Arc::from(address.unwrap_or_else(|| "an unknown address".to_owned()));
    Some(Caller { who, role: Role::Operator })
}

/// What somebody is shown who has to sign in first.
fn unknown(guest: &Guest, method: &Method, path: &str) -> Response {
    match *method {
        Method::GET | Method::HEAD if path == "/console" => sign_in::form(guest, None),
        Method::GET | Method::HEAD => {
            let to = link::with_query("/console", [("to", guest.path.as_str())]);
            Redirect::to(&to).into_response()
        }
        _ => {
            let mut response =
                sign_in::form(guest, Some("Your session has ended. Nothing was done."));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response
        }
    }
}

/// Whether a page of somebody else has led here: then the browser keeps the session to itself.
fn comes_from_elsewhere(request: &Request) -> bool {
    let site = request.headers().get(SEC_FETCH_SITE);
    *request.method() == Method::GET && site.is_some_and(|site| site.as_bytes() == b"cross-site")
}

/// A page that asks for itself, and so is asked for by a page of ours: a link that somebody has sent
/// leads where it should.
fn once_more(request: &Request) -> Response {
    let path = request.uri().path_and_query().map_or("/console", |path| path.as_str());
    let mut response = error_page::again(path);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    guard_page(headers);
    response
}
