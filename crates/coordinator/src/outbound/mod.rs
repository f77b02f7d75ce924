//! Connections to whoever is called: participants, and the receiver of alerts.
//!
//! ```text
//!  a call ──▶ Connections ── kept? ──────────────────────────────▶ Connection ──▶ answer
//!                 │                                                    ▲
//!                 └─▶ Connector: Resolver ─▶ allowed? ─▶ dial ─▶ TLS ───┘
//!                                 │           │           │
//!                                 │           │           └ addresses in turn, each with its share and a
//!                                 │           │             socket; none: wait, no attempt is used
//!                                 │           └ each address; none: nobody is called
//!                                 └ hosts file, else one look-up a name
//! ```
//!
//! What comes from outside drives nothing here without a bound: a look-up, a handshake, the
//! answer's head and its body have a time and a number of bytes each, and whoever waits looks at
//! its timer before it looks at what has come.

mod allowance;
mod connect;
mod connections;
mod dial;
mod failure;
mod hosts;
mod lines;
mod name_server;
mod patience;
mod resolver;
mod shortage;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub use connect::{Connector, OutboundSettings};
pub(crate) use connections::{CallError, Connection, Connections, Sending};
pub(crate) use failure::{not_allowed, why};
pub(crate) use patience::before;
