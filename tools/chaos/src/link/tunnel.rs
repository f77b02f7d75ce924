//! A link whose packets pass through this program, which delays and loses them.

use std::fmt;
use std::sync::Arc;

use tappers::{Interface, Tun};

use super::relay::{self, Way};
use super::{Namespace, Weather};
use crate::error::ChaosError;
use crate::tool;

/// Two tunnel devices, one of them in the participants' namespace, and the relay between them.
pub(crate) struct Tunnel {
    pub(super) namespace: Namespace,
    pub(super) inner: String,
    /// To the participants, and back.
    there: Arc<Way>,
    back: Arc<Way>,
}

impl Tunnel {
    pub(super) async fn new(namespace: Namespace) -> Result<Self, ChaosError> {
        let (outer, inner) = (namespace.device('a'), namespace.device('b'));
        let open = |name: &str| {
            let opened = Interface::new(name).and_then(Tun::new_named).map(Arc::new);
            opened.map_err(ChaosError::io(format!("make the tun device {name}")))
        };
        let (here, far) = (open(&outer)?, open(&inner)?);
        // The device moves, the open file stays with us: so one process can be on both sides.
        tool::run("ip", &["link", "set", &inner, "netns", namespace.name()]).await?;
        namespace.connect().await?;
        // Seeds of their own, so that the two ways do not lose the same packets.
        let there = relay::carry(&here, &far, 1);
        let back = relay::carry(&far, &here, 2);
        Ok(Self { namespace, inner, there, back })
    }

    pub(super) fn weather(&self, weather: Weather) {
        self.there.set(Weather { delay: Weather::FAIR.delay, ..weather });
        self.back.set(weather);
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("inner", &self.inner).finish_non_exhaustive()
    }
}
