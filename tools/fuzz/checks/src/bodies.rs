//! Bodies of requests: what is refused is refused by name, and what is taken means the same
//! however it is written.

use serde::de::DeserializeOwned;
use tercet_engine::{Snapshot, Transaction};
use tercet_wire::{
    Arrival, BeginRequest, BranchId, BranchRequest, BranchSpec, CancelRequest, CheckedBegin,
    Invalid, Limits, Object, ReaddressRequest, ResolveRequest, TransactionView, check_begin,
    check_branch, check_cancel, check_readdress, check_resolve,
};

use crate::choices::Choices;
use crate::clock::{NOW, instance, operator};

/// The first byte says which body, the rest is the body.
pub(crate) fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let which = choices.below(5);
    let Ok(text) = std::str::from_utf8(choices.rest()) else { return };
    match which {
        0 => check_of_begin(text),
        1 => check_of_branch(text),
        2 => check_of_cancel(text),
        3 => check_of_readdress(text),
        _ => check_of_resolve(text),
    }
}

/// A body as the daemon reads it.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    let mut from = serde_json::Deserializer::from_str(text);
    let Object(value) = serde_path_to_error::deserialize(&mut from).ok()?;
    from.end().ok()?;
    Some(value)
}

/// A begin as the daemon checks it.
pub(crate) fn begin(request: BeginRequest) -> Result<CheckedBegin, Invalid> {
    let own = ["127.0.0.1:7200", "[::]:7201"].map(|own| own.parse().expect("an address"));
    let limits = Limits { own_addresses: own.to_vec(), ..Limits::default() };
    let arrival = Arrival { instance: instance(1), at: NOW.wall, traceparent: None };
    check_begin(request, &limits, &arrival)
}

fn branch(request: BranchRequest) -> Result<BranchSpec, Invalid> {
    check_branch(request, &Limits::default())
}

fn check_of_begin(text: &str) {
    let Some(request) = read::<BeginRequest>(text) else { return };
    let again = written_again(&request);
    match (begin(request), begin(again)) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other, "written again it means something else: {text}");
            check_view(one);
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            names(&one, &["gid", "branches", "metadata", "timeout_ms"]);
        }
        (one, other) => panic!("{one:?} and written again {other:?}: {text}"),
    }
}

/// What was begun is shown, and what is shown can be read.
fn check_view(begun: CheckedBegin) {
    let transaction = Transaction::begin(begun.spec.into(), NOW);
    let paused = tercet_engine::PausedNames::default();
    let view = Snapshot { transaction, at: NOW, paused }.view();
    let shown = serde_json::to_string(&view).expect("a view is JSON");
    let read: TransactionView = serde_json::from_str(&shown).expect("what is shown can be read");
    assert_eq!(serde_json::to_string(&read).expect("a view is JSON"), shown);
    assert_eq!(read, view, "{shown}");
}

fn check_of_branch(text: &str) {
    let Some(request) = read::<BranchRequest>(text) else { return };
    let again = written_again(&request);
    match (branch(request), branch(again)) {
        (Ok(one), Ok(other)) => assert_eq!(one, other, "{text}"),
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            let legs = ["endpoint", "try", "confirm", "cancel"];
            names(
                &one,
                &[&legs[..], &["id", "payload", "headers", "timeout_ms", "try_by"]].concat(),
            );
        }
        (one, other) => panic!("{one:?} and written again {other:?}: {text}"),
    }
}

/// What is kept of a text: the one character that no database holds stands there as another.
fn kept(text: Option<&str>) -> Option<String> {
    text.map(|text| text.replace('\0', "\u{fffd}"))
}

fn check_of_cancel(text: &str) {
    let Some(request) = read::<CancelRequest>(text) else { return };
    let given = kept(request.reason.as_deref());
    match check_cancel(request) {
        Ok(reason) => assert_eq!(reason.as_deref(), given.as_deref()),
        Err(invalid) => names(&invalid, &["reason"]),
    }
}

fn check_of_readdress(text: &str) {
    let Some(request) = read::<ReaddressRequest>(text) else { return };
    let again = written_again(&request);
    let (note, limits) = (kept(request.note.as_deref()), Limits::default());
    let checked =
        |request| check_readdress(request, BranchId::by_position(0), operator(1), &limits);
    match checked(request) {
        Ok(word) => {
            assert_eq!(word.note.as_deref(), note.as_deref());
            assert_eq!(checked(again), Ok(word));
        }
        Err(invalid) => {
            names(&invalid, &["endpoint", "try", "confirm", "cancel", "headers", "note", "body"]);
        }
    }
}

fn check_of_resolve(text: &str) {
    let Some(request) = read::<ResolveRequest>(text) else { return };
    let (as_, note) = (request.as_, kept(request.note.as_deref()));
    match check_resolve(request, BranchId::by_position(0), operator(1)) {
        Ok(word) => assert_eq!((word.as_, word.note.as_deref()), (as_, note.as_deref())),
        Err(invalid) => names(&invalid, &["note"]),
    }
}

fn written_again<T: serde::Serialize + DeserializeOwned>(request: &T) -> T {
    let text = serde_json::to_string(request).expect("what was read can be written");
    read(&text).unwrap_or_else(|| panic!("what was written cannot be read: {text}"))
}

/// A refusal names one of these fields, or something in it, and says what is wrong.
pub(crate) fn names(invalid: &Invalid, fields: &[&str]) {
    let named = fields.iter().any(|field| {
        let rest = invalid.field.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    assert!(named && !invalid.what.is_empty(), "{invalid}");
}
