//! Roles, each of which may do what the ones before it may, and what a route needs.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads, but for payloads and results.
    Viewer,
    /// Begins, registers, confirms, cancels, too.
    Client,
    /// Everything.
    Operator,
}

impl Role {
    /// All of them, the smallest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Client, Self::Operator];

    /// As it is written in settings and headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Client => "client",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be viewer, client or operator")]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NoRole)
    }
}

/// What a route asks of whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: probes, and pages that say nothing about any transaction.
    Nothing,
    /// A node's signature, which the handler checks itself.
    Node,
    /// A session of the console's, which it looks for itself.
    Session,
    /// A viewer's role, unless metrics are open.
    Metrics,
    /// This role, or a greater one.
    Role(Role),
}

impl Needs {
    /// The role that is needed where access has rules and nothing is opened.
    #[must_use]
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Nothing | Self::Node | Self::Session => None,
            Self::Metrics => Some(Role::Viewer),
            Self::Role(role) => Some(role),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_ones_before_it_may() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::Viewer < Role::Client && Role::Client < Role::Operator);
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        for text in ["", "Viewer", "admin", "operator "] {
            assert_eq!(text.parse::<Role>(), Err(NoRole), "{text}");
        }
    }
}
