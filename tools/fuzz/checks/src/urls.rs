//! URLs that initiators give: what is accepted can be called as it is written, and never
//! leads back to the coordinator.

use std::net::IpAddr;

use http::Uri;
use tercet_wire::{BranchRequest, Limits, Op, check_branch, host_port};
use url::{Host, Url};

use crate::choices::Choices;

/// Where the coordinator listens, by the first byte.
const OWN: [&str; 5] =
    ["127.0.0.1:7200", "0.0.0.0:80", "[::]:7200", "10.0.0.1:7200", "[::ffff:127.0.0.1]:443"];

/// The second byte says whether the rest is an endpoint or a leg.
pub(crate) fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let own = choices.pick(&OWN).parse().expect("an address");
    let limits = Limits { own_addresses: vec![own], url_bytes: 256, ..Limits::default() };
    let is_endpoint = choices.byte().is_multiple_of(2);
    let Ok(text) = std::str::from_utf8(choices.rest()) else { return };
    let request = |text: &str, is_endpoint: bool| {
        let (endpoint, confirm) = match is_endpoint {
            true => (Some(text.to_owned()), None),
            false => (None, Some(text.to_owned())),
        };
        let id = Some("b".to_owned());
        BranchRequest { id, endpoint, confirm, ..BranchRequest::default() }
    };
    let branch = match check_branch(request(text, is_endpoint), &limits) {
        Ok(branch) => branch,
        Err(invalid) => {
            let field = if is_endpoint { "endpoint" } else { "confirm" };
            return assert_eq!(invalid.field, field, "{invalid}");
        }
    };
    for op in Op::ALL {
        let Some(url) = branch.url(op) else {
            assert!(!is_endpoint && op != Op::Confirm);
            continue;
        };
        can_be_called(url, &limits);
        assert!(!leads_back(url, own), "{url} leads to {own}");
        // Stored as text and read again it is the same.
        assert_eq!(url.as_str().parse::<Url>().as_ref(), Ok(url.as_ref()));
        let again = check_branch(request(url.as_str(), false), &limits);
        let again = again.unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
        assert_eq!(again.url(Op::Confirm), Some(url), "{text}");
    }
    assert!(!branch.participant().starts_with(':'), "{text} is nobody's");
}

fn can_be_called(url: &Url, limits: &Limits) {
    let text = url.as_str();
    assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{text}");
    assert!(url.username().is_empty() && url.password().is_none(), "{text}");
    assert!(url.fragment().is_none() && text.len() <= limits.url_bytes, "{text}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
    let uri: Uri = text.parse().unwrap_or_else(|error| panic!("{text} cannot be called: {error}"));
    let host = uri.host().expect("a call has a host");
    assert!(host_port(url).starts_with(host), "{text} calls {host}");
}

/// Whether what was written in numbers is this machine, by the standard library's reading.
fn leads_back(url: &Url, own: std::net::SocketAddr) -> bool {
    let host = match url.host() {
        Some(Host::Ipv4(host)) => IpAddr::V4(host),
        Some(Host::Ipv6(host)) => IpAddr::V6(host),
        Some(Host::Domain(name)) if name.trim_end_matches('.') == "localhost" => {
            IpAddr::from([127, 0, 0, 1])
        }
        Some(Host::Domain(_)) | None => return false,
    };
    let (host, own_host) = (host.to_canonical(), own.ip().to_canonical());
    let hears_itself = own_host.is_loopback() || own_host.is_unspecified();
    let is_here = host.is_loopback() || host.is_unspecified();
    url.port_or_known_default() == Some(own.port())
        && (host == own_host || (hears_itself && is_here))
}
