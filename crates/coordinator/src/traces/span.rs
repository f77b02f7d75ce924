//! Spans, as OpenTelemetry has them.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tercet_engine::{Call, Decision, Transaction};
use tercet_wire::{Answer, Reason, Wall};
use url::Url;

use super::TraceContext;
use crate::metrics::CallResult;

/// A call that has ended.
#[derive(Debug)]
pub(crate) struct CallSpan<'a> {
    /// Its span, as the participant was told of it.
    pub(crate) id: u64,
    /// The call.
    pub(crate) call: &'a Call,
    /// Who was called.
    pub(crate) url: &'a Url,
    /// When.
    pub(crate) began: Wall,
    /// How long it took.
    pub(crate) took: Duration,
    /// What was answered.
    pub(crate) answer: &'a Answer,
    /// What that means.
    pub(crate) result: CallResult,
}

impl CallSpan<'_> {
    pub(super) fn data(&self, context: TraceContext) -> SpanData {
        let Self { id, call, url, began, took, answer, result } = *self;
        let ticket = &call.ticket;
        let op = ticket.call_op().as_str();
        let mut attributes = vec![
            KeyValue::new("tercet.gid", ticket.gid.to_string()),
            KeyValue::new("tercet.op", op),
            KeyValue::new("tercet.attempt", i64::from(ticket.attempt)),
            KeyValue::new("tercet.result", result.as_str()),
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("server.address", url.host_str().unwrap_or_default().to_owned()),
            KeyValue::new("server.port", i64::from(url.port_or_known_default().unwrap_or(0))),
            // Without its query: that is where keys stand.
            KeyValue::new("url.path", url.path().to_owned()),
        ];
        if !ticket.asks {
            attributes.push(KeyValue::new("tercet.branch", ticket.branch.to_string()));
        }
        if let Some(code) = code(answer) {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(code)));
        }
        let status = match result.is_failure() {
            true => Status::error(answer.summary()),
            false => Status::Unset,
        };
        let began = moment(began);
        SpanData {
            status,
            parent_span_id: context.span,
            span_kind: SpanKind::Client,
            ..span(context, SpanId::from(id), Cow::Borrowed(op), (began, began + took), attributes)
        }
    }
}

/// A transaction, from its begin to its end.
pub(super) fn of_transaction(context: TraceContext, ended: &Transaction) -> SpanData {
    let spec = ended.spec();
    let mut attributes = vec![
        KeyValue::new("tercet.gid", spec.gid.to_string()),
        KeyValue::new("tercet.instance", spec.instance.to_string()),
        KeyValue::new("tercet.pattern", spec.pattern.as_str()),
        KeyValue::new("tercet.status", ended.status().as_str()),
    ];
    if let Some(saga) = spec.saga() {
        attributes.push(KeyValue::new("tercet.saga", saga.name.to_string()));
    }
    let mut events = SpanEvents::default();
    let mut status = Status::Unset;
    if let Some(decided) = ended.decided() {
        let said = match &decided.decision {
            Decision::Confirm => "confirm".to_owned(),
            Decision::Cancel { reason, .. } => {
                attributes.push(KeyValue::new("tercet.reason", reason.as_str()));
                if is_failure(*reason) {
                    status = Status::error(reason.as_str());
                }
                "cancel".to_owned()
            }
        };
        let attributes = vec![KeyValue::new("tercet.decision", said)];
        events.events.push(Event::new("decided", moment(decided.at), attributes, 0));
    }
    let began = moment(spec.created_at);
    let end = ended.finished_at().map_or(began, moment);
    SpanData {
        status,
        events,
        parent_span_id: context.parent,
        parent_span_is_remote: context.parent != SpanId::INVALID,
        span_kind: SpanKind::Internal,
        ..span(context, context.span, Cow::Borrowed("transaction"), (began, end), attributes)
    }
}

/// Whether nobody meant it to end so.
fn is_failure(reason: Reason) -> bool {
    match reason {
        Reason::TryFailed | Reason::Deadline | Reason::Check => true,
        Reason::TryRefused | Reason::Requested | Reason::Operator => false,
    }
}

fn span(
    context: TraceContext,
    id: SpanId,
    name: Cow<'static, str>,
    (start_time, end_time): (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
) -> SpanData {
    let state = TraceState::default();
    SpanData {
        span_context: SpanContext::new(context.trace, id, TraceFlags::SAMPLED, false, state),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name,
        start_time,
        end_time,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("tercet").build(),
    }
}

fn code(answer: &Answer) -> Option<u16> {
    match answer {
        Answer::Status { code, .. }
        | Answer::Result { code, .. }
        | Answer::ResultTooLarge { code, .. } => Some(*code),
        Answer::Nothing { .. } | Answer::NotAllowed { .. } => None,
    }
}

fn moment(at: Wall) -> SystemTime {
    let since = u64::try_from(at.0).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(since)
}
