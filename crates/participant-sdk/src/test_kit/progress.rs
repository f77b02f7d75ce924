//! How far a run is, and what it would leave behind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tercet_wire::Op;

use super::caller::{Call, Caller, Twist};
use super::rule::Rule;
use super::session::Actor;

/// How long branches that a run leaves behind may take to be cancelled, all together.
const CLEANING: Duration = Duration::from_secs(10);

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The rule that is being checked.
    pub rule: Rule,
    /// How many courses of events are over.
    pub done: usize,
    /// How many there are in all.
    pub of: usize,
    /// How many calls were made.
    pub calls: u64,
    /// The balances as they were found, in words.
    pub balances: String,
}

/// Who is told of it.
#[derive(Clone)]
pub(super) struct Listener(Arc<dyn Fn(&Progress) + Send + Sync>);

impl Listener {
    pub(super) fn new(listen: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    pub(super) fn tell(&self, progress: &Progress) {
        (self.0)(progress);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Branches that were tried, or may have been, and whose decision was not made: what they reserve would stay
/// reserved.
#[derive(Debug, Clone, Default)]
pub(super) struct Undecided(Arc<Mutex<BTreeMap<(String, String), Call>>>);

impl Undecided {
    /// A call is about to be made.
    pub(super) fn calls(&self, actor: &Actor, op: Op) {
        if op == Op::Try {
            let cancel = actor.call(Op::Cancel, Twist::None);
            self.branches().insert(key(actor), cancel);
        }
    }

    /// A call was done.
    pub(super) fn done(&self, actor: &Actor, op: Op) {
        if op != Op::Try {
            self.branches().remove(&key(actor));
        }
    }

    /// Cancels them, as a coordinator would. How many there were, and how many of them are left.
    pub(super) async fn cancel(&self, caller: &Caller) -> (usize, usize) {
        let calls: Vec<_> = std::mem::take(&mut *self.branches()).into_values().collect();
        let (of, mut left) = (calls.len(), calls.len());
        let cancelling = async {
            for call in calls {
                // One that was confirmed, or never tried, says so, and reserves nothing.
                if caller.settle(call).await.done.is_some() {
                    left -= 1;
                }
            }
        };
        let in_time = tokio::time::timeout(CLEANING, cancelling).await;
        if in_time.is_err() {
            tracing::debug!("branches are left");
        }
        (of, left)
    }

    fn branches(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(actor: &Actor) -> (String, String) {
    (actor.name.clone(), actor.context.instance.to_string())
}
