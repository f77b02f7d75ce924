//! What counts as one destination: scheme, host, port and the first path segments.

use url::{Position, Url};

/// The part of a URL that names its destination. It borrows from the URL, so that
/// looking a destination up costs no allocation; a parsed URL is in normal form, so that
/// equal destinations are equal texts.
pub(super) fn key(url: &Url, path_segments: usize) -> &str {
    let whole = url.as_str();
    let path_start = url[..Position::BeforePath].len();
    let path = url.path();
    // A path begins with a slash; the segment after the n-th slash ends before the next.
    let end = match path.match_indices('/').nth(path_segments) {
        Some((next_slash, _)) => next_slash,
        None => path.len(),
    };
    &whole[..path_start + end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_behind_one_gateway_are_told_apart_by_their_first_segment() {
        let table = [
            ("http://h:80/inventory/try", 1, "http://h/inventory"),
            ("http://H/inventory/confirm?x=1", 1, "http://h/inventory"),
            ("http://h/inventory", 1, "http://h/inventory"),
            ("http://h/inventory?a=/b/c", 1, "http://h/inventory"),
            ("http://h/inventory/", 1, "http://h/inventory"),
            ("http://h", 1, "http://h/"),
            ("http://h?x", 1, "http://h/"),
            ("https://h:8443/eu/stock/try", 2, "https://h:8443/eu/stock"),
            ("https://h:8443/eu/stock/try", 0, "https://h:8443"),
            ("http://[::1]:7301/a/b", 1, "http://[::1]:7301/a"),
        ];
        for (url, segments, expected) in table {
            let parsed = Url::parse(url).expect("a URL");
            assert_eq!(key(&parsed, segments), expected, "{url}");
        }
    }
}
