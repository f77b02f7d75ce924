//! Who asks: the address a request came from, for the histories that say who did what.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::access::{Caller, Role};

/// The other end of a connection; the server writes it into every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Peer {
    pub(in crate::http) address: SocketAddr,
    pub(in crate::http) door: Door,
}

/// Where a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::http) struct Door {
    /// Whether probes alone are answered there.
    pub(in crate::http) for_probes: bool,
    /// Whether nobody on another machine reaches it.
    pub(in crate::http) is_on_loopback: bool,
    /// Whether it speaks TLS.
    pub(in crate::http) has_tls: bool,
}

impl Door {
    pub(in crate::http) fn is_probes_on_loopback(self) -> bool {
        self.for_probes && self.is_on_loopback
    }

    /// The scheme that is spoken there.
    pub(in crate::http) fn scheme(self) -> &'static str {
        if self.has_tls { "https" } else { "http" }
    }
}

impl Caller {
    /// Who has sent this request: who was found when it was let in, else, where everybody may do
    /// everything, whoever is at its address.
    pub(in crate::http) fn of(parts: &Parts) -> Self {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return caller.clone();
        }
        // The port is the system's choice for this one connection and says nothing of anybody.
        let address = parts.extensions.get::<Peer>().map(|peer| peer.address.ip().to_string());
        let who = Arc::from(address.unwrap_or_else(|| "an unknown address".to_owned()));
        Self { who, role: Role::Operator }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}
