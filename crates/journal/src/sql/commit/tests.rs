//! The machine by itself, with scripted answers: what is sent after what, and what each answer
//! that could come at each step leads to.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod fences;
mod orders;
mod script;
mod takings;
mod without_records;
