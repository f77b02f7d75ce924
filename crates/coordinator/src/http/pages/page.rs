//! Pages for people: templates (`templates/`) that bring all they need.

use askama::Template;
use axum::response::Html;

/// The style of every page; it is written into each.
pub(in crate::http) const STYLE: &str = include_str!("../../../assets/style.css");

/// A page that is filled in.
pub(in crate::http) fn page(filled: &impl Template) -> Html<String> {
    // Writing to a String does not fail, and what is written here does not either.
    Html(filled.render().unwrap_or_default())
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
