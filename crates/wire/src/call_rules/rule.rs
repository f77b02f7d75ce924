//! One entry of a list of hosts and networks.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use thiserror::Error;
use url::Host;

use super::network::Network;

/// Longest name of a host.
const HOST_MAX_LEN: usize = 253;

/// A host (`pay.internal`, `*.internal` for all below it, an address), at one port or at any, or a
/// network (`10.0.0.0/8`, `fd00::/8`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRule {
    place: Place,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// This name.
    Host(String),
    /// Every name that ends with a dot and this one.
    Below(String),
    Network(Network),
}

/// The text is no such entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be {}", CallRule::MUST_BE)]
pub struct InvalidCallRule;

impl CallRule {
    /// What a text must be that is read as one.
    pub const MUST_BE: &str = "a host (pay.internal, *.internal, 10.0.0.7, [fd00::7]) with or \
        without a port behind it, or a network without bits beyond its prefix (10.0.0.0/8, fd00::/8)";

    pub(super) const fn of_network(network: Network) -> Self {
        Self { place: Place::Network(network), port: None }
    }

    /// Whether it is about addresses rather than names.
    pub(super) fn is_of_addresses(&self) -> bool {
        matches!(self.place, Place::Network(_))
    }

    /// Whether it names this host at this port.
    pub(super) fn names(&self, host: &str, port: u16) -> bool {
        let host = without_dot(host);
        self.is_at(port)
            && match &self.place {
                Place::Host(own) => host.eq_ignore_ascii_case(own),
                Place::Below(own) => is_below(host, own),
                Place::Network(_) => false,
            }
    }

    /// Whether this address lies in it, at this port.
    pub(super) fn holds(&self, address: IpAddr, port: u16) -> bool {
        self.is_at(port)
            && match &self.place {
                Place::Network(network) => network.holds(address),
                Place::Host(_) | Place::Below(_) => false,
            }
    }

    fn is_at(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

/// Whether a name has another before this one.
fn is_below(name: &str, own: &str) -> bool {
    let Some(at) = name.len().checked_sub(own.len()).filter(|at| *at > 1) else { return false };
    let (before, end) = name.as_bytes().split_at(at);
    end.eq_ignore_ascii_case(own.as_bytes()) && before.ends_with(b".")
}

/// A name in full ends with a dot, which says no more than the name does.
fn without_dot(name: &str) -> &str {
    name.trim_end_matches('.')
}

impl FromStr for CallRule {
    type Err = InvalidCallRule;

    fn from_str(text: &str) -> Result<Self, InvalidCallRule> {
        if let Some((address, bits)) = text.split_once('/') {
            return Network::read(address, bits).map(Self::of_network).ok_or(InvalidCallRule);
        }
        let (host, port) = host_and_port(text).ok_or(InvalidCallRule)?;
        if let Ok(address) = host.parse::<Ipv6Addr>() {
            let place = Place::Network(Network::of(IpAddr::V6(address)));
            return Ok(Self { place, port });
        }
        let (own, is_below) = match host.strip_prefix("*.") {
            Some(own) => (own, true),
            None => (host, false),
        };
        let place = match (Host::parse(own).map_err(|_| InvalidCallRule)?, is_below) {
            // However it is written: whoever gives a URL has as many ways to write it.
            (Host::Ipv4(address), false) => Place::Network(Network::of(IpAddr::V4(address))),
            (Host::Domain(name), _) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let name = Some(name).filter(|name| is_name(name)).ok_or(InvalidCallRule)?;
                let name = name.to_owned();
                if is_below { Place::Below(name) } else { Place::Host(name) }
            }
            (Host::Ipv4(_) | Host::Ipv6(_), _) => return Err(InvalidCallRule),
        };
        Ok(Self { place, port })
    }
}

/// The host, without brackets, and the port behind it, if there is one.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let Some(port) = port else { return Some((host, None)) };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0)?;
    Some((host, Some(port)))
}

/// Whether a URL may have this name (see `check_url`), and it is one that can be looked up.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let has_labels = name.split('.').all(|label| !label.is_empty());
    has_labels && name.len() <= HOST_MAX_LEN && name.bytes().all(allowed)
}

impl fmt::Display for CallRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.port) {
            (Place::Host(name), _) => f.write_str(name)?,
            (Place::Below(name), _) => write!(f, "*.{name}")?,
            (Place::Network(network), None) => network.fmt(f)?,
            (Place::Network(network), Some(_)) => {
                let shown = network.to_string();
                if shown.contains(':') { write!(f, "[{shown}]") } else { f.write_str(&shown) }?;
            }
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl<'de> Deserialize<'de> for CallRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> CallRule {
        text.parse().expect(text)
    }

    type Places = &'static [(&'static str, u16)];

    #[test]
    fn a_pattern_names_whole_names_and_what_is_below() {
        let table: &[(&str, Places, Places)] = &[
            (
                "pay.internal",
                &[("pay.internal", 80), ("PAY.internal.", 7302)],
                &[
                    ("a.pay.internal", 80),
                    ("xpay.internal", 80),
                    ("pay.internal.evil", 80),
                    ("pay", 80),
                ],
            ),
            (
                "*.Internal.",
                &[("pay.internal", 80), ("a.b.internal.", 80), ("A.INTERNAL", 1)],
                &[("internal", 80), (".internal", 80), ("payinternal", 80), ("internal.pay", 80)],
            ),
            ("pay.internal:7302", &[("pay.internal", 7302)], &[("pay.internal", 7303)]),
            ("*.internal:443", &[("a.internal", 443)], &[("a.internal", 80)]),
            ("bücher.example", &[("xn--bcher-kva.example", 80)], &[("bucher.example", 80)]),
            ("10.0.0.0/8", &[], &[("10.0.0.1", 80)]),
        ];
        for (text, named, others) in table {
            for (host, port) in *named {
                assert!(rule(text).names(host, *port), "{text} {host}:{port}");
            }
            for (host, port) in *others {
                assert!(!rule(text).names(host, *port), "{text} {host}:{port}");
            }
        }
    }

    #[test]
    fn an_address_is_a_network_of_its_own_however_it_is_written() {
        for text in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "::ffff:127.0.0.1",
        ] {
            let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
            assert!(rule(text).holds(loopback, 80), "{text}");
            assert_eq!(rule(text).to_string(), "127.0.0.1", "{text}");
        }
        let at_port = rule("[fd00::7]:7302");
        let address = "fd00::7".parse().expect("an address");
        assert!(at_port.holds(address, 7302) && !at_port.holds(address, 7303));
        assert!(rule("fd00::7").holds(address, 1) && rule("[fd00::7]").holds(address, 1));
    }

    #[test]
    fn what_is_read_is_shown_and_read_again() {
        for text in [
            "pay.internal",
            "*.internal",
            "pay.internal:7302",
            "*.internal:443",
            "10.0.0.0/8",
            "fd00::/8",
            "10.0.0.7:80",
            "[fd00::7]:80",
            "fd00::7",
            "a_b-c.d",
        ] {
            assert_eq!(rule(text).to_string(), text);
            assert_eq!(rule(&rule(text).to_string()), rule(text));
        }
    }

    #[test]
    fn what_is_neither_host_nor_network_is_refused() {
        let long = "h".repeat(254);
        for text in [
            "",
            "*",
            "*.",
            "*.*",
            "a.*",
            "*a.internal",
            "*.10.0.0.1",
            "http://pay.internal",
            "pay internal",
            "pay.internal:",
            "pay.internal:0",
            "pay.internal:65536",
            "pay.internal:+80",
            "pay.internal:80:80",
            "pay.internal/8",
            "10.0.0.1/8",
            "10.0.0.256",
            "[fd00::7",
            "[fd00::7]80",
            "[10.0.0.1]",
            "fd00::7]",
            "a..b",
            ".a",
            "172.16..",
            "user@host",
            "a,b",
            ".",
            &long,
        ] {
            assert_eq!(text.parse::<CallRule>(), Err(InvalidCallRule), "{text:?}");
        }
    }
}
