//! A network of its own for the participants.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::ChaosError;
use crate::tool::{self, words};

/// A network namespace and the two addresses of the link into it. It goes with this value.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    /// Sets the devices and the addresses of several runs apart.
    number: u32,
    next_port: AtomicU16,
}

/// Nothing else is in the namespace, so any port is free that we have not given away.
const FIRST_PORT: u16 = 7_301;

impl Namespace {
    /// Makes one; needs root and iproute2.
    pub(crate) async fn new() -> Result<Self, ChaosError> {
        let number = std::process::id();
        let made = Self {
            name: format!("tercet-chaos-{number}"),
            number,
            next_port: AtomicU16::new(FIRST_PORT),
        };
        tool::run("ip", &["netns", "add", &made.name]).await?;
        made.ip(&["link", "set", "lo", "up"]).await?;
        Ok(made)
    }

    /// Whether the kernel can trouble packets by itself.
    pub(crate) async fn has_netem(&self) -> bool {
        self.tc(&["qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]).await.is_ok()
            && self.tc(&["qdisc", "del", "dev", "lo", "root"]).await.is_ok()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the link's device on this side, `a`, or on the other, `b`.
    pub(crate) fn device(&self, side: char) -> String {
        format!("tc{}{side}", self.number)
    }

    /// The coordinator's address on the link.
    pub(crate) fn outer(&self) -> Ipv4Addr {
        self.host(1)
    }

    /// The participants' address.
    pub(crate) fn inner(&self) -> Ipv4Addr {
        self.host(2)
    }

    /// A port nobody had before: who had another one may still be about to end.
    pub(crate) fn port(&self) -> u16 {
        self.next_port.fetch_add(1, Ordering::Relaxed)
    }

    fn host(&self, host: u8) -> Ipv4Addr {
        let [.., high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, high, low, host)
    }

    /// A command line that runs in it.
    pub(crate) fn inside(&self, command: Vec<String>) -> Vec<String> {
        let mut inside = words(["ip", "netns", "exec", &self.name]);
        inside.extend(command);
        inside
    }

    /// `ip` in it.
    pub(crate) async fn ip(&self, arguments: &[&str]) -> Result<(), ChaosError> {
        tool::run("ip", &[&["-n", &self.name], arguments].concat()).await
    }

    /// `tc` in it.
    pub(crate) async fn tc(&self, arguments: &[&str]) -> Result<(), ChaosError> {
        tool::run("tc", &[&["-n", &self.name], arguments].concat()).await
    }

    /// Gives both ends of the link their addresses and brings them up.
    pub(crate) async fn connect(&self) -> Result<(), ChaosError> {
        let (outer, inner) = (self.outer().to_string(), self.inner().to_string());
        let (a, b) = (self.device('a'), self.device('b'));
        // A queue long enough that nothing is lost that is not meant to be.
        let long = ["txqueuelen", "10000"];
        tool::run("ip", &["addr", "add", &outer, "peer", &inner, "dev", &a]).await?;
        tool::run("ip", &["link", "set", &a, long[0], long[1], "up"]).await?;
        self.ip(&["addr", "add", &inner, "peer", &outer, "dev", &b]).await?;
        self.ip(&["link", "set", &b, long[0], long[1], "up"]).await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        tool::run_at_the_end("ip", &["netns", "del", &self.name]);
    }
}
