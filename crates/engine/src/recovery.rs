//! Start-up: from a page of the journal's unfinished transactions to the events that take each
//! of them up again. What each needs next is for the engine to say; nothing is decided here (P5).

use tercet_wire::Gid;
use thiserror::Error;

use crate::core::Event;
use crate::engine::input::{Input, Load};
use crate::stored::StoredTransaction;

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
    /// For the driver, in this order.
    pub events: Vec<Event>,
    /// Where the next page begins; none after the last page, which is empty.
    pub after: Option<Gid>,
}

/// Reads a page of unfinished transactions, given by gid. One that cannot be understood keeps
/// none of the others from being taken up; the engine says so, and remembers that its gid is
/// taken.
#[must_use]
pub fn read_page(page: Vec<Result<StoredTransaction, Unreadable>>) -> PageRead {
    let mut read = PageRead { events: Vec::new(), after: None };
    for found in page {
        let (gid, input) = match found {
            Ok(stored) => (stored.spec.gid.clone(), Input::Adopt(Box::new(stored))),
            Err(Unreadable { gid, why }) => {
                (gid.clone(), Input::Loaded(gid, Load::Unreadable { why }))
            }
        };
        read.after = Some(gid);
        read.events.push(Event::Input(input));
    }
    read
}
