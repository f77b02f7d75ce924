//! Which trace a transaction belongs to, as what is stored of it says: the same after a restart, and
//! on whatever node drives it on.

use opentelemetry::{SpanId, TraceId};
use tercet_wire::Spec;

/// Bits of a trace's id that are random. Source: W3C Trace Context, Level 2, 3.2.2.3.
const RANDOM: u64 = (1 << 56) - 1;

/// How many of the traces that begin here are told: those whose random bits reach so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SampleRatio {
    least: u64,
}

impl SampleRatio {
    /// This share of all, from 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 2^56, which need not be exact, within its range"
    )]
    pub(crate) fn of(share: f64) -> Self {
        let left_out = (1.0 - share.clamp(0.0, 1.0)) * (RANDOM as f64 + 1.0);
        Self { least: left_out as u64 }
    }

    /// Whether a trace of this id is told. Every node says the same of it.
    fn takes(self, trace: u128) -> bool {
        (trace as u64 & RANDOM) >= self.least
    }
}

/// Where the spans of a transaction stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace.
    pub(super) trace: TraceId,
    /// The span of the transaction, under which those of its calls stand.
    pub(super) span: SpanId,
    /// Under which that stands: its initiator's, if it came with one.
    pub(super) parent: SpanId,
}

impl TraceContext {
    /// Of a transaction whose spans are told: its initiator's are, or the trace is its own and among those
    /// that are picked.
    pub(super) fn of(spec: &Spec, ratio: SampleRatio) -> Option<Self> {
        let (trace, parent, sampled) = parts(&spec.traceparent)?;
        let instance = spec.instance.uuid().as_u128();
        // A transaction without a trace of its initiator's has its instance for one, and the second half of
        // that for its span; see the request's checks.
        let own = instance as u64;
        let (parent, told) = match trace == instance {
            true => (0, ratio.takes(trace)),
            false => (parent, sampled),
        };
        told.then(|| Self {
            trace: TraceId::from(trace),
            span: SpanId::from(own),
            parent: SpanId::from(parent),
        })
    }
}

/// Trace, span, and whether it is sampled, of a `traceparent` in the form in which they are stored.
fn parts(stored: &str) -> Option<(u128, u64, bool)> {
    let mut parts = stored.split('-').skip(1);
    let trace = u128::from_str_radix(parts.next()?, 16).ok()?;
    let span = u64::from_str_radix(parts.next()?, 16).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    Some((trace, span, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use tercet_wire::{Arrival, Limits, Wall, check_begin};

    use super::*;

    const ALL: SampleRatio = SampleRatio { least: 0 };

    fn spec(instance: &str, traceparent: Option<&str>) -> Spec {
        let request = serde_json::from_str("{}").expect("a begin");
        let instance = instance.parse().expect("a UUID");
        let arrival = Arrival { instance, at: Wall(1_000), traceparent };
        check_begin(request, &Limits::default(), &arrival).expect("valid").spec
    }

    #[test]
    fn a_transaction_continues_its_initiators_trace_or_begins_its_own() {
        const OWN: &str = "01938d1c-7f00-7abc-8def-0123456789ab";
        const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        let told = |traceparent: Option<String>, ratio| {
            let context = TraceContext::of(&spec(OWN, traceparent.as_deref()), ratio)?;
            let TraceContext { trace, span, parent } = context;
            Some(format!("{trace:x} {span:x} {parent:x}"))
        };
        let own = "1938d1c7f007abc8def0123456789ab 8def0123456789ab 0";
        let given = "af7651916cd43dd8448eb211c80319c 8def0123456789ab b7ad6b7169203331";
        assert_eq!(told(None, ALL).as_deref(), Some(own));
        assert_eq!(told(None, SampleRatio::of(0.0)), None);
        let none = SampleRatio::of(0.0);
        for ratio in [ALL, none] {
            assert_eq!(told(Some(format!("{GIVEN}-01")), ratio).as_deref(), Some(given));
            assert_eq!(told(Some(format!("{GIVEN}-00")), ratio), None);
        }
    }

    #[test]
    fn so_many_are_picked_as_was_said() {
        for (share, least, most) in
            [(0.0, 0, 0), (0.1, 50, 150), (0.5, 400, 600), (1.0, 1_000, 1_000)]
        {
            let ratio = SampleRatio::of(share);
            // Spread as random ones are, by a multiplier that is odd.
            let ids = (0..1_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let picked = ids.filter(|id| ratio.takes(u128::from(*id))).count();
            assert!((least..=most).contains(&picked), "{share}: {picked}");
        }
    }
}
