//! To whom calls are signed.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use thiserror::Error;
use url::{Host, Url};

use crate::call_rules::{host_and_port, is_name};

/// A host, at one port or at any: `payment.internal:7302`. Not a pattern: a secret that many share
/// is none between two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedHost {
    host: String,
    port: Option<u16>,
}

/// The text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be {}", SignedHost::MUST_BE)]
pub struct InvalidSignedHost;

impl SignedHost {
    /// What a text must be that is read as one.
    pub const MUST_BE: &str = "a host, or a host and port, such as payment.internal:7302";

    /// The hosts by which the calls to this URL may be known, the one with its port first.
    #[must_use]
    pub fn of(url: &Url) -> Option<[Self; 2]> {
        let host = shown(url.host()?);
        let at_port = Self { host: host.clone(), port: url.port_or_known_default() };
        Some([at_port, Self { host, port: None }])
    }
}

/// One spelling for each host.
fn shown<S: AsRef<str>>(host: Host<S>) -> String {
    let address = match host {
        Host::Domain(name) => return name.as_ref().trim_end_matches('.').to_ascii_lowercase(),
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => IpAddr::V6(address),
    };
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

impl FromStr for SignedHost {
    type Err = InvalidSignedHost;

    fn from_str(text: &str) -> Result<Self, InvalidSignedHost> {
        let (host, port) = host_and_port(text).ok_or(InvalidSignedHost)?;
        let host = match host.parse::<Ipv6Addr>() {
            Ok(address) => Host::Ipv6(address),
            Err(_) => Host::parse(host).map_err(|_| InvalidSignedHost)?,
        };
        if let Host::Domain(name) = &host
            && !is_name(name.strip_suffix('.').unwrap_or(name))
        {
            return Err(InvalidSignedHost);
        }
        Ok(Self { host: shown(host), port })
    }
}

impl fmt::Display for SignedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl<'de> Deserialize<'de> for SignedHost {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_however_a_url_writes_it() {
        for (setting, urls) in [
            (
                "payment.internal:7302",
                ["http://payment.internal:7302/", "https://PAYMENT.internal.:7302/a"],
            ),
            ("Payment.Internal.", ["http://payment.internal:7302/", "https://payment.internal"]),
            ("payment:443", ["https://payment/", "http://payment:443/"]),
            ("10.0.0.7:80", ["http://10.0.0.7/", "http://[::ffff:10.0.0.7]/"]),
            ("[fd00::7]:80", ["http://[fd00::7]/", "http://[fd00:0::7]:80/"]),
            ("fd00::7", ["http://[fd00::7]:81/", "https://[fd00::7]/"]),
        ] {
            let host: SignedHost = setting.parse().expect(setting);
            for url in urls {
                let known = SignedHost::of(&url.parse().expect(url)).expect("a host");
                assert!(known.contains(&host), "{setting} {url} {known:?}");
            }
        }
        let [at_port, anywhere] =
            SignedHost::of(&"http://a:81/".parse().expect("a URL")).expect("a host");
        assert_eq!([at_port.to_string(), anywhere.to_string()], ["a:81", "a"]);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            "a..",
            "172.16..",
            "*.internal",
            "http://a",
            "a:0",
            "a:",
            "a/b",
            "a b",
            "10.0.0.0/8",
            "u@a",
            "[::1",
        ] {
            assert_eq!(text.parse::<SignedHost>(), Err(InvalidSignedHost), "{text}");
        }
    }
}
