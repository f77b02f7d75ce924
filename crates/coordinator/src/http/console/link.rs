//! Addresses: of the console's own pages, and of the API's.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::form_urlencoded::Serializer;

/// What stands for itself in a segment of a path nowhere.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// One segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The page of a transaction.
pub(super) fn transaction(gid: &str) -> String {
    format!("/console/transactions/{}", segment(gid))
}

/// The page of a participant.
pub(super) fn participant(name: &str) -> String {
    format!("/console/participants/{}", segment(name))
}

/// Parameters as an address has them.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// An address with these parameters.
pub(super) fn with_query<'a>(
    path: &str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let query = query(pairs);
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Whether a page of the console is meant, and nothing that leads away from here.
pub(super) fn is_own(path: &str) -> bool {
    let is_below =
        path == "/console" || path.starts_with("/console/") || path.starts_with("/console?");
    is_below && !path.contains(['\\', '\r', '\n']) && !path.contains("//") && !path.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_a_path_is_escaped_in_it() {
        assert_eq!(transaction("order-1001"), "/console/transactions/order-1001");
        assert_eq!(participant("[::1]:7301"), "/console/participants/%5B::1%5D:7301");
        assert_eq!(segment("a/b?c#d%e"), "a%2Fb%3Fc%23d%25e");
        assert_eq!(with_query("/x", [("a", "b c"), ("d", "&")]), "/x?a=b+c&d=%26");
        assert_eq!(with_query("/x", []), "/x");
    }

    #[test]
    fn nothing_leads_away_from_the_console() {
        for own in ["/console", "/console/", "/console/transactions?status=trying", "/console?a=b"]
        {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "",
            "/",
            "//evil.example",
            "/consoles",
            "/console//x",
            "/console/../v1",
            "/console\\x",
            "https://evil.example/console",
            "/console/\r\nx",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
