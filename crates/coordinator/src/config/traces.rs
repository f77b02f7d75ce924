//! `[traces]`: whom spans are told.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer};

use crate::config::settings::{millis, unless_empty};
use crate::secret::{Secret, SecretUrl};
use crate::traces::{SampleRatio, TraceSettings};

/// Where a collector takes traces, if it is not said.
const PATH: &str = "/v1/traces";

/// `[traces]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSection {
    /// Who is told.
    #[serde(deserialize_with = "unless_empty")]
    pub endpoint: Option<SecretUrl>,
    /// What they are sent as headers.
    pub headers: BTreeMap<String, Secret<HeaderValue>>,
    /// How many of the traces that begin here are told.
    pub sample_ratio: Share,
    /// Spans that wait.
    pub queue_spans: usize,
    /// For one delivery.
    #[serde(rename = "timeout_ms", deserialize_with = "millis")]
    pub timeout: Duration,
}

/// A share of a whole, kept to the bit so that two can be compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Share(u64);

impl TraceSection {
    /// What tracing works with, if somebody is to be told.
    pub(crate) fn settings(&self) -> Option<TraceSettings> {
        let mut url = self.endpoint.as_ref()?.expose().clone();
        if url.path() == "/" {
            url.set_path(PATH);
        }
        let named = |(name, value): (&String, &Secret<HeaderValue>)| {
            Some((name.parse::<HeaderName>().ok()?, value.clone()))
        };
        Some(TraceSettings {
            url,
            headers: self.headers.iter().filter_map(named).collect(),
            ratio: SampleRatio::of(f64::from_bits(self.sample_ratio.0)),
            queue_spans: self.queue_spans,
            timeout: self.timeout,
        })
    }

    /// What cannot be: the setting, and what it must be.
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        let wrong = self.headers.keys().find(|name| name.parse::<HeaderName>().is_err())?;
        Some(("traces.headers", format!("must have names of headers, not {wrong:?}")))
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&f64::from_bits(self.0), f)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        f64::deserialize(from).map(|share| Self(share.to_bits()))
    }
}
