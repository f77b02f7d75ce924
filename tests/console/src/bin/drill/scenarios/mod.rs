//! What goes wrong, one after the other.

mod by_hand;
mod dead;
mod disk;
mod flood;
mod open;
mod payload;
mod payment;
mod refusing;
mod restore;

use std::pin::Pin;

use crate::scene::Scene;

/// Why something cannot be tried on this machine.
#[derive(Debug)]
pub(crate) struct LeftOut(pub(crate) String);

pub(crate) type Run = Pin<Box<dyn Future<Output = Result<(), LeftOut>> + Send>>;

/// A thing that goes wrong, and is put right.
pub(crate) struct Scenario {
    /// What it is asked for by.
    pub(crate) name: &'static str,
    /// In words; `{waiting}` is how many wait.
    pub(crate) title: &'static str,
    /// What wakes somebody.
    pub(crate) alert: &'static str,
    pub(crate) run: fn(Scene) -> Run,
}

/// All of them, in the order of the report.
pub(crate) const ALL: [Scenario; 8] = [
    refusing::SCENARIO,
    dead::SCENARIO,
    open::SCENARIO,
    payload::SCENARIO,
    by_hand::SCENARIO,
    disk::SCENARIO,
    flood::SCENARIO,
    restore::SCENARIO,
];
