//! A link whose packets the kernel delays and loses.

use super::{Namespace, Weather};
use crate::error::ChaosError;
use crate::tool;

/// A pair of virtual network cards, one of them in the participants' namespace.
#[derive(Debug)]
pub(crate) struct Veth {
    pub(super) namespace: Namespace,
    outer: String,
    pub(super) inner: String,
}

impl Veth {
    pub(super) async fn new(namespace: Namespace) -> Result<Self, ChaosError> {
        let (outer, inner) = (namespace.device('a'), namespace.device('b'));
        let pair = ["link", "add", &outer, "type", "veth", "peer", "name", &inner];
        tool::run("ip", &[&pair[..], &["netns", namespace.name()]].concat()).await?;
        namespace.connect().await?;
        let veth = Self { namespace, outer, inner };
        veth.weather(Weather::FAIR).await?;
        Ok(veth)
    }

    pub(super) async fn weather(&self, weather: Weather) -> Result<(), ChaosError> {
        let delay = format!("{}ms", weather.delay.as_millis());
        let loss = format!("{}%", f64::from(weather.lost_per_mille) / 10.0);
        // The limit is in packets; the default of 1 000 would lose more than was asked for.
        let netem =
            |device| ["qdisc", "replace", "dev", device, "root", "netem", "limit", "100000"];
        let inner = [&netem(&self.inner)[..], &["delay", &delay, "loss", &loss]].concat();
        self.namespace.tc(&inner).await?;
        tool::run("tc", &[&netem(&self.outer)[..], &["loss", &loss]].concat()).await
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        // One end takes the other with it.
        tool::run_at_the_end("ip", &["link", "del", &self.outer]);
    }
}
