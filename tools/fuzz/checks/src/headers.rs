//! Headers: those a branch brings, and those that come from outside.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Response};
use tercet_participant::{Idempotency, KeyStore};
use tercet_wire::{
    Answer, Arrival, BeginRequest, BranchRequest, Limits, Op, RETRY_AFTER_MAX, RETRY_AFTER_MIN,
    Verdict, check_begin, check_branch, header, parse_retry_after, verdict,
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::bodies::names;
use crate::choices::Choices;
use crate::clock::{NOW, instance};

/// The first byte says which header.
pub(crate) fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let which = choices.below(4);
    let value = choices.rest();
    let text = std::str::from_utf8(value).ok();
    match which {
        0 => check_branch_headers(text.unwrap_or_default()),
        1 => check_traceparent(text.unwrap_or_default()),
        2 => check_retry_after(text.unwrap_or_default()),
        _ => check_idempotency_key(value),
    }
}

/// Lines of `name: value`, to the byte.
fn check_branch_headers(text: &str) {
    let pairs = text.split('\n').map(|line| line.split_once(": ").unwrap_or((line, "")));
    let given: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let request = BranchRequest {
        id: Some("b".to_owned()),
        confirm: Some("http://h/".to_owned()),
        headers: Some(given),
        ..BranchRequest::default()
    };
    match check_branch(request, &Limits::default()) {
        Err(invalid) => names(&invalid, &["headers"]),
        Ok(branch) => {
            for (name, value) in &branch.headers {
                let sent: HeaderName = name.parse().expect("a name that can be sent");
                assert_eq!(sent.as_str(), name, "in lower case, as it is sent");
                assert!(!header::is_reserved(name), "{name}");
                let sent: HeaderValue = value.parse().expect("a value that can be sent");
                assert_eq!(sent.to_str().ok(), Some(value.as_str()));
            }
        }
    }
}

fn check_traceparent(text: &str) {
    let continued = |given: &str| {
        let arrival = Arrival { instance: instance(1), at: NOW.wall, traceparent: Some(given) };
        let begun = check_begin(BeginRequest::default(), &Limits::default(), &arrival);
        begun.expect("a trace is no reason to refuse").spec.traceparent
    };
    let ours = continued(text);
    let parts: Vec<&str> = ours.split('-').collect();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{ours}");
    assert!(parts.concat().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{ours}");
    assert!(parts[1..3].iter().all(|id| id.bytes().any(|byte| byte != b'0')), "{ours}");
    assert_eq!(continued(&ours), ours, "what is sent on is understood by the next");
}

fn check_retry_after(text: &str) {
    let retry_after = parse_retry_after(text, NOW.wall);
    if let Ok(seconds) = text.parse::<u16>()
        && !text.starts_with('+')
    {
        assert_eq!(retry_after.map(|pause| pause.as_secs()), Some(seconds.into()));
    }
    for op in Op::ALL {
        for code in [200, 202, 409, 429, 503] {
            let answer = Answer::Status { code, retry_after, excerpt: String::new() };
            let pause = match verdict(op, &answer) {
                Verdict::InProgress(pause) => Some(pause),
                Verdict::Again { pause, .. } => pause,
                Verdict::Done | Verdict::Refused => None,
            };
            assert!(
                pause.is_none_or(|pause| (RETRY_AFTER_MIN..=RETRY_AFTER_MAX).contains(&pause)),
                "{text:?} makes {op} wait {pause:?} after {code}"
            );
        }
    }
}

/// A request with any key happens once or not at all, and its repeat is told the same.
fn check_idempotency_key(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let ran = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&ran);
    let handler = service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Infallible>(Response::new(Body::from("done"))) }
    });
    let service = Idempotency::new(KeyStore::in_memory(16)).layer(handler);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let told = runtime.expect("a runtime").block_on(async {
        let mut told = Vec::new();
        for _ in 0..2 {
            let request = Request::post("/orders").header(header::IDEMPOTENCY_KEY, &value);
            let request = request.body(Body::from("{}")).expect("a request");
            let Ok(answer) = service.clone().oneshot(request).await;
            told.push(answer.status().as_u16());
        }
        told
    });
    let accepted = u32::from(told[0] == 200);
    assert_eq!((told[0], ran.load(Ordering::Relaxed)), (told[1], accepted), "{value:?}");
    assert!(matches!(told[0], 200 | 400), "{told:?}");
}
