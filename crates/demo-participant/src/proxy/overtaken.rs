//! Calls that are held back until another call of their branch has passed them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::fate::BranchName;

/// How long a call is held back if nothing overtakes it.
const AT_MOST: Duration = Duration::from_secs(3);

/// The calls that are held back, by branch. An entry lives as long as its longest wait.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    branches: Mutex<HashMap<BranchName, Vec<oneshot::Sender<()>>>>,
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
        if tokio::time::timeout(AT_MOST, place.passed).await.is_ok() {
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

    #[tokio::test(start_paused = true)]
    async fn a_call_is_held_back_until_another_of_its_branch_has_passed() {
        let held = HeldBack::default();
        let place = held.place(&branch("a"));
        let mut waiting = std::pin::pin!(held.wait(place));
        held.overtake(&branch("b"));
        let soon = AT_MOST / 2;
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "another branch");
        held.overtake(&branch("a"));
        assert!(tokio::time::timeout(Duration::ZERO, waiting).await.is_ok());
        assert!(held.branches.lock().expect("not poisoned").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nothing_overtakes_goes_on_and_leaves_nothing_behind() {
        let held = HeldBack::default();
        let place = held.place(&branch("a"));
        held.wait(place).await;
        assert!(held.branches.lock().expect("not poisoned").is_empty());
    }
}
