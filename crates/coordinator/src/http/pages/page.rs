//! Pages for people: plain HTML that brings all it needs.

use std::fmt::Write as _;

use axum::response::Html;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
code{font-family:ui-monospace,monospace;font-size:.92em;background:#f2f2f2;padding:0 .2em}\
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}h3{margin-top:2rem}a{color:#0b57a4}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #eee}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code{background:#2a2a2a}a{color:#8ab8ee}h2,td,th{border-color:#333}}";

/// A whole page around `body`, which is HTML already.
pub(in crate::http) fn page(title: &str, body: &str) -> Html<String> {
    let title = escaped(title);
    Html(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}</body></html>\n"
    ))
}

/// Text as HTML; what stands between backticks becomes code.
pub(in crate::http) fn prose(text: &str) -> String {
    let mut html = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = escaped(part);
        // Writing to a String cannot fail.
        let _ =
            if at % 2 == 1 { write!(html, "<code>{part}</code>") } else { write!(html, "{part}") };
    }
    html
}

/// Text as HTML.
pub(in crate::http) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}
