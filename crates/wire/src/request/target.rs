//! Where the legs of a branch are called.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use url::{Host, Url};

use crate::op::{Op, PerOp};
use crate::{BranchRequest, Invalid, Limits};

/// Longest name of a host.
const HOST_MAX_LEN: usize = 253;

/// The URLs of a branch's legs, from its three URLs or its `endpoint`. `path` is the
/// branch's own place in the request, with a dot after it if it has one.
pub(crate) fn check_urls(
    request: &BranchRequest,
    path: &str,
    limits: &Limits,
) -> Result<PerOp<Option<Arc<Url>>>, Invalid> {
    let legs = PerOp {
        try_: one_name("try", &request.try_, ("action", &request.action), path)?,
        confirm: request.confirm.as_deref().map(|url| ("confirm", url)),
        cancel: one_name("cancel", &request.cancel, ("compensate", &request.compensate), path)?,
    };
    let mut urls = PerOp::default();
    match &request.endpoint {
        Some(endpoint) => {
            let field = [path, "endpoint"].concat();
            if let Some((leg, _)) = Op::ALL.into_iter().find_map(|op| *legs.get(op)) {
                let what = format!("stands for all three URLs; give it or `{leg}`, not both");
                return Err(Invalid::new(field, what));
            }
            urls = limits.known.legs(endpoint, || legs_of(endpoint, &field, limits))?;
        }
        None => {
            for op in Op::ALL {
                if let Some((leg, text)) = legs.get(op) {
                    let url = check_url(text, &[path, leg].concat(), limits)?;
                    *urls.get_mut(op) = Some(Arc::new(url));
                }
            }
        }
    }
    Ok(urls)
}

/// The URL that is asked at the deadline, under the same rules.
pub(crate) fn check_check(
    given: Option<&str>,
    limits: &Limits,
) -> Result<Option<Arc<Url>>, Invalid> {
    given.map(|text| check_url(text, "check", limits).map(Arc::new)).transpose()
}

/// A leg under the one of its two names that was given.
fn one_name<'a>(
    name: &'static str,
    given: &'a Option<String>,
    (other, given_so): (&'static str, &'a Option<String>),
    path: &str,
) -> Result<Option<(&'static str, &'a str)>, Invalid> {
    match (given.as_deref(), given_so.as_deref()) {
        (Some(_), Some(_)) => {
            let what = format!("is another name for `{name}`; give one of the two");
            Err(Invalid::new([path, other].concat(), what))
        }
        (Some(url), None) => Ok(Some((name, url))),
        (None, given_so) => Ok(given_so.map(|url| (other, url))),
    }
}

fn legs_of(
    endpoint: &str,
    field: &str,
    limits: &Limits,
) -> Result<PerOp<Option<Arc<Url>>>, Invalid> {
    let base = check_url(endpoint, field, limits)?;
    if base.query().is_some() {
        let what = "may not have a query, since the legs' names are added to its path";
        return Err(Invalid::new(field, what));
    }
    let mut urls = PerOp::default();
    for op in Op::ALL {
        *urls.get_mut(op) = Some(Arc::new(leg_of(&base, op, field, limits)?));
    }
    Ok(urls)
}

fn leg_of(base: &Url, op: Op, field: &str, limits: &Limits) -> Result<Url, Invalid> {
    let mut url = base.clone();
    // One of http has a path, which is then all right as it is, and need not be read anew.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(op.as_str());
    }
    check_length(url.as_str(), field, limits)?;
    Ok(url)
}

fn check_length(text: &str, field: &str, limits: &Limits) -> Result<(), Invalid> {
    if text.len() > limits.url_bytes {
        let what = format!("must be at most {} bytes long", limits.url_bytes);
        return Err(Invalid::new(field, what));
    }
    Ok(())
}

fn check_url(text: &str, field: &str, limits: &Limits) -> Result<Url, Invalid> {
    let invalid = |what: &str| Err(Invalid::new(field, what));
    check_length(text, field, limits)?;
    // The parser would drop these without a word, and the caller would not know its own URL.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return invalid("may not contain spaces or control characters");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            let what = format!("must be a whole URL such as http://host:port/path: {error}");
            return Err(Invalid::new(field, what));
        }
    };
    if !matches!(url.scheme(), "http" | "https") {
        return invalid("must be an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("may not carry a user name or password; send them as headers");
    }
    if let Some(Host::Domain(name)) = url.host()
        && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    {
        return invalid("must name a host by letters, digits, dots and hyphens, or an address");
    }
    // No name is longer (RFC 1035, 2.3.4), and the journal has no room for one.
    if url.host_str().is_some_and(|host| host.len() > HOST_MAX_LEN) {
        return invalid("must name a host in at most 253 characters");
    }
    if url.fragment().is_some() {
        return invalid("may not have a fragment (#…): it is never sent");
    }
    // Percent-encoding can make it longer than it was written.
    check_length(url.as_str(), field, limits)?;
    if limits.own_addresses.iter().any(|own| leads_to(&url, *own)) {
        return invalid("leads to the coordinator's own address");
    }
    limits.call_rules.check_written(&url).map_err(|why| Invalid::new(field, why))?;
    Ok(url)
}

/// Whether a call to `url` would arrive at something that listens on `own`, as far as
/// can be told without asking a name server.
fn leads_to(url: &Url, own: SocketAddr) -> bool {
    if url.port_or_known_default() != Some(own.port()) {
        return false;
    }
    let own = own.ip().to_canonical();
    let hears_itself = own.is_loopback() || own.is_unspecified();
    let is_own = |host: IpAddr| {
        let host = host.to_canonical();
        // A call to the unspecified address goes to this machine's loopback.
        host == own || (hears_itself && (host.is_loopback() || host.is_unspecified()))
    };
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            hears_itself && (name == "localhost" || name.ends_with(".localhost"))
        }
        Some(Host::Ipv4(host)) => is_own(IpAddr::V4(host)),
        Some(Host::Ipv6(host)) => is_own(IpAddr::V6(host)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(request: &str, limits: &Limits) -> Result<[String; 3], String> {
        let request = serde_json::from_str(request).expect("a branch");
        let urls = check_urls(&request, "branches[0].", limits).map_err(|e| e.to_string())?;
        let text = |op| urls.get(op).as_ref().map(|url| url.to_string()).unwrap_or_default();
        Ok(Op::ALL.map(text))
    }

    #[test]
    fn an_endpoint_is_short_for_its_three_legs() {
        let table = [
            ("http://h:1/a", "http://h:1/a"),
            ("http://h:1/a/", "http://h:1/a"),
            ("http://h:1", "http://h:1"),
            ("https://H:443/%20", "https://h/%20"),
            ("http://[::1]:8/a//", "http://[::1]:8/a/"),
        ];
        for (endpoint, base) in table {
            let found = urls(&format!(r#"{{"endpoint":"{endpoint}"}}"#), &Limits::default());
            let expected = ["try", "confirm", "cancel"].map(|leg| format!("{base}/{leg}"));
            assert_eq!(found, Ok(expected), "{endpoint}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_called_as_written_is_refused_by_name() {
        let long_host = format!(r#"{{"try":"http://{}/"}}"#, "h".repeat(254));
        let long = format!(r#"{{"cancel":"http://h/{}"}}"#, "a".repeat(2_048));
        let grows = format!(r#"{{"endpoint":"http://h/{}"}}"#, "é".repeat(700));
        let table = [
            (r#"{"endpoint":"http://h/a?b=c"}"#, "endpoint", "query"),
            (r#"{"endpoint":"http://h/a?"}"#, "endpoint", "query"),
            (r#"{"endpoint":"http://h/a#b"}"#, "endpoint", "fragment"),
            (r#"{"endpoint":"http://h/a","cancel":"http://h/b"}"#, "endpoint", "`cancel`"),
            (r#"{"try":"/a"}"#, "try", "whole URL"),
            (r#"{"confirm":"h:80/a"}"#, "confirm", "http or https"),
            (r#"{"confirm":"ftp://h/a"}"#, "confirm", "http or https"),
            (r#"{"try":"http://me@h/a"}"#, "try", "user name"),
            (r#"{"try":"http://:pw@h/a"}"#, "try", "password"),
            (r#"{"try":"http://h/a b"}"#, "try", "spaces"),
            (r#"{"try":" http://h/a"}"#, "try", "spaces"),
            (r#"{"try":"http://h/\u0007"}"#, "try", "control"),
            (r#"{"try":"http://h:99999/"}"#, "try", "port"),
            (r#"{"try":"http:///"}"#, "try", "whole URL"),
            (r#"{"try":"http://h`/"}"#, "try", "name a host"),
            (r#"{"try":"http://a,b;c/"}"#, "try", "name a host"),
            (&long, "cancel", "at most 2048"),
            (&long_host, "try", "at most 253"),
            (&grows, "endpoint", "at most 2048"),
        ];
        for (request, field, what) in table {
            let error = urls(request, &Limits::default()).expect_err(request);
            assert!(error.starts_with(&format!("branches[0].{field}: ")), "{request}: {error}");
            assert!(error.contains(what), "{request}: {error}");
        }
    }

    #[test]
    fn the_coordinator_never_calls_itself() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (
                "127.0.0.1:7200",
                &[
                    "127.0.0.1:7200",
                    "localhost:7200",
                    "LOCALHOST.:7200",
                    "a.localhost:7200",
                    "0.0.0.0:7200",
                    "[::1]:7200",
                    "[::ffff:127.0.0.1]:7200",
                    "0x7f.1:7200",
                ],
                &["127.0.0.1:7201", "10.0.0.1:7200", "example.com:7200", "notlocalhost:7200"],
            ),
            (
                "0.0.0.0:80",
                &["127.0.0.1", "localhost:80", "0.0.0.0", "[::]", "[::1]"],
                &["10.0.0.1", "127.0.0.1:81"],
            ),
            ("10.0.0.1:7200", &["10.0.0.1:7200"], &["127.0.0.1:7200", "localhost:7200"]),
            ("[::1]:7200", &["[::1]:7200", "localhost:7200"], &["[::2]:7200"]),
        ];
        for (own, refused, allowed) in table {
            let limits =
                Limits { own_addresses: vec![own.parse().expect("address")], ..Limits::default() };
            let call = |host: &&str| urls(&format!(r#"{{"try":"http://{host}/x"}}"#), &limits);
            for host in *refused {
                let error = call(host).expect_err(host);
                assert!(error.contains("own address"), "{own} {host}: {error}");
            }
            for host in *allowed {
                assert!(call(host).is_ok(), "{own} {host}: {:?}", call(host));
            }
        }
    }
}
