//! An initiator's answer when it is asked, at the deadline, what became of its own work.
//!
//! ```text
//!   initiator's SQL transaction              coordinator asks: POST {check}
//!     business change                          │
//!     insert (gid, done) ── there: fails       insert (gid, never) ── there: read it
//!     commit                                   commit
//!                                              ▼
//!                                              200 done · 410 never · 202 not known yet
//! ```
//!
//! Both insert the same key, so one of the two comes first. Who asks writes "never" *before* it is answered: a commit
//! that comes late fails then, and what was told stays true.

mod answer;
mod purge;
mod record;

pub use purge::CHECKED_PURGE_AFTER;
pub use record::{Checked, NotRecorded};
