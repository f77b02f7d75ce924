//! Bugs in who may be called and in who is believed to have called: the tests of these pure parts must
//! notice each.

use crate::bugs::{Bug, CaughtBy};

const RULES: CaughtBy = CaughtBy::WireTests("call_rules");
const SIGNATURE: CaughtBy = CaughtBy::WireTests("signature");
const KNOWN: CaughtBy = CaughtBy::WireTests("known_endpoints");

pub(crate) const CALL_BUGS: &[Bug] = &[
    Bug {
        name: "calls: who is denied is looked for by name alone",
        file: "crates/wire/src/call_rules/mod.rs",
        instead_of: "self.deny.iter().find(|rule| rule.holds(reached, port))",
        put: "self.deny.iter().find(|rule| name.is_some_and(|name| rule.names(name, port)))",
        caught_by: RULES,
    },
    Bug {
        name: "calls: allowed wins over denied",
        file: "crates/wire/src/call_rules/mod.rs",
        instead_of: "        // Where the connection goes and,",
        put: "        if self.allow.iter().any(|rule| rule.holds(address, port)) {\n            return Ok(());\n        }\n        // Where the connection goes and,",
        caught_by: RULES,
    },
    Bug {
        name: "calls: what a translator passes on is not denied",
        file: "crates/wire/src/call_rules/mod.rs",
        instead_of: "[Some(address), translated(address)]",
        put: "[Some(address), None]",
        caught_by: RULES,
    },
    Bug {
        name: "calls: what is denied by default is called",
        file: "crates/wire/src/call_rules/mod.rs",
        instead_of: "defaults::DENIED.iter().filter(|_| self.deny_defaults)",
        put: "defaults::DENIED.iter().filter(|_| false)",
        caught_by: RULES,
    },
    Bug {
        name: "calls: a literal that is not allowed is called",
        file: "crates/wire/src/call_rules/mod.rs",
        instead_of: "rule.holds(address, port) || name.is_some_and",
        put: "name.is_none() || rule.holds(address, port) || name.is_some_and",
        caught_by: RULES,
    },
    Bug {
        name: "calls: names are looked up that cannot be allowed",
        file: "crates/wire/src/call_rules/mod.rs",
        instead_of: "if is_hopeless {",
        put: "if is_hopeless && false {",
        caught_by: RULES,
    },
    Bug {
        name: "calls: an IPv4 address in the form of IPv6 passes",
        file: "crates/wire/src/call_rules/network.rs",
        instead_of: "self.differs_after(address.to_canonical())",
        put: "self.differs_after(address)",
        caught_by: RULES,
    },
    Bug {
        name: "calls: prefixes are compared by bytes",
        file: "crates/wire/src/call_rules/network.rs",
        instead_of: "same >= self.bits)",
        put: "same / 8 >= self.bits / 8)",
        caught_by: RULES,
    },
    Bug {
        name: "calls: a network with bits beyond its prefix is taken",
        file: "crates/wire/src/call_rules/network.rs",
        instead_of: "&& network.has_no_more()",
        put: "",
        caught_by: RULES,
    },
    Bug {
        name: "calls: a name in full is another name",
        file: "crates/wire/src/call_rules/rule.rs",
        instead_of: "    name.trim_end_matches('.')",
        put: "    name",
        caught_by: RULES,
    },
    Bug {
        name: "calls: a pattern matches names that only end like it",
        file: "crates/wire/src/call_rules/rule.rs",
        instead_of: " && before.ends_with(b\".\")",
        put: "",
        caught_by: RULES,
    },
    Bug {
        name: "calls: a rule for one port holds for all",
        file: "crates/wire/src/call_rules/rule.rs",
        instead_of: "self.port.is_none_or(|own| own == port)",
        put: "self.port.is_none_or(|own| own == port || port != 0)",
        caught_by: RULES,
    },
    Bug {
        name: "signatures: timestamps are not looked at",
        file: "crates/wire/src/signature.rs",
        instead_of: "off if off <= GOOD_FOR_SECONDS => Ok(()),",
        put: "off if off < u64::MAX => Ok(()),",
        caught_by: SIGNATURE,
    },
    Bug {
        name: "signatures: the first secret alone is tried",
        file: "crates/wire/src/signature.rs",
        instead_of: "keys.iter().any(",
        put: "keys.iter().take(1).any(",
        caught_by: SIGNATURE,
    },
    Bug {
        name: "signatures: the first signature alone is looked at",
        file: "crates/wire/src/signature.rs",
        instead_of: ".take(MOST_SIGNATURES)",
        put: ".take(1)",
        caught_by: SIGNATURE,
    },
    Bug {
        name: "signatures: the body is not under them",
        file: "crates/wire/src/signature.rs",
        instead_of: "timestamp.as_bytes(), b\".\", body]",
        put: "timestamp.as_bytes(), b\".\"]",
        caught_by: SIGNATURE,
    },
    Bug {
        name: "signatures: an id may be told apart in two ways",
        file: "crates/wire/src/signature.rs",
        instead_of: ".replace('.', \"%2E\")",
        put: "",
        caught_by: SIGNATURE,
    },
];

/// Behind all others, so that these keep their turns.
pub(crate) const ENDPOINT_BUGS: &[Bug] = &[
    Bug {
        name: "calls: an endpoint that was let in is let in by other rules",
        file: "crates/wire/src/request/known_endpoints.rs",
        instead_of: "        Self::default()\n    }\n}\n\nimpl PartialEq",
        put: "        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))\n    }\n}\n\nimpl PartialEq",
        caught_by: KNOWN,
    },
    Bug {
        name: "calls: a known endpoint leads to another's participant",
        file: "crates/wire/src/request/known_endpoints.rs",
        instead_of: "lock().get(endpoint)",
        put: "lock().values().next()",
        caught_by: KNOWN,
    },
];
