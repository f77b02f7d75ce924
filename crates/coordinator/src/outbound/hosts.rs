//! The hosts file: names that need no name server. Source: hosts(5).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the file says, by name in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hosts {
    by_name: HashMap<String, Vec<IpAddr>>,
}

impl Hosts {
    /// Lines of an address and its names; what is none of this is passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut by_name: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else { continue };
            for name in words {
                let addresses = by_name.entry(name.to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self { by_name }
    }

    /// The addresses of a name that needs no name server, and none of any other. This machine's
    /// own name is known without a file. Source: RFC 6761, 6.3.
    pub(super) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        match self.by_name.get(&name) {
            Some(addresses) => addresses.clone(),
            None if name == "localhost" || name.ends_with(".localhost") => {
                vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            }
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_the_file_writes_them() {
        let hosts = Hosts::parse(
            "# the machine\n127.0.0.1 localhost\n::1\tlocalhost ip6-localhost\n\n\
             10.0.0.7 Pay.Internal pay # the till\n10.0.0.8 pay\n10.0.0.8 pay\n\
             nonsense here\nfe80::1%lo0 scoped\n10.0.0.9\n#10.0.0.1 old\n",
        );
        let found = |name| {
            let addresses = hosts.addresses(name).into_iter().map(|address| address.to_string());
            addresses.collect::<Vec<_>>()
        };
        assert_eq!(found("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(found("pay"), ["10.0.0.7", "10.0.0.8"]);
        assert_eq!(found("PAY.internal."), ["10.0.0.7"]);
        for unknown in ["here", "scoped", "old", "nonsense", "", "internal"] {
            assert_eq!(found(unknown), Vec::<String>::new(), "{unknown}");
        }
    }

    #[test]
    fn this_machine_s_own_name_needs_no_file() {
        for name in ["localhost", "api.localhost", "LOCALHOST."] {
            let addresses = Hosts::default().addresses(name);
            assert!(addresses.iter().all(IpAddr::is_loopback) && addresses.len() == 2, "{name}");
        }
        assert!(Hosts::default().addresses("notlocalhost").is_empty());
    }
}
