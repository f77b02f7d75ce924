//! What must hold whatever comes in. Each check takes any bytes and panics if a promise is
//! broken; libFuzzer (`make fuzz`) drives them with nightly, `tests/kept.rs` drives them with
//! the kept corpus and mutants of it in every `make test`.

mod access;
mod bodies;
mod calls;
mod choices;
mod clock;
mod damage;
mod drive;
mod headers;
mod http_api;
mod journal;
mod rows;
mod store;
mod texts;
mod urls;

/// A check and the name its corpus goes by.
pub type Target = (&'static str, fn(&[u8]));

/// Every check there is.
pub const TARGETS: [Target; 9] = [
    ("access", access::check),
    ("bodies", bodies::check),
    ("calls", calls::check),
    ("face", http_api::check),
    ("headers", headers::check),
    ("journal", journal::check),
    ("rows", rows::check),
    ("texts", texts::check),
    ("urls", urls::check),
];

/// Runs the check of this name.
///
/// # Panics
/// There is none, or the input breaks a promise.
pub fn check(target: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.unwrap_or_else(|| panic!("no target {target}"));
    check(data);
}
