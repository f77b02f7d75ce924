//! The key a client sends, and what stands for it and its request in a store.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use tercet_wire::{header, hex};
use thiserror::Error;

/// Longest key, in characters. A UUID has 36.
const KEY_CHARACTERS: usize = 255;

/// The value of `Idempotency-Key`, without quotes: 1–255 printable ASCII characters. The layer puts it into the
/// request's extensions, for handlers that pass it on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BadKey {
    #[error("Idempotency-Key stands there more than once")]
    Several,
    #[error("Idempotency-Key must be 1 to {KEY_CHARACTERS} printable ASCII characters")]
    Form,
}

impl IdempotencyKey {
    /// Reads a structured string, `"abc"`, as the draft wants it, or the bare `abc` that most clients
    /// send; they are the same key.
    fn parse(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let key = match text.strip_prefix('"') {
            Some(quoted) => unescape(quoted.strip_suffix('"').ok_or(BadKey::Form)?)?,
            None if text.contains('"') => return Err(BadKey::Form),
            None => text.to_owned(),
        };
        let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        match key.len() {
            1..=KEY_CHARACTERS if printable => Ok(Self(key)),
            _ => Err(BadKey::Form),
        }
    }
}

/// RFC 9651, 3.3.3: in a string only `"` and `\` are escaped.
fn unescape(text: &str) -> Result<String, BadKey> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => plain.push(escaped),
                Some(_) | None => return Err(BadKey::Form),
            },
            '"' => return Err(BadKey::Form),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

/// The request's key, if it has one.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, BadKey> {
    let mut values = headers.get_all(header::IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(BadKey::Several);
    }
    IdempotencyKey::parse(value.to_str().map_err(|_| BadKey::Form)?).map(Some)
}

/// What a key is stored under: a digest, so that it has one length and one alphabet, and so that a
/// table of keys does not betray what callers are told apart by.
pub(super) fn stored_as(
    key: &IdempotencyKey,
    headers: &HeaderMap,
    separate_by: &[HeaderName],
) -> String {
    let mut digest = Sha256::new();
    part(&mut digest, key.as_str().as_bytes());
    for name in separate_by {
        for value in headers.get_all(name) {
            part(&mut digest, value.as_bytes());
        }
        part(&mut digest, b"");
    }
    hex(&digest.finalize())
}

/// What makes two requests the same: method, path, query and body.
pub(super) fn fingerprint(parts: &Parts, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    part(&mut digest, parts.method.as_str().as_bytes());
    part(&mut digest, parts.uri.path().as_bytes());
    part(&mut digest, parts.uri.query().unwrap_or_default().as_bytes());
    part(&mut digest, body);
    hex(&digest.finalize())
}

/// With its length before it, so that no two lists of parts run together to the same bytes.
fn part(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_quoted_or_bare() {
        let table = [
            (r#""8e03978e""#, Some("8e03978e")),
            ("8e03978e", Some("8e03978e")),
            (r#""a \"b\" \\ c""#, Some(r#"a "b" \ c"#)),
            ("", None),
            (r#""""#, None),
            (r#""open"#, None),
            (r#"a"b"#, None),
            (r#""a\n""#, None),
            ("schlüssel", None),
        ];
        for (text, expected) in table {
            let read = IdempotencyKey::parse(text).ok();
            assert_eq!(read.as_ref().map(IdempotencyKey::as_str), expected, "{text}");
        }
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
        assert!(IdempotencyKey::parse(&"k".repeat(256)).is_err());
    }
}
