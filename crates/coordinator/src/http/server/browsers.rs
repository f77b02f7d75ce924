//! What browsers are not to do for a page of somebody else: post a decision to a daemon on the
//! machine of whoever looks at it, or reach it by a name that was made to lead there (DNS rebinding).
//! A token is no help against the first where there are none, and none against the second where a
//! browser would send it by itself.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderName, Method, Request, header};
use tercet_wire::ProblemCode;
use url::{Host, Url};

use crate::http::extract::peer::Door;
use crate::http::response::problem::Failure;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which pages may ask, and by which names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Browsers {
    /// Origins of pages that may ask, beside those of the daemon itself: `https://tercet.example`.
    pub allowed_origins: Vec<String>,
    /// Names that lead here, beside those of the loopback interface: `tercet.example`.
    pub allowed_hosts: Vec<String>,
    /// Whether everybody may do everything, so that a page that gets here may, too.
    pub is_open: bool,
}

impl Browsers {
    /// Whether a request may be asked here, whoever sends it.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn check<B>(&self, request: &Request<B>, door: Door) -> Result<(), Failure> {
        if door.is_on_loopback {
            let what = "is no name of the loopback interface, which this node listens on, and not";
            self.check_hosts(request, what, |name| self.leads_here(name))?;
        } else if self.is_open {
            let what = "can be a name that somebody's page has made lead here, where nobody is asked \
                        for a token, and is not";
            self.check_hosts(request, what, |name| self.is_ours_alone(name))?;
        }
        match *request.method() {
            Method::GET | Method::HEAD => Ok(()),
            _ => self.check_origin(request, door.scheme()),
        }
    }

    /// Host, and what stands in its place in a request to a proxy.
    fn check_hosts<B>(
        &self,
        request: &Request<B>,
        what: &str,
        is_one: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Failure> {
        let named = request.headers().get_all(header::HOST).iter().map(|host| host.as_bytes());
        let in_line = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        for name in named.chain(in_line) {
            if !is_one(name) {
                let name = String::from_utf8_lossy(name);
                let detail = format!("Host: {name} {what} in server.allowed_hosts");
                return Err(Failure::new(ProblemCode::HostNotAllowed, detail));
            }
        }
        Ok(())
    }

    fn leads_here(&self, name: &[u8]) -> bool {
        // Empty is what is sent where the address has no host; no browser has such a one.
        let Ok(name) = std::str::from_utf8(name) else { return false };
        let host = host_of(name);
        if host.is_empty() || host.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if let Ok(address) = address {
            return address.to_canonical().is_loopback() || self.is_allowed(name, host);
        }
        let is_below_localhost =
            || host.trim_end_matches('.').to_ascii_lowercase().ends_with(".localhost");
        self.is_allowed(name, host) || is_localhost(host) || is_below_localhost()
    }

    /// Whether nobody outside can have made this name: addresses, names of one part, and those below
    /// what is never delegated. Source: RFC 6762, RFC 8375, ICANN's resolution on `.internal`.
    fn is_ours_alone(&self, name: &[u8]) -> bool {
        const PRIVATE: [&str; 5] = [".internal", ".local", ".home.arpa", ".localhost", ".test"];
        let Ok(text) = std::str::from_utf8(name) else { return false };
        let host = host_of(text).trim_end_matches('.').to_ascii_lowercase();
        let is_address = || matches!(Host::parse(&host), Ok(Host::Ipv4(_) | Host::Ipv6(_)));
        !host.contains('.')
            || PRIVATE.iter().any(|below| host.ends_with(below))
            || self.is_allowed(text, host_of(text))
            || is_address()
    }

    /// With its port, or whatever its port.
    fn is_allowed(&self, name: &str, host: &str) -> bool {
        let is_it = |allowed: &String| {
            allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(name)
        };
        self.allowed_hosts.iter().any(is_it)
    }

    fn check_origin<B>(&self, request: &Request<B>, scheme: &str) -> Result<(), Failure> {
        let headers = request.headers();
        let is_cross_site =
            |site: &http::HeaderValue| site.as_bytes().eq_ignore_ascii_case(b"cross-site");
        if headers.get_all(SEC_FETCH_SITE).iter().any(is_cross_site) {
            let detail = "Sec-Fetch-Site: a page of another site has sent this";
            return Err(Failure::new(ProblemCode::CrossOrigin, detail));
        }
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            if !self.is_own(origin, host.map(|host| format!("{scheme}://{host}"))) {
                let detail = format!(
                    "Origin: {origin} is another than this node's, and not in server.allowed_origins"
                );
                return Err(Failure::new(ProblemCode::CrossOrigin, detail));
            }
        }
        Ok(())
    }

    /// `null`, which a page sends that hides where it is from, is nobody's.
    fn is_own(&self, origin: &str, own: Option<String>) -> bool {
        let Some(origin) = origin_of(origin) else { return false };
        let own = own.and_then(|own| origin_of(&own));
        own.as_ref() == Some(&origin)
            || self
                .allowed_origins
                .iter()
                .any(|allowed| origin_of(allowed).as_ref() == Some(&origin))
    }
}

/// A host without its port.
fn host_of(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => name,
    }
}

/// Also in the ways in which a browser reads it: `127.1`, `LOCALHOST.`.
fn is_localhost(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

/// Scheme, host and port, if it is an origin and nothing else.
fn origin_of(text: &str) -> Option<(String, String, u16)> {
    let url: Url = text.parse().ok()?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.host_str()?.to_ascii_lowercase();
    is_origin.then(|| Some((url.scheme().to_owned(), host, url.port_or_known_default()?)))?
}

/// Whether this can be one of `server.allowed_origins`.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    origin_of(text).is_some() && !text.ends_with('/')
}

/// Whether this can be one of `server.allowed_hosts`.
#[must_use]
pub fn is_host(text: &str) -> bool {
    !text.is_empty() && text.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use axum::response::IntoResponse as _;

    fn browsers() -> Browsers {
        Browsers {
            allowed_origins: vec!["https://tercet.example".to_owned()],
            allowed_hosts: vec!["tercet.example".to_owned(), "proxy.example:8443".to_owned()],
            is_open: false,
        }
    }

    fn is_let_in(method: Method, headers: &[(&str, &str)], is_on_loopback: bool) -> bool {
        is_let_in_at(Door { is_on_loopback, ..Door::default() }, method, headers)
    }

    fn is_let_in_at(door: Door, method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/v1/transactions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let checked = browsers().check(&request, door);
        checked
            .map_err(|failure| assert_eq!(failure.into_response().status(), StatusCode::FORBIDDEN))
            .is_ok()
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        let own = ("host", "127.0.0.1:7200");
        for (headers, is_allowed) in [
            (&[][..], true),
            (&[("origin", "http://127.0.0.1:7200")], true),
            (&[("origin", "HTTP://127.0.0.1:7200")], true),
            (&[("origin", "https://tercet.example")], true),
            (&[("origin", "https://tercet.example:443")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("origin", "https://127.0.0.1:7200")], false),
            (&[("origin", "http://127.0.0.1:7201")], false),
            (&[("origin", "http://127.0.0.1")], false),
            (&[("origin", "http://localhost:7200")], false),
            (&[("origin", "http://127.0.0.1:7200.evil.example")], false),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "https://tercet.example.evil.example")], false),
            (&[("origin", "file://")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "Cross-Site"), ("origin", "http://127.0.0.1:7200")], false),
            (&[("origin", "http://127.0.0.1:7200"), ("origin", "http://evil.example")], false),
        ] {
            let headers = [&[own], headers].concat();
            for method in
                [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
            {
                assert_eq!(is_let_in(method, &headers, true), is_allowed, "{headers:?}");
            }
            assert!(is_let_in(Method::GET, &headers, true), "reading is the browser's to keep");
            assert!(is_let_in(Method::HEAD, &headers, true));
        }
        // The port that is not said is the scheme's.
        let default = [("host", "127.0.0.1:80"), ("origin", "http://127.0.0.1")];
        assert!(is_let_in(Method::POST, &default, true));
    }

    #[test]
    fn the_own_origin_has_the_scheme_that_is_listened_with() {
        for (has_tls, origin, is_own) in [
            (true, "https://10.0.0.7:7200", true),
            (true, "http://10.0.0.7:7200", false),
            (false, "https://10.0.0.7:7200", false),
            (false, "http://10.0.0.7:7200", true),
        ] {
            let door = Door { has_tls, ..Door::default() };
            let headers = [("host", "10.0.0.7:7200"), ("origin", origin)];
            assert_eq!(is_let_in_at(door, Method::POST, &headers), is_own, "{has_tls} {origin}");
        }
    }

    #[test]
    fn on_loopback_a_node_has_the_names_of_loopback_and_those_it_was_given() {
        for (host, is_own) in [
            ("127.0.0.1:7200", true),
            ("127.0.0.1", true),
            ("127.8.9.1:1", true),
            ("localhost:7200", true),
            ("LocalHost", true),
            ("localhost.", true),
            ("app.localhost:7200", true),
            ("[::1]:7200", true),
            ("[::ffff:127.0.0.1]:7200", true),
            ("127.1:7200", true),
            ("", true),
            ("tercet.example", true),
            ("TERCET.example:7200", true),
            ("proxy.example:8443", true),
            ("proxy.example", false),
            ("evil.example", false),
            ("evil.example:7200", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("10.0.0.1:7200", false),
            ("[::2]:7200", false),
            ("0.0.0.0:7200", false),
        ] {
            for method in [Method::GET, Method::POST] {
                assert_eq!(is_let_in(method, &[("host", host)], true), is_own, "{host}");
            }
            // Elsewhere a node is known by names that it does not know.
            assert!(is_let_in(Method::POST, &[("host", host)], false), "{host}");
        }
    }

    #[test]
    fn where_nobody_is_asked_for_a_token_no_public_name_leads_here_but_those_it_was_given() {
        let open = Browsers { is_open: true, ..browsers() };
        for (host, is_let_in) in [
            ("10.0.0.1:7200", true),
            ("[fd00::1]:7200", true),
            ("localhost:7200", true),
            ("tercet:7200", true),
            ("", true),
            ("tercet.internal:7200", true),
            ("tercet.shop.svc.cluster.local.", true),
            ("Tercet.EXAMPLE:7200", true),
            ("proxy.example:8443", true),
            ("proxy.example", false),
            ("evil.example:7200", false),
            ("10.0.0.1.evil.example", false),
            ("internal.evil.example", false),
        ] {
            let request = |method: Method| {
                let request = Request::builder().method(method).uri("/").header("host", host);
                request.body(()).expect("a request")
            };
            for method in [Method::GET, Method::POST] {
                assert_eq!(
                    open.check(&request(method), Door::default()).is_ok(),
                    is_let_in,
                    "{host}"
                );
            }
            assert!(
                browsers().check(&request(Method::GET), Door::default()).is_ok(),
                "{host}: tokens count"
            );
        }
    }

    #[test]
    fn what_a_request_line_names_is_a_host_too() {
        for (uri, is_own) in
            [("http://localhost:7200/livez", true), ("http://evil.example/", false)]
        {
            let request =
                Request::get(uri).header("host", "127.0.0.1").body(()).expect("a request");
            let door = Door { is_on_loopback: true, ..Door::default() };
            assert_eq!(browsers().check(&request, door).is_ok(), is_own, "{uri}");
        }
    }

    #[test]
    fn settings_name_origins_and_hosts() {
        for text in ["https://tercet.example", "http://10.0.0.1:7200", "https://[::1]:8443"] {
            assert!(is_origin(text), "{text}");
        }
        for text in
            ["", "*", "null", "tercet.example", "https://tercet.example/", "https://a/b", "ws://a"]
        {
            assert!(!is_origin(text), "{text}");
        }
        assert!(is_host("tercet.example") && is_host("tercet.example:8443") && is_host("[::1]"));
        assert!(!is_host("") && !is_host("a b") && !is_host("u@h") && !is_host("http://h/"));
    }
}
