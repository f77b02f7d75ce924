//! Networks: an address, and how many of its first bits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 addresses in the form of IPv6 ones begin with so many bits of their own (RFC 4291, 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Addresses whose first bits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    pub(super) const fn v4(address: [u8; 4], bits: u8) -> Self {
        let [a, b, c, d] = address;
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    pub(super) const fn v6(address: [u16; 8], bits: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = address;
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits }
    }

    /// The one of this address alone.
    pub(super) fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, bits: width(address) }
    }

    /// `10.0.0.0/8`, `fd00::/8`, the address in brackets or not. One with bits beyond its prefix is
    /// none: whoever wrote it meant another one, and which cannot be known.
    pub(super) fn read(address: &str, bits: &str) -> Option<Self> {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match bare {
            Some(bare) => IpAddr::V6(bare.parse().ok()?),
            None => address.parse().ok()?,
        };
        let is_number = bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u8 = bits.parse().ok().filter(|_| is_number)?;
        let network = match (address, address.to_canonical()) {
            // It is judged as what it holds, and so is its network.
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if bits >= MAPPED_BITS => {
                Self { address: canonical, bits: bits - MAPPED_BITS }
            }
            _ => Self { address, bits },
        };
        let is_one = network.bits <= width(network.address) && network.has_no_more();
        is_one.then_some(network)
    }

    /// Whether the address lies in it. One that holds an IPv4 address in the form of IPv6 is that
    /// one: it is where the connection goes.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.differs_after(address.to_canonical()).is_some_and(|same| same >= self.bits)
    }

    /// How many of the first bits are the same; none for one of the other kind.
    fn differs_after(&self, address: IpAddr) -> Option<u8> {
        let same = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        u8::try_from(same).ok()
    }

    /// Whether all bits beyond the prefix are 0.
    fn has_no_more(&self) -> bool {
        let (number, width) = match self.address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        number.trailing_zeros() >= width - u32::from(self.bits)
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits == width(self.address) {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

/// The IPv4 address to which a connection to this one is passed on by whoever translates between
/// the two, as far as it can be told: what is denied must not be reached by that way either.
pub(super) fn translated(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address.to_canonical() else { return None };
    let last = || {
        let [.., a, b, c, d] = address.octets();
        Ipv4Addr::new(a, b, c, d)
    };
    let held = match address.segments() {
        // "::" and "::1" are addresses of their own (RFC 4291, 2.5.2 and 2.5.3).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        // IPv4-compatible (RFC 4291, 2.5.5.1), IPv4-translated (RFC 2765, 2.1), NAT64 with the
        // well-known prefix (RFC 6052, 2.1) and with the one for local use (RFC 8215).
        [0, 0, 0, 0, 0, 0, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x0064, 0xff9b, 0, 0, 0, 0, ..]
        | [0x0064, 0xff9b, 1, ..] => last(),
        // 6to4 (RFC 3056, 2).
        [0x2002, ..] => {
            let [_, _, a, b, c, d, ..] = address.octets();
            Ipv4Addr::new(a, b, c, d)
        }
        _ => return None,
    };
    Some(IpAddr::V4(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/').expect("a slash");
        Network::read(address, bits)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn a_network_holds_what_has_its_first_bits() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
                &["11.0.0.0", "9.255.255.255", "::10.1.2.3"],
            ),
            ("172.16.0.0/12", &["172.16.0.1", "172.31.255.255"], &["172.32.0.0", "172.15.255.255"]),
            ("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127", "192.0.3.128"]),
            ("192.0.2.7/32", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::", "fd00::1"]),
            ("fd00::/8", &["fd00::", "fdff:ffff::1"], &["fc00::", "fe00::", "10.0.0.1"]),
            ("[fe80::]/10", &["fe80::1", "febf::1"], &["fec0::1", "fe7f::1"]),
            ("fd00:0:0:8000::/49", &["fd00:0:0:8000::1", "fd00:0:0:ffff::"], &["fd00:0:0:7fff::"]),
            ("::/0", &["::", "2001:db8::1"], &["10.0.0.1", "::ffff:10.0.0.1"]),
            ("::1/128", &["::1"], &["::", "::2"]),
            ("::ffff:10.0.0.0/104", &["10.0.0.1", "::ffff:10.0.0.1"], &["11.0.0.1", "::a00:1"]),
        ];
        for (text, inside, outside) in table {
            let Some(network) = network(text) else { panic!("{text}") };
            for within in *inside {
                assert!(network.holds(address(within)), "{text} {within}");
            }
            for beyond in *outside {
                assert!(!network.holds(address(beyond)), "{text} {beyond}");
            }
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/0008",
            "10.0.0/8",
            "10/8",
            "fd00::1/8",
            "fd00::/129",
            "[10.0.0.0]/8",
            "[fd00::/8",
            "fe80::%1/64",
            "/8",
            "a/8",
            "::ffff:10.0.0.1/104",
            "::ffff:10.0.0.0/95",
        ] {
            assert_eq!(network(text), None, "{text}");
        }
    }

    #[test]
    fn networks_are_shown_as_they_are_written() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("[FD00::]/8", "fd00::/8"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()).as_deref(), Some(shown));
        }
    }

    #[test]
    fn what_a_translator_passes_on_is_found() {
        for (text, held) in [
            ("64:ff9b::a9fe:a9fe", Some("169.254.169.254")),
            ("64:ff9b:1::a9fe:a9fe", Some("169.254.169.254")),
            ("2002:a9fe:a9fe::1", Some("169.254.169.254")),
            ("::169.254.169.254", Some("169.254.169.254")),
            ("::ffff:0:169.254.169.254", Some("169.254.169.254")),
            ("::", None),
            ("::1", None),
            ("::ffff:169.254.169.254", None),
            ("64:ff9c::a9fe:a9fe", None),
            ("2001:db8::1", None),
            ("169.254.169.254", None),
        ] {
            assert_eq!(translated(address(text)), held.map(address), "{text}");
        }
    }
}
