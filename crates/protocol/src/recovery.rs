//! Start-up: a page of the journal's unfinished transactions, each of which is taken up again. What each needs next is for the engine to say; nothing is decided here (P5).

use thiserror::Error;

use crate::ids::Gid;
use crate::stored::Stored;

/// A transaction whose rows make no sense: damaged, or written by a newer program. The others
/// are read all the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("transaction {gid} cannot be read: {why}")]
pub struct Unreadable {
    /// Which.
    pub gid: Gid,
    /// What is wrong with its rows.
    pub why: String,
}

/// What a page of unfinished transactions leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRead {
    /// Those that are taken up, in the page's order.
    pub found: Vec<Stored>,
    /// Those that cannot be understood; they stay in the journal as they are.
    pub unreadable: Vec<Unreadable>,
    /// Where the next page begins; none after the last page, which is empty.
    pub after: Option<Gid>,
}

/// Reads a page of unfinished transactions, given by gid. One that cannot be understood keeps
/// none of the others from being taken up.
#[must_use]
pub fn read_page(page: Vec<Result<Stored, Unreadable>>) -> PageRead {
    let mut read = PageRead { found: Vec::new(), unreadable: Vec::new(), after: None };
    for found in page {
        match found {
            Ok(stored) => {
                read.after = Some(stored.spec.gid.clone());
                read.found.push(stored);
            }
            Err(unreadable) => {
                read.after = Some(unreadable.gid.clone());
                read.unreadable.push(unreadable);
            }
        }
    }
    read
}
