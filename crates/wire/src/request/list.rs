//! What a list of transactions is asked for, and where the next page begins.

use serde_json::{Number, Value};

use crate::ids::{GID_MAX_LEN, Gid};
use crate::request::cursor::{InvalidCursor, filters_named, read_cursor, written_cursor};
use crate::status::{Pattern, Reason, Status};
use crate::time::Wall;

/// Which transactions, and in which order. Every condition given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Any of these; none given: all.
    pub statuses: Vec<Status>,
    /// Only those shown to people; looks at unfinished ones only.
    pub parked: bool,
    /// Only those that were begun so; also after their end.
    pub open: Option<bool>,
    /// Only those with a branch of this `host:port`; looks at unfinished ones only.
    pub participant: Option<String>,
    /// Only those of this shape.
    pub pattern: Option<Pattern>,
    /// Only those that were cancelled for one of these; none given: all.
    pub reasons: Vec<Reason>,
    /// Only those whose gid begins with this, by byte.
    pub gid_prefix: Option<GidPrefix>,
    /// Only those whose metadata say all of this.
    pub metadata: Vec<MetadataFilter>,
    /// Begun then or later.
    pub created_after: Option<Wall>,
    /// Begun earlier.
    pub created_before: Option<Wall>,
    /// Which come first.
    pub order: ListOrder,
    /// At most this many.
    pub limit: u32,
    /// Rows of one status that are looked through for a page, where no index has what is asked for.
    pub looks_at: u32,
    /// Only those that follow this place.
    pub after: Option<ListPlace>,
}

/// Which transactions of a list come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOrder {
    /// Those begun last.
    Newest,
    /// Those begun first.
    Oldest,
}

/// The place of a transaction in a list, or one that a page has looked up to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPlace {
    /// When it was begun.
    pub created_at: Wall,
    /// Its gid, which orders those begun in the same millisecond.
    pub gid: Gid,
}

/// How gids begin: 1 to 128 of their letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GidPrefix(String);

impl GidPrefix {
    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first text, by byte, behind all gids that begin so.
    #[must_use]
    pub fn end(&self) -> String {
        // It comes right after `z`, the last letter that a gid can have.
        format!("{}{{", self.0)
    }
}

impl std::str::FromStr for GidPrefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        match (1..=GID_MAX_LEN).contains(&text.len()) && text.bytes().all(is_letter) {
            true => Ok(Self(text.to_owned())),
            false => Err("must be 1 to 128 of A-Z a-z 0-9 . _ : -"),
        }
    }
}

/// What a transaction's metadata are to say: that a key has this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFilter {
    /// The key, of the outermost object.
    pub key: String,
    /// The value: of a string its text, of a number any way to write it, `true` or `false`.
    pub value: String,
}

impl MetadataFilter {
    /// Whether these say so.
    #[must_use]
    pub fn holds(&self, metadata: &Value) -> bool {
        match metadata.get(&self.key) {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Bool(flag)) => self.value == if *flag { "true" } else { "false" },
            Some(Value::Number(number)) => is_number(&self.value, number),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        }
    }
}

fn is_number(text: &str, number: &Number) -> bool {
    let Ok(asked) = text.parse::<Number>() else { return false };
    // Two whole numbers may differ by less than what a float can tell apart.
    let whole = |number: &Number| {
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(&asked), whole(number)) {
        (Some(asked), Some(number)) => asked == number,
        _ => asked.as_f64().partial_cmp(&number.as_f64()).is_some_and(std::cmp::Ordering::is_eq),
    }
}

impl ListQuery {
    /// All there are, the newest first.
    #[must_use]
    pub fn all(limit: u32) -> Self {
        Self {
            statuses: Vec::new(),
            parked: false,
            open: None,
            participant: None,
            pattern: None,
            reasons: Vec::new(),
            gid_prefix: None,
            metadata: Vec::new(),
            created_after: None,
            created_before: None,
            order: ListOrder::Newest,
            limit,
            looks_at: u32::MAX,
            after: None,
        }
    }

    /// What the page after this place is asked for with. It holds for these filters and this order
    /// alone.
    #[must_use]
    pub fn cursor(&self, last: &ListPlace) -> String {
        written_cursor(last.created_at, last.gid.as_str(), &self.filters())
    }

    /// The place that a cursor of this list names.
    ///
    /// # Errors
    /// It is none, or was made with other filters or in another order.
    pub fn place(&self, cursor: &str) -> Result<ListPlace, InvalidCursor> {
        let (created_at, gid) = read_cursor(cursor, &self.filters())?;
        Ok(ListPlace { created_at, gid })
    }

    /// A short name for filters and order: others have another.
    fn filters(&self) -> String {
        let words = |words: Vec<&str>| words.join(",");
        let moment = |at: Wall| at.0.to_string();
        let order = match self.order {
            ListOrder::Newest => "newest",
            ListOrder::Oldest => "oldest",
        };
        let mut given: Vec<Option<String>> = vec![
            Some(order.to_owned()),
            Some(words(self.statuses.iter().map(|status| status.as_str()).collect())),
            self.parked.then(String::new),
            self.open.map(|open| open.to_string()),
            self.participant.clone(),
            self.pattern.map(|pattern| pattern.as_str().to_owned()),
            Some(words(self.reasons.iter().map(|reason| reason.as_str()).collect())),
            self.gid_prefix.as_ref().map(|prefix| prefix.as_str().to_owned()),
            self.created_after.map(moment),
            self.created_before.map(moment),
        ];
        for MetadataFilter { key, value } in &self.metadata {
            given.extend([Some(key.clone()), Some(value.clone())]);
        }
        filters_named(given.iter().map(Option::as_deref))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(key: &str, value: &str) -> MetadataFilter {
        MetadataFilter { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_cursor_holds_for_filters_and_order_it_was_made_with() {
        let gid = "a.b_c:d-9".parse().expect("valid");
        let place = ListPlace { created_at: Wall(1_763_640_000_007), gid };
        let all = || ListQuery::all(50);
        let prefix = |text: &str| Some(text.parse().expect("a prefix"));
        let others = [
            all(),
            ListQuery { order: ListOrder::Oldest, ..all() },
            ListQuery { statuses: vec![Status::Trying], ..all() },
            ListQuery { statuses: vec![Status::Trying, Status::Confirmed], ..all() },
            ListQuery { parked: true, ..all() },
            ListQuery { open: Some(true), ..all() },
            ListQuery { open: Some(false), ..all() },
            ListQuery { participant: Some("pay:80".to_owned()), ..all() },
            ListQuery { pattern: Some(Pattern::Saga), ..all() },
            ListQuery { reasons: vec![Reason::Deadline], ..all() },
            ListQuery { gid_prefix: prefix("pay:80"), ..all() },
            ListQuery { metadata: vec![says("a", "b")], ..all() },
            ListQuery { metadata: vec![says("ab", "")], ..all() },
            ListQuery { metadata: vec![says("a", "b"), says("c", "d")], ..all() },
            ListQuery { created_after: Some(Wall(1)), ..all() },
            ListQuery { created_before: Some(Wall(1)), ..all() },
        ];
        for (one, query) in others.iter().enumerate() {
            let cursor = query.cursor(&place);
            assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cursor}");
            // How long a page is, and where it begins, are none of them.
            let longer = ListQuery { limit: 7, after: Some(place.clone()), ..query.clone() };
            assert_eq!(longer.place(&cursor), Ok(place.clone()), "{query:?}");
            for (other, asked) in others.iter().enumerate().filter(|(other, _)| *other != one) {
                let read = asked.place(&cursor);
                assert_eq!(read, Err(InvalidCursor::OtherFilters), "{one} as {other}");
            }
        }
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", "a", "zz", "é", "312f", "2f61", "6162", "312f2d61", "ff2f61", "312f61"] {
            let read = ListQuery::all(50).place(text);
            assert_eq!(read, Err(InvalidCursor::NotOurs), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_is_made_of_the_letters_of_a_gid() {
        let long = "x".repeat(128);
        for text in ["a", "-", ".", "order:7_", &long] {
            let prefix: GidPrefix = text.parse().expect(text);
            // Nothing that begins so lies outside, and nothing else inside.
            let (begins, end) = (prefix.as_str().to_owned(), prefix.end());
            for more in ["", "-", "Z", "zzz"] {
                let gid = format!("{begins}{more}");
                assert!(begins <= gid && gid < end, "{gid}");
            }
        }
        let prefix: GidPrefix = "ab".parse().expect("a prefix");
        for other in ["aa", "aazz", "ac", "aB", "b", "a"] {
            assert!(other < prefix.as_str() || other >= prefix.end().as_str(), "{other}");
        }
        for text in ["", "a b", "%", "é", "a{", &"x".repeat(129)] {
            assert!(text.parse::<GidPrefix>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn metadata_are_compared_by_what_they_say() {
        let metadata = json!({"s": "5", "n": 5, "f": 1.5, "big": 9_007_199_254_740_993_u64,
            "t": true, "no": null, "o": {"s": "5"}, "a": ["5"], "a.b": "dotted", "": "empty"});
        for (key, value) in [
            ("s", "5"),
            ("n", "5"),
            ("n", "5.0"),
            ("f", "1.5"),
            ("f", "15e-1"),
            ("big", "9007199254740993"),
            ("t", "true"),
            ("a.b", "dotted"),
        ] {
            assert!(says(key, value).holds(&metadata), "{key}={value}");
        }
        for (key, value) in [
            ("s", "5.0"),
            ("s", ""),
            ("n", "6"),
            ("n", "five"),
            ("n", ""),
            ("big", "9007199254740992"),
            ("t", "false"),
            ("t", "1"),
            ("no", "null"),
            ("o", "{\"s\":\"5\"}"),
            ("a", "5"),
            ("absent", ""),
        ] {
            assert!(!says(key, value).holds(&metadata), "{key}={value}");
        }
        assert!(!says("s", "5").holds(&json!(null)));
    }
}
