//! Cursors of lists: the place that the next page follows, and a name for what was asked for. Their
//! text is opaque to clients, so that the order of lists can change without them.

use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::hex::{hex, unhex};
use crate::time::Wall;

/// Bytes of a cursor that tell the filters it was made with from others.
const FILTERS_BYTES: usize = 8;

/// The text is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidCursor {
    /// It is none at all.
    #[error("must be the next_cursor of a previous page")]
    NotOurs,
    /// It is one of a page that was asked for otherwise.
    #[error(
        "is of a page that was asked for with other filters or in another order: begin at the first page"
    )]
    OtherFilters,
}

/// A place in a list whose items have a time and an id, asked for with these filters.
pub(super) fn written_cursor(at: Wall, id: &str, filters: &str) -> String {
    hex(format!("{}/{id}/{filters}", at.0).as_bytes())
}

/// The place that a cursor names, if it was made with these filters.
pub(super) fn read_cursor<Id: FromStr>(
    cursor: &str,
    filters: &str,
) -> Result<(Wall, Id), InvalidCursor> {
    let plain = unhex(cursor).and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = plain.as_deref().and_then(|plain| {
        let (at, rest) = plain.split_once('/')?;
        let (id, named) = rest.split_once('/')?;
        Some((Wall(at.parse().ok()?), id.parse().ok()?, named))
    });
    let (at, id, named) = parts.ok_or(InvalidCursor::NotOurs)?;
    match named == filters {
        true => Ok((at, id)),
        false => Err(InvalidCursor::OtherFilters),
    }
}

/// A short name for filters: others have another.
pub(super) fn filters_named<'a>(given: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut sum = Sha256::new();
    for filter in given {
        // What is absent and what is empty differ, and no two neighbours run together.
        let length = filter.map_or(-1, |text| i64::try_from(text.len()).unwrap_or(i64::MAX));
        sum.update(length.to_be_bytes());
        sum.update(filter.unwrap_or_default());
    }
    hex(sum.finalize().get(..FILTERS_BYTES).unwrap_or_default())
}
