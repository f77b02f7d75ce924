//! A trip: a saga of steps that come one after the other, and an agency with books of its own.
//!
//! ```text
//!   flight ──┐
//!            ├──▶ pay ──▶ mail
//!   hotel  ──┘
//! ```
//!
//! Flight and hotel are booked at once and can be released. Paying cannot be undone: it comes after all that may
//! still say no, is told both fares, and has no `compensate`. The mail goes out when all is decided, and has a Confirm
//! alone. Nothing here knows of the order: that is said when the saga is begun.

mod agency;
mod booking;
mod charge;
mod mail;

pub(crate) use agency::{Arguments, checked, trips};
pub(crate) use booking::{Kind, branch as booking, read as bookings};
pub(crate) use charge::Charge;
pub(crate) use mail::{branch as mail, read as mails};
