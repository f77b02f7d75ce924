//! Pages for people: templates (`templates/`) that bring all they need.

use std::sync::LazyLock;

use askama::Template;
use axum::response::Html;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest as _, Sha256};

/// The style of every page; it is written into each.
pub(in crate::http) const STYLE: &str = include_str!("../../../assets/style.css");

/// A page with what browsers are to make of it.
pub(in crate::http) type Page = ([(HeaderName, HeaderValue); 6], Html<String>);

/// On what is no page, but that a browser could take for one.
pub(in crate::http) const AS_IT_SAYS: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// A page loads nothing, runs nothing, sends nothing and is shown in no other; its own style alone is
/// taken, by its digest, so that none can be written into it.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    // As it stands between the tags of templates/base.html.
    let style = BASE64_STANDARD.encode(Sha256::digest(format!("\n{STYLE}")));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    // Base64 has nothing that a header cannot have; without its style a page is as safe.
    HeaderValue::try_from(policy)
        .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
});

/// A page that is filled in.
pub(in crate::http) fn page(filled: &impl Template) -> Page {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        AS_IT_SAYS,
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    // Writing to a String does not fail, and what is written here does not either.
    (headers, Html(filled.render().unwrap_or_default()))
}

/// Text in which what stands between backticks is code.
#[derive(Debug, Clone, Template)]
#[template(path = "prose.html")]
pub(in crate::http) struct Prose {
    text: String,
}

impl Prose {
    pub(in crate::http) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_becomes_code_between_backticks_and_never_markup() {
        let prose = Prose::new("a `b<c` & \"d\" <script>");
        let html = prose.to_string();
        assert_eq!(html, "a <code>b&#60;c</code> &#38; &#34;d&#34; &#60;script&#62;");
    }
}
