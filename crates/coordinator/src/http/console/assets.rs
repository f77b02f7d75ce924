//! The console's own files, and what browsers are to make of its pages.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest as _, Sha256};
use tercet_wire::hex;

use crate::http::pages::page::AS_IT_SAYS;

const STYLE: &str = include_str!("../../../assets/console.css");
const SCRIPT: &str = include_str!("../../../assets/console.js");
const MARK: &str = include_str!("../../../assets/mark.svg");

/// Where they are.
pub(super) const STYLE_PATH: &str = "/console/assets/console.css";
pub(super) const SCRIPT_PATH: &str = "/console/assets/console.js";
pub(super) const MARK_PATH: &str = "/console/assets/mark.svg";

/// A page loads and asks what is this node's own, sends forms there, and is shown in no other; nothing
/// that could be written into it runs or gives it a look.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the files are now: part of their addresses, so that a browser keeps none from before.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest([STYLE, SCRIPT, MARK].concat());
    hex(&digest[..6])
});

/// Puts on a page what guards it.
pub(super) fn guard_page(headers: &mut HeaderMap) {
    let guards = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in guards {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let (name, value) = AS_IT_SAYS;
    headers.insert(name, value);
}

pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn mark() -> Response {
    file("image/svg+xml", MARK)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // Another version has another address.
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'")),
        AS_IT_SAYS,
    ];
    (headers, text).into_response()
}
