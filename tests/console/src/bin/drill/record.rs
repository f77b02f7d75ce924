//! What was done from the alert to the repair, step by step, and how long it took.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// The same for whoever acts, whoever looks, and whoever reports.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Kept>>);

/// Everything of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// In the words of whoever repeats them.
    pub(crate) steps: Vec<String>,
    /// What is worth telling beside them.
    pub(crate) notes: Vec<String>,
    /// Addresses of this run, and what they are called in the report.
    names: Vec<(String, String)>,
    alerted: Option<Instant>,
    repaired: Option<Instant>,
}

impl Kept {
    /// From the alert to the repair.
    pub(crate) fn took(&self) -> Option<Duration> {
        Some(self.repaired?.duration_since(self.alerted?))
    }

    fn named(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (address, name)| text.replace(address, name))
    }
}

impl Record {
    /// Somebody was told; the clock runs from here.
    pub(crate) fn alerted(&self, what: &str) {
        let mut kept = self.kept();
        let what = kept.named(what);
        println!("    alert: {what}");
        assert!(kept.steps.is_empty(), "something was done before the alert");
        kept.alerted = Some(clock::now());
    }

    /// A command, a page, a press, a field, or something outside Tercet.
    pub(crate) fn step(&self, what: &str) {
        let mut kept = self.kept();
        let what = kept.named(what);
        println!("    {:>2}  {what}", kept.steps.len() + 1);
        kept.steps.push(what);
    }

    /// The effect is there.
    pub(crate) fn repaired(&self) {
        self.kept().repaired = Some(clock::now());
    }

    pub(crate) fn note(&self, what: &str) {
        let mut kept = self.kept();
        let what = kept.named(what);
        println!("        ({what})");
        kept.notes.push(what);
    }

    /// In the report this address is called so.
    pub(crate) fn name(&self, address: &str, name: &str) {
        self.kept().names.push((address.to_owned(), name.to_owned()));
    }

    /// All of it as it is now.
    pub(crate) fn so_far(&self) -> Kept {
        self.kept().clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
