//! What a list of transactions is asked for, and where the next page begins.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::hex::{hex, unhex};
use crate::ids::Gid;
use crate::status::{Pattern, Status};
use crate::time::Wall;

/// Which transactions, newest first. Every condition given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Any of these; none given: all.
    pub statuses: Vec<Status>,
    /// Only those shown to people; looks at unfinished ones only.
    pub parked: bool,
    /// Only those with a branch of this `host:port`; looks at unfinished ones only.
    pub participant: Option<String>,
    /// Only those of this shape.
    pub pattern: Option<Pattern>,
    /// Begun then or later.
    pub created_after: Option<Wall>,
    /// Begun earlier.
    pub created_before: Option<Wall>,
    /// At most this many.
    pub limit: u32,
    /// Only those that follow this one.
    pub cursor: Option<Cursor>,
}

/// The last transaction of a page: the next page begins after it. Its text is opaque
/// to clients, so that the order of lists can change without them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When it was begun.
    pub created_at: Wall,
    /// Its gid, which orders those begun in the same millisecond.
    pub gid: Gid,
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be the next_cursor of a previous page")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = format!("{}/{}", self.created_at.0, self.gid);
        f.write_str(&hex(plain.as_bytes()))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let plain = unhex(text).and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = plain.ok_or(InvalidCursor)?;
        let (created_at, gid) = plain.split_once('/').ok_or(InvalidCursor)?;
        let created_at = Wall(created_at.parse().map_err(|_| InvalidCursor)?);
        let gid = gid.parse().map_err(|_| InvalidCursor)?;
        Ok(Self { created_at, gid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_parses_to_what_it_was_written_from() {
        let gid = "a.b_c:d-9".parse().expect("valid");
        let cursor = Cursor { created_at: Wall(1_763_640_000_007), gid };
        let text = cursor.to_string();
        assert_eq!(text.parse(), Ok(cursor));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", "a", "zz", "é", "312f", "2f61", "6162", "312f2d61", "ff2f61", "312f616"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text:?}");
        }
    }
}
