//! Calls that are held back until another call of their branch has passed them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::fate::BranchName;

/// How long a call is held back if nothing overtakes it.
const AT_MOST: Duration = Duration::from_secs(3);

/// The calls that are held back, by branch. An entry lives as long as its longest wait.
#[derive(Debug)]
pub(super) struct HeldBack {
    at_most: Duration,
    branches: Mutex<HashMap<BranchName, Vec<oneshot::Sender<()>>>>,
}

impl Default for HeldBack {
    fn default() -> Self {
        Self { at_most: AT_MOST, branches: Mutex::default() }
    }
}

impl HeldBack {
    /// Takes a place; the call may go on when what this gives has been waited for.
    pub(super) fn place(&self, branch: &BranchName) -> Place {
        let (passed, place) = oneshot::channel();
        let mut branches = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        branches.entry(branch.clone()).or_default().push(passed);
        Place { branch: branch.clone(), passed: place }
    }

    /// A call of this branch was answered: those it has overtaken may go on.
    pub(super) fn overtake(&self, branch: &BranchName) {
        let mut branches = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        for held in branches.remove(branch).unwrap_or_default() {
            // Nobody waits any more if it was held back for as long as may be.
            let _ = held.send(());
        }
    }

    /// Waits until the call was overtaken, but not for ever.
    pub(super) async fn wait(&self, place: Place) {
        if tokio::time::timeout(self.at_most, place.passed).await.is_ok() {
            return;
        }
        let mut branches = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = branches.get_mut(&place.branch) {
            held.retain(|held| !held.is_closed());
            if held.is_empty() {
                branches.remove(&place.branch);
            }
        }
    }
}

/// A call's place among those that are held back.
pub(super) struct Place {
    branch: BranchName,
    passed: oneshot::Receiver<()>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(gid: &str) -> BranchName {
        (gid.to_owned(), "payment".to_owned())
    }

    /// Holds back for so long.
    fn held_back(at_most: Duration) -> HeldBack {
        HeldBack { at_most, ..HeldBack::default() }
    }

    #[tokio::test]
    async fn a_call_is_held_back_until_another_of_its_branch_has_passed() {
        let held = held_back(Duration::from_secs(3_600));
        let place = held.place(&branch("a"));
        let mut waiting = std::pin::pin!(held.wait(place));
        held.overtake(&branch("b"));
        tokio::select! {
            biased;
            () = &mut waiting => panic!("another branch has passed"),
            () = std::future::ready(()) => {}
        }
        held.overtake(&branch("a"));
        waiting.await;
        assert!(held.branches.lock().expect("not poisoned").is_empty());
    }

    #[tokio::test]
    async fn a_call_that_nothing_overtakes_goes_on_and_leaves_nothing_behind() {
        let held = held_back(Duration::from_millis(1));
        let place = held.place(&branch("a"));
        held.wait(place).await;
        assert!(held.branches.lock().expect("not poisoned").is_empty());
    }
}
