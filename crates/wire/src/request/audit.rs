//! What the audit is asked for, and where the next page begins.

use crate::ids::{ActId, Gid};
use crate::request::cursor::{InvalidCursor, filters_named, read_cursor, written_cursor};
use crate::status::Action;
use crate::time::Wall;

/// Which rows of the audit, newest first. Every condition given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only what this one did.
    pub who: Option<String>,
    /// Only what was done to this transaction.
    pub gid: Option<Gid>,
    /// Only this.
    pub action: Option<Action>,
    /// Done then or later.
    pub since: Option<Wall>,
    /// At most this many.
    pub limit: u32,
    /// Only those that follow this one.
    pub after: Option<AuditPlace>,
}

/// The place of a row in the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    /// When it was done.
    pub at: Wall,
    /// The row's id, which orders what was done in the same millisecond.
    pub id: ActId,
}

impl AuditQuery {
    /// What the page after this place is asked for with. It holds for these filters alone.
    #[must_use]
    pub fn cursor(&self, last: &AuditPlace) -> String {
        written_cursor(last.at, &last.id.to_string(), &self.filters())
    }

    /// The place that a cursor of this list names.
    ///
    /// # Errors
    /// It is none, or was made with other filters.
    pub fn place(&self, cursor: &str) -> Result<AuditPlace, InvalidCursor> {
        let (at, id) = read_cursor(cursor, &self.filters())?;
        Ok(AuditPlace { at, id })
    }

    /// A short name for the filters: others have another.
    fn filters(&self) -> String {
        let since = self.since.map(|since| since.0.to_string());
        let given = [
            self.who.as_deref(),
            self.gid.as_ref().map(Gid::as_str),
            self.action.map(Action::as_str),
            since.as_deref(),
        ];
        filters_named(given.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> AuditQuery {
        AuditQuery { who: None, gid: None, action: None, since: None, limit: 50, after: None }
    }

    #[test]
    fn a_cursor_holds_for_the_filters_it_was_made_with() {
        let id = "01980000-0000-7000-8000-000000000007".parse().expect("an id");
        let place = AuditPlace { at: Wall(1_763_640_000_007), id };
        let who = |who: &str| AuditQuery { who: Some(who.to_owned()), ..all() };
        let others = [
            all(),
            who(""),
            who("alice"),
            who("bob"),
            AuditQuery { gid: Some("alice".parse().expect("a gid")), ..all() },
            AuditQuery { action: Some(Action::Retry), ..all() },
            AuditQuery { action: Some(Action::Resolve), ..all() },
            AuditQuery { since: Some(Wall(0)), ..all() },
            AuditQuery { since: Some(Wall(1)), ..all() },
        ];
        for (one, query) in others.iter().enumerate() {
            let cursor = query.cursor(&place);
            assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cursor}");
            // How long a page is is none of them.
            let longer = AuditQuery { limit: 7, after: Some(place), ..query.clone() };
            assert_eq!(longer.place(&cursor), Ok(place), "{query:?}");
            for (other, asked) in others.iter().enumerate().filter(|(other, _)| *other != one) {
                let read = asked.place(&cursor);
                assert_eq!(read, Err(InvalidCursor::OtherFilters), "{one} as {other}");
            }
        }
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", "a", "zz", "é", "312f", "2f61", "312f61", "312f612f62"] {
            assert_eq!(all().place(text), Err(InvalidCursor::NotOurs), "{text:?}");
        }
    }
}
