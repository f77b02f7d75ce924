//! Lines about one transaction: each names its gid and its trace, and here alone they are given them.

use tercet_wire::{Gid, Spec, TraceId};
use tracing::Span;

/// The transaction that a line is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// Its gid.
    pub(crate) gid: &'a Gid,
    /// Its trace, where that is known.
    pub(crate) trace_id: Option<TraceId>,
}

impl<'a> From<&'a Spec> for About<'a> {
    fn from(spec: &'a Spec) -> Self {
        Self { gid: &spec.gid, trace_id: TraceId::of(&spec.traceparent) }
    }
}

impl<'a> From<(&'a Gid, Option<TraceId>)> for About<'a> {
    fn from((gid, trace_id): (&'a Gid, Option<TraceId>)) -> Self {
        Self { gid, trace_id }
    }
}

impl About<'_> {
    /// Around what logs lines that name its gid alone: it adds the trace.
    pub(crate) fn span(self) -> Span {
        tracing::error_span!("transaction", trace_id = self.trace_id.map(tracing::field::display))
    }
}

/// Logs a line about a transaction: `about!(spec => LEVEL!(event = "…", …, "…"))`. Where the line is not
/// logged, nothing is looked up for it.
macro_rules! about {
    ($about:expr => $level:ident!(event = $event:literal, $($line:tt)+)) => {
        tracing::$level!(
            event = $event,
            gid = %$crate::telemetry::About::from($about).gid,
            trace_id = $crate::telemetry::About::from($about).trace_id.map(tracing::field::display),
            $($line)+
        )
    };
    ($about:expr => $level:ident!($($line:tt)+)) => {
        tracing::$level!(
            gid = %$crate::telemetry::About::from($about).gid,
            trace_id = $crate::telemetry::About::from($about).trace_id.map(tracing::field::display),
            $($line)+
        )
    };
}

pub(crate) use about;
