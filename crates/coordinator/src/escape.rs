//! Text that others have written, made safe to show. A terminal obeys control characters; others
//! turn a line around, break it, or are not seen at all, so that a person reads what is not
//! there. All of these are shown by their number instead.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escaped for people, as Rust writes it: `\n`, `\u{202e}`.
pub(crate) fn for_people(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false, |c, out| out.extend(c.escape_default()))
}

/// The same for text of several lines: these stay.
pub(crate) fn lines_for_people(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n', |c, out| out.extend(c.escape_default()))
}

/// The same for JSON, which means what it meant before: outside of its strings stand only
/// characters that are left as they are.
pub(crate) fn in_json(text: &str) -> Cow<'_, str> {
    escaped(text, is_white_space_of_json, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// The same for TOML whose strings stand between double quotes.
pub(crate) fn in_toml(text: &str) -> Cow<'_, str> {
    escaped(text, is_white_space_of_json, |c, out| {
        let _ = write!(out, "\\U{:08X}", u32::from(c));
    })
}

fn is_white_space_of_json(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t')
}

fn escaped(
    text: &str,
    kept: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    let is_plain = |c: char| kept(c) || is_seen_as_it_is(c);
    let Some(first) = text.find(|c| !is_plain(c)) else { return Cow::Borrowed(text) };
    let (plain, rest) = text.split_at(first);
    let mut shown = plain.to_owned();
    for c in rest.chars() {
        if is_plain(c) { shown.push(c) } else { escape(c, &mut shown) }
    }
    Cow::Owned(shown)
}

/// Whether a character shows what it is and leaves what stands around it alone: letters of any
/// writing, marks on them, signs, pictures, blanks.
fn is_seen_as_it_is(c: char) -> bool {
    match c {
        ' '..='~' => true,
        // Lines and paragraphs are separated by these, and they are white space too.
        '\u{2028}' | '\u{2029}' => false,
        _ if c.is_control() => false,
        _ if c.is_whitespace() => true,
        _ => is_printable(c),
    }
}

/// Whether the standard library would print it: it knows what is assigned, and what is format or
/// private. Behind a letter, since a mark alone is never printed.
fn is_printable(c: char) -> bool {
    let mut letter_and_it = [0; 5];
    letter_and_it[0] = b'a';
    let length = 1 + c.encode_utf8(&mut letter_and_it[1..]).len();
    let text = std::str::from_utf8(&letter_and_it[..length]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turned around, broken, hidden, or obeyed.
    const WILD: &str = "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\
        \u{200e}\u{200f}\u{61c}\u{2028}\u{2029}\u{85}\u{9b}\u{90}\u{0}\u{7}\u{8}\u{b}\u{c}\u{1b}\
        \u{7f}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{180e}\u{fff9}\u{e0041}\u{e000}";

    #[test]
    fn nothing_that_a_terminal_would_obey_or_hide_is_shown_raw() {
        let text = format!("be{WILD}\r\n\tware");
        for shown in [for_people(&text), lines_for_people(&text), in_json(&text), in_toml(&text)] {
            assert!(shown.starts_with("be\\") && shown.ends_with("ware"), "{shown:?}");
            let raw: Vec<char> = shown.chars().filter(|c| WILD.contains(*c)).collect();
            assert!(raw.is_empty(), "{raw:?}");
        }
        assert_eq!(for_people("a\nb\u{1b}[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
        assert_eq!(lines_for_people("a\nb\r\n"), "a\nb\\r\n");
    }

    #[test]
    fn what_people_write_is_left_as_it_is() {
        for text in
            ["naïve", "e\u{301}té", "日本語　です", "नमस्ते", "שלום", "👍 ok", "a\u{a0}b", "\"'\\"]
        {
            assert!(matches!(for_people(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn escaped_json_and_toml_mean_what_they_meant() {
        let wild = format!("\"\\ {WILD}");
        let value = serde_json::json!({ "detail": wild });
        let json = value.to_string();
        let read: serde_json::Value = serde_json::from_str(&in_json(&json)).expect("json");
        assert_eq!(read, value);
        let toml = format!("detail = {}", toml::Value::from(format!("a{}", '\u{202e}')));
        let read: toml::Table = in_toml(&toml).parse().expect("toml");
        assert_eq!(read["detail"].as_str(), Some("a\u{202e}"));
    }
}
