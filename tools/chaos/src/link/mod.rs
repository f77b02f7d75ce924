//! What lies between the coordinator and its participants, and how it is troubled.
//!
//! ```text
//!   coordinator, initiators          participants (a network namespace of their own)
//!      10.x.y.1  ───── veth + netem, or tun ─ relay ─ tun ─────  10.x.y.2
//! ```

mod namespace;
mod relay;
mod tunnel;
mod veth;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tercet_testing::Port;

pub(crate) use self::namespace::Namespace;
use self::tunnel::Tunnel;
use self::veth::Veth;
use crate::error::ChaosError;

/// How bad a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    /// How long every packet from a participant takes longer.
    pub(crate) delay: Duration,
    /// How many packets of a thousand are lost, each way.
    pub(crate) lost_per_mille: u32,
}

impl Weather {
    /// Nothing is delayed, nothing is lost.
    pub(crate) const FAIR: Self = Self { delay: Duration::ZERO, lost_per_mille: 0 };
    /// 200 ms and 5 %.
    pub(crate) const FOUL: Self = Self { delay: Duration::from_millis(200), lost_per_mille: 50 };
}

/// The way to the participants.
#[derive(Debug)]
pub(crate) enum Link {
    /// None: participants on this machine's loopback, which cannot be troubled.
    Loopback,
    /// A pair of virtual network cards, troubled by the kernel (netem).
    Veth(Veth),
    /// A pair of tunnels, with a relay between that delays and drops packets.
    Tunnel(Tunnel),
}

impl Link {
    /// The best there is on this machine: netem where the kernel has it, else the relay.
    pub(crate) async fn troubled() -> Result<Self, ChaosError> {
        let namespace = Namespace::new().await?;
        if namespace.has_netem().await {
            Ok(Self::Veth(Veth::new(namespace).await?))
        } else {
            Ok(Self::Tunnel(Tunnel::new(namespace).await?))
        }
    }

    /// What it is, for the report.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Loopback => "loopback, untroubled",
            Self::Veth(_) => "a veth pair into a network namespace, troubled by tc netem",
            Self::Tunnel(_) => {
                "two tun devices, one in a network namespace, and a relay between them that delays \
                 and drops IP packets (this kernel has no sch_netem)"
            }
        }
    }

    /// A command line, to be run where the participants are.
    pub(crate) fn inside(&self, command: Vec<String>) -> Vec<String> {
        match self {
            Self::Loopback => command,
            Self::Veth(Veth { namespace, .. }) | Self::Tunnel(Tunnel { namespace, .. }) => {
                namespace.inside(command)
            }
        }
    }

    /// An address for a participant.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Loopback => {
                let port = Port::free();
                Place { address: port.address(), _kept: Some(port) }
            }
            Self::Veth(Veth { namespace, .. }) | Self::Tunnel(Tunnel { namespace, .. }) => {
                Place::fixed(namespace.inner(), namespace.port())
            }
        }
    }

    /// Troubles every packet, from now on.
    pub(crate) async fn weather(&self, weather: Weather) -> Result<(), ChaosError> {
        match self {
            Self::Loopback => Ok(()),
            Self::Veth(veth) => veth.weather(weather).await,
            Self::Tunnel(tunnel) => {
                tunnel.weather(weather);
                Ok(())
            }
        }
    }

    /// Loses every packet, both ways, without a word to either side.
    pub(crate) async fn cut(&self) -> Result<(), ChaosError> {
        self.carrier("down").await
    }

    /// Ends `cut`.
    pub(crate) async fn mend(&self) -> Result<(), ChaosError> {
        self.carrier("up").await
    }

    async fn carrier(&self, state: &str) -> Result<(), ChaosError> {
        match self {
            Self::Loopback => Ok(()),
            Self::Veth(Veth { namespace, inner, .. })
            | Self::Tunnel(Tunnel { namespace, inner, .. }) => {
                namespace.ip(&["link", "set", inner, state]).await
            }
        }
    }
}

/// An address that stays a participant's while it is down.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    _kept: Option<Port>,
}

impl Place {
    fn fixed(ip: Ipv4Addr, port: u16) -> Self {
        Self { address: SocketAddr::new(IpAddr::V4(ip), port), _kept: None }
    }
}
