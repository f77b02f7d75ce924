//! Who may be called: lists that anybody may write, and addresses in every spelling. What is denied is
//! denied however it is written, and by whatever else is allowed.

use std::net::{IpAddr, Ipv4Addr};

use tercet_wire::{CallRule, CallRules, NotAllowed, SignedHost};
use url::{Host, Url};

use crate::choices::Choices;

/// The first two bytes are a port and whether the defaults hold; then come lines: an entry that denies, one
/// that allows, a host as a URL has it, an address.
pub(crate) fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let port = *choices.pick(&[80, 443, 7302, 1]);
    let defaults = choices.byte().is_multiple_of(2);
    let Ok(text) = std::str::from_utf8(choices.rest()) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (deny, allow, host, address) = (entry(line()), entry(line()), line(), line());
    let address: Option<IpAddr> = address.parse().ok();
    let rules = |allow: &Option<CallRule>, deny: &Option<CallRule>| {
        let list = |rule: &Option<CallRule>| rule.iter().cloned().collect();
        CallRules::new(list(allow), list(deny), defaults)
    };
    let (both, denying) = (rules(&allow, &deny), rules(&None, &deny));
    if let Some(address) = address {
        denied_wins(&denying, &both, |rules| rules.check_literal(address, port));
        if let Some(deny) = &deny {
            by_its_bits(deny, &rules(&None, &Some(deny.clone())), address, port, defaults);
        }
        if let IpAddr::V4(address) = address {
            in_every_spelling(&both, address, port);
        }
    }
    named(&denying, &both, host, address, port);
    if let Ok(signed) = host.parse::<SignedHost>() {
        assert_eq!(signed.to_string().parse(), Ok(signed), "{host}");
    }
}

/// An entry, if it is one: what is shown of it is read as the same.
fn entry(text: &str) -> Option<CallRule> {
    let rule: CallRule = text.parse().ok()?;
    let shown = rule.to_string();
    assert_eq!(shown.parse().as_ref(), Ok(&rule), "{text} is shown as {shown}");
    Some(rule)
}

fn denied_wins(
    denying: &CallRules,
    both: &CallRules,
    ask: impl Fn(&CallRules) -> Result<(), NotAllowed>,
) {
    match (ask(denying), ask(both)) {
        (Err(why), with_allowed) => assert!(with_allowed.is_err(), "allowed in spite of: {why}"),
        (Ok(()), Err(why)) => {
            assert_eq!(why, NotAllowed::NotNamed, "allowing denies nobody by name")
        }
        (Ok(()), Ok(())) => {}
    }
}

/// Compares a network bit by bit, as one would by hand.
fn by_its_bits(rule: &CallRule, rules: &CallRules, address: IpAddr, port: u16, defaults: bool) {
    let shown = rule.to_string();
    let Some((network, bits)) = shown.split_once('/') else { return };
    let (network, bits) = (network.parse().expect("an address"), bits.parse().expect("a number"));
    let same = bits_of(network).into_iter().zip(bits_of(address.to_canonical())).take(bits);
    let is_kind = IpAddr::is_ipv4(&network) == address.to_canonical().is_ipv4();
    let is_in = is_kind && same.into_iter().all(|(own, other)| own == other);
    let refused = rules.check_literal(address, port);
    if is_in {
        assert_eq!(refused, Err(NotAllowed::Denied(shown)), "{address} lies in it");
    } else if address.to_canonical().is_ipv4() && !defaults {
        assert_eq!(refused, Ok(()), "{address} does not lie in {shown}");
    }
}

fn bits_of(address: IpAddr) -> Vec<bool> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets
        .into_iter()
        .flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1 == 1))
        .collect()
}

fn in_every_spelling(rules: &CallRules, address: Ipv4Addr, port: u16) {
    let expected = rules.check_literal(IpAddr::V4(address), port);
    let mapped = address.to_ipv6_mapped();
    assert_eq!(rules.check_literal(IpAddr::V6(mapped), port), expected, "{mapped}");
    let number = address.to_bits();
    let [a, b, c, d] = address.octets();
    let rest = u32::from_be_bytes([0, b, c, d]);
    for spelled in [
        address.to_string(),
        format!("{address}."),
        number.to_string(),
        format!("{number:#x}"),
        format!("{number:#o}").replacen("0o", "0", 1),
        format!("{a:#X}.{rest}"),
        format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
        format!("[{mapped}]"),
        format!("[::ffff:{:x}:{:x}]", number >> 16, number & 0xffff),
    ] {
        let url: Url = format!("http://{spelled}:{port}/x").parse().expect("a URL");
        assert_eq!(rules.check_written(&url), expected, "{spelled}");
    }
}

/// A host in a URL, whatever it is: dots and capitals change nothing, and a name that is refused as it is
/// written is refused wherever it leads.
fn named(denying: &CallRules, both: &CallRules, host: &str, address: Option<IpAddr>, port: u16) {
    let url = |host: &str| format!("http://{host}:{port}/x").parse::<Url>().ok();
    let Some(url_of) = url(host).filter(|url| url.port_or_known_default() == Some(port)) else {
        return;
    };
    let Some(Host::Domain(name)) = url_of.host() else { return };
    let written = both.check_written(&url_of);
    for same in [format!("{name}."), name.to_ascii_uppercase()] {
        if let Some(same_url) = url(&same).filter(|url| matches!(url.host(), Some(Host::Domain(_))))
        {
            assert_eq!(both.check_written(&same_url), written, "{same}");
        }
    }
    if let Err(why) = written {
        assert_eq!(both.check_name(name, port), Err(why), "{name}");
    }
    let Some(address) = address else { return };
    let called = |rules: &CallRules| {
        rules.check_name(name, port)?;
        rules.check_address(name, address, port)
    };
    denied_wins(denying, both, called);
    if denying.check_literal(address, port).is_err() {
        assert!(called(both).is_err(), "{name} is called at {address}");
    }
}
