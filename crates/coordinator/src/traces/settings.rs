//! What tracing works with.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use url::Url;

use super::SampleRatio;
use crate::secret::Secret;

/// Where spans go, and how many.
#[derive(Debug, Clone)]
pub(crate) struct TraceSettings {
    /// Where the collector takes traces.
    pub(crate) url: Url,
    /// What it is sent beside them.
    pub(crate) headers: Vec<(HeaderName, Secret<HeaderValue>)>,
    /// How many of the traces that begin here are told.
    pub(crate) ratio: SampleRatio,
    /// Spans that wait to be told.
    pub(crate) queue_spans: usize,
    /// The longest one delivery may take.
    pub(crate) timeout: Duration,
}
