//! Who waits for a participant: for the people who are told that it does not answer.

use std::sync::Arc;

use tercet_wire::is_host_port_of;

use crate::engine::Engine;

/// What waits for one participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingFor {
    /// Branches that need a call to it.
    pub waiting: usize,
    /// Those of them that are shown to people.
    pub parked: usize,
    /// How a call to it failed last, of any of them.
    pub last_error: Option<Arc<str>>,
}

impl Engine {
    /// Who waits for a participant, given as `host:port`. It looks at all live transactions.
    #[must_use]
    pub fn waiting_for(&self, participant: &str) -> WaitingFor {
        let (waiting, parked) = self.paging.waiting_for(participant);
        let mut found = WaitingFor { waiting, parked, last_error: None };
        for (_, live_transaction) in self.live.iter() {
            let transaction = live_transaction.transaction();
            let decision = transaction.decision();
            for branch in transaction.branches() {
                let url = branch.needs(decision).and_then(|op| branch.spec().url(op));
                if !url.is_some_and(|url| is_host_port_of(url, participant)) {
                    continue;
                }
                found.waiting += 1;
                found.parked += usize::from(branch.is_parked());
                if found.last_error.is_none() && branch.is_unreachable() {
                    found.last_error = branch.last_error().cloned();
                }
            }
        }
        found
    }
}
