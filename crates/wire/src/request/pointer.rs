//! Places in a document, by RFC 6901.

use std::fmt;

/// A place in a JSON document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// The whole document.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A field of the object at this place.
    #[must_use]
    pub fn field(mut self, name: &str) -> Self {
        self.0.push('/');
        for letter in name.chars() {
            match letter {
                '~' => self.0.push_str("~0"),
                '/' => self.0.push_str("~1"),
                letter => self.0.push(letter),
            }
        }
        self
    }

    /// An item of the list at this place.
    #[must_use]
    pub fn item(mut self, index: usize) -> Self {
        self.0.push('/');
        self.0.push_str(&index.to_string());
        self
    }

    /// The same place of a document that stands at this one.
    #[must_use]
    pub fn within(mut self, inner: &str) -> Self {
        self.0.push_str(inner);
        self
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of a field as checks name it: `steps[1].headers.x-a`. What follows `headers` is one
/// name, dots and all.
pub(crate) fn pointer_to(field: &str) -> Pointer {
    let mut place = Pointer::root();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(header) = rest.strip_prefix("headers.") {
            return place.field("headers").field(header);
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, further) = rest.split_at(end);
        if !name.is_empty() {
            place = place.field(name);
        }
        rest = match further.strip_prefix('[').and_then(|further| further.split_once(']')) {
            Some((index, further)) => {
                place = place.field(index);
                further
            }
            None => further,
        };
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_place() {
        for (field, place) in [
            ("", ""),
            ("timeout_ms", "/timeout_ms"),
            ("steps", "/steps"),
            ("steps[3]", "/steps/3"),
            ("steps[3].after", "/steps/3/after"),
            ("steps[12].headers", "/steps/12/headers"),
            ("steps[12].headers.x.a~b", "/steps/12/headers/x.a~0b"),
        ] {
            assert_eq!(pointer_to(field).as_str(), place, "{field}");
        }
    }

    #[test]
    fn what_has_a_meaning_in_a_pointer_is_escaped() {
        let place = Pointer::root().field("a/b").item(0).field("~1").within("/c");
        assert_eq!(place.to_string(), "/a~1b/0/~01/c");
    }
}
