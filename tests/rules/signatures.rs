//! What docs/protocol.md tells those who verify signatures in other languages.

use std::collections::BTreeMap;
use std::fs;

use tercet_wire::{Signed, SigningKey, Wall, call_id};

use crate::sources::root;

/// The test vector, by the names that stand before its values.
fn vector() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("docs/protocol.md")).expect("the document");
    let blocks = text.split("```").skip(1).step_by(2);
    let mut vectors = blocks.filter(|block| block.trim_start().starts_with("secret "));
    let vector = vectors.next().expect("a test vector");
    let lines = vector.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect()
}

#[test]
fn the_test_vector_in_the_protocol_is_right() {
    let vector = vector();
    let of = |name: &'static str| vector.get(name).map(String::as_str);
    let signed = Signed::read(of).expect("all three headers");
    assert_eq!(call_id(of), signed.id);
    let key: SigningKey = of("secret").and_then(|secret| secret.parse().ok()).expect("a secret");
    let body = of("body").expect("a body").as_bytes();
    assert_eq!(signed.check_signature(std::slice::from_ref(&key), body), Ok(()));
    let at: i64 = signed.timestamp.parse().expect("seconds");
    assert_eq!(key.sign(signed.id, at, body), signed.signatures);
    assert_eq!(signed.check_time(Wall(at * 1_000)), Ok(()));
}
