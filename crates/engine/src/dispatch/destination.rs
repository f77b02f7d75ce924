//! What counts as one destination: scheme, host, port and the first path segments.

use std::fmt;
use std::sync::Arc;

use tercet_wire::host_port;
use url::{Position, Url};

/// A destination, by the part of a URL that names it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(Arc<str>);

/// A destination can take calls again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CapacityFreed {
    /// Which.
    pub destination: Destination,
    /// How many.
    pub places: usize,
    /// Whether it did not answer for a while and has now: those that pause after a failed
    /// call need not pause any longer.
    pub healed: bool,
}

impl Destination {
    /// The destination of a URL, told apart by this many path segments: several services may
    /// stand behind one gateway.
    #[must_use]
    pub fn of(url: &Url, path_segments: usize) -> Self {
        Self(Arc::from(Self::key(url, path_segments)))
    }

    /// Whether calls to this URL go there. Costs no allocation.
    #[must_use]
    pub fn is_of(&self, url: &Url, path_segments: usize) -> bool {
        Self::key(url, path_segments) == &*self.0
    }

    /// The `host:port` by which people know it.
    #[must_use]
    pub fn participant(&self) -> String {
        self.0.parse().map(|url: Url| host_port(&url)).unwrap_or_default()
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of a URL that names its destination. It borrows from the URL, so that
    /// looking a destination up costs no allocation; a parsed URL is in normal form, so that
    /// equal destinations are equal texts.
    #[must_use]
    pub fn key(url: &Url, path_segments: usize) -> &str {
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
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_segments_tell_services_behind_a_gateway_apart() {
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
            assert_eq!(Destination::of(&parsed, segments).as_str(), expected, "{url}");
            assert!(Destination::of(&parsed, segments).is_of(&parsed, segments), "{url}");
        }
    }
}
