//! Who may be called: the operator's list of hosts and networks, and what is denied in any case.
//!
//! ```text
//!  begin, registration ─▶ check_written ── a literal, or a name that is denied ─▶ 400
//!  a call ─▶ check_name ─▶ look-up ─▶ check_address, of each address that is connected to
//! ```
//!
//! A name is judged by what it resolves to when it is called, every time: what it resolved to
//! before says nothing.

mod defaults;
mod network;
mod rule;

use std::net::IpAddr;

use thiserror::Error;
use url::{Host, Url};

use network::translated;
pub use rule::{CallRule, InvalidCallRule};
pub(crate) use rule::{host_and_port, is_name};

/// Whom the coordinator calls. Denied wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRules {
    allow: Vec<CallRule>,
    deny: Vec<CallRule>,
    deny_defaults: bool,
}

/// Why somebody is not called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
pub enum NotAllowed {
    /// By this entry of the operator's.
    #[error("leads to {0}, which participants.deny names")]
    Denied(String),
    /// By this network, unless the operator says otherwise.
    #[error("leads to {0}, which participants.deny_defaults denies")]
    DeniedByDefault(String),
    /// The operator has said who is called, and this is somebody else.
    #[error("leads to nobody whom participants.allow names")]
    NotNamed,
}

impl Default for CallRules {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new(), true)
    }
}

impl CallRules {
    /// Those of the settings. Without an entry in `allow` everybody is called who is not denied.
    #[must_use]
    pub fn new(allow: Vec<CallRule>, deny: Vec<CallRule>, deny_defaults: bool) -> Self {
        Self { allow, deny, deny_defaults }
    }

    /// What can be said of a URL as it is written. A name that is not denied itself may be looked up.
    ///
    /// # Errors
    /// It is not called, whoever is asked for its address.
    pub fn check_written(&self, url: &Url) -> Result<(), NotAllowed> {
        let Some(port) = url.port_or_known_default() else { return Ok(()) };
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_literal(IpAddr::V4(address), port),
            Some(Host::Ipv6(address)) => self.check_literal(IpAddr::V6(address), port),
            Some(Host::Domain(name)) => self.check_not_denied(name, port),
            None => Ok(()),
        }
    }

    /// What can be said of a name before it is looked up.
    ///
    /// # Errors
    /// It is not called, whatever it resolves to: there is no need to ask.
    pub fn check_name(&self, name: &str, port: u16) -> Result<(), NotAllowed> {
        self.check_not_denied(name, port)?;
        let may_be = |rule: &CallRule| rule.is_of_addresses() || rule.names(name, port);
        let is_hopeless = !self.allow.is_empty() && !self.allow.iter().any(may_be);
        if is_hopeless { Err(NotAllowed::NotNamed) } else { Ok(()) }
    }

    /// Whether this name, which was looked up and is [`check_name`](Self::check_name)'s, is called
    /// at this address.
    ///
    /// # Errors
    /// It is not.
    pub fn check_address(&self, name: &str, address: IpAddr, port: u16) -> Result<(), NotAllowed> {
        self.check(Some(name), address, port)
    }

    /// Whether this address is called, by a URL that has it itself.
    ///
    /// # Errors
    /// It is not.
    pub fn check_literal(&self, address: IpAddr, port: u16) -> Result<(), NotAllowed> {
        self.check(None, address, port)
    }

    fn check(&self, name: Option<&str>, address: IpAddr, port: u16) -> Result<(), NotAllowed> {
        // Where the connection goes and, if somebody translates, where it goes from there.
        for reached in [Some(address), translated(address)].into_iter().flatten() {
            if let Some(rule) = self.deny.iter().find(|rule| rule.holds(reached, port)) {
                return Err(NotAllowed::Denied(rule.to_string()));
            }
            let mut denied = defaults::DENIED.iter().filter(|_| self.deny_defaults);
            if let Some(network) = denied.find(|network| network.holds(reached)) {
                return Err(NotAllowed::DeniedByDefault(network.to_string()));
            }
        }
        let is_named = |rule: &CallRule| {
            rule.holds(address, port) || name.is_some_and(|name| rule.names(name, port))
        };
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(is_named);
        if is_allowed { Ok(()) } else { Err(NotAllowed::NotNamed) }
    }

    fn check_not_denied(&self, name: &str, port: u16) -> Result<(), NotAllowed> {
        match self.deny.iter().find(|rule| rule.names(name, port)) {
            Some(rule) => Err(NotAllowed::Denied(rule.to_string())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> CallRules {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
        CallRules::new(read(allow), read(deny), true)
    }

    fn written(rules: &CallRules, host: &str) -> Result<(), NotAllowed> {
        rules.check_written(&format!("http://{host}/x").parse().expect(host))
    }

    fn resolved(rules: &CallRules, name: &str, address: &str) -> Result<(), NotAllowed> {
        rules.check_name(name, 80)?;
        rules.check_address(name, address.parse().expect(address), 80)
    }

    #[test]
    fn a_denied_literal_is_denied_in_every_spelling() {
        let by_default = CallRules::default();
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xa9.0xfe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "①⑥⑨.254.169.254",
            "%31%36%39.254.169.254",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::169.254.169.254]",
            "[2002:a9fe:a9fe::]",
            "[::169.254.169.254]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[FD00:0EC2:0::0254]",
            "100.100.100.200",
            "224.0.0.1",
            "[ff02::1]",
            "0.0.0.0",
            "0",
            "[::]",
            "255.255.255.255",
            "0xffffffff",
        ] {
            let refused = written(&by_default, host).expect_err(host);
            assert!(matches!(refused, NotAllowed::DeniedByDefault(_)), "{host}");
        }
        let without = CallRules::new(Vec::new(), Vec::new(), false);
        for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[ff02::1]"] {
            assert_eq!(written(&without, host), Ok(()), "{host}");
        }
        for host in [
            "127.0.0.1",
            "[::1]",
            "10.0.0.1",
            "localhost",
            "[fd00:ec2::253]",
            "100.100.100.201",
            "a.b",
        ] {
            assert_eq!(written(&by_default, host), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_name_is_judged_by_what_it_resolves_to() {
        let deny = rules(&[], &["127.0.0.0/8"]);
        assert_eq!(written(&deny, "localhost"), Ok(()), "nobody has been asked yet");
        let denied = Err(NotAllowed::Denied("127.0.0.0/8".to_owned()));
        for address in ["127.0.0.1", "127.255.255.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert_eq!(resolved(&deny, "localhost", address), denied, "{address}");
        }
        assert_eq!(resolved(&deny, "localhost", "::1"), Ok(()));
        assert!(resolved(&deny, "rebound", "169.254.169.254").is_err());
    }

    #[test]
    fn denied_wins_over_allowed() {
        let both =
            rules(&["10.0.0.0/8", "*.internal"], &["10.0.0.7", "old.internal", "pay.internal:81"]);
        assert_eq!(written(&both, "10.0.0.7"), Err(NotAllowed::Denied("10.0.0.7".to_owned())));
        assert_eq!(
            written(&both, "old.internal"),
            Err(NotAllowed::Denied("old.internal".to_owned()))
        );
        assert!(written(&both, "Old.Internal.:8080").is_err());
        assert!(
            written(&both, "pay.internal:81").is_err() && written(&both, "pay.internal").is_ok()
        );
        assert!(resolved(&both, "pay.internal", "10.0.0.7").is_err());
        assert!(resolved(&both, "pay.internal", "169.254.169.254").is_err());
        assert_eq!(resolved(&both, "pay.internal", "10.0.0.8"), Ok(()));
    }

    #[test]
    fn with_a_list_of_the_allowed_nobody_else_is_called() {
        let both = rules(&["*.internal", "10.0.0.0/8", "192.0.2.7:7302"], &[]);
        for (host, expected) in [
            ("10.1.2.3", Ok(())),
            ("[::ffff:10.1.2.3]", Ok(())),
            ("0x0a.1", Ok(())),
            ("192.0.2.7:7302", Ok(())),
            ("192.0.2.7:7303", Err(NotAllowed::NotNamed)),
            ("11.0.0.1", Err(NotAllowed::NotNamed)),
            ("[64:ff9b::10.1.2.3]", Err(NotAllowed::NotNamed)),
            ("[fd00::1]", Err(NotAllowed::NotNamed)),
            ("elsewhere", Ok(())),
        ] {
            assert_eq!(written(&both, host), expected, "{host}");
        }
        for (name, address, expected) in [
            ("pay.internal", "203.0.113.1", Ok(())),
            ("elsewhere", "10.0.0.1", Ok(())),
            ("elsewhere", "203.0.113.1", Err(NotAllowed::NotNamed)),
            ("internal", "203.0.113.1", Err(NotAllowed::NotNamed)),
        ] {
            assert_eq!(resolved(&both, name, address), expected, "{name} {address}");
        }
        // Without a network nobody needs to be asked for an address.
        let hosts = rules(&["*.internal"], &[]);
        assert_eq!(hosts.check_name("elsewhere", 80), Err(NotAllowed::NotNamed));
        assert_eq!(hosts.check_name("pay.internal", 80), Ok(()));
    }
}
