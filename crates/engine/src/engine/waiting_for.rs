//! Who waits for participants: for the people who are told that these do not answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use tercet_wire::shown_host_port;

use crate::engine::Engine;
use crate::transaction::CallState;

/// What waits for one participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingFor {
    /// Branches that need a call to it.
    pub waiting: usize,
    /// Those of them whose call is under way, or with the dispatcher.
    pub called: usize,
    /// Those of them that are shown to people.
    pub parked: usize,
    /// How a call to it failed last, of any of them.
    pub last_error: Option<Arc<str>>,
}

impl Engine {
    /// Who waits for each of these participants, given as `host:port`. It looks at all live
    /// transactions once, however many are asked for.
    #[must_use]
    pub fn waiting_for<'a>(
        &self,
        participants: impl IntoIterator<Item = &'a str>,
    ) -> BTreeMap<String, WaitingFor> {
        let mut all: BTreeMap<String, WaitingFor> = BTreeMap::new();
        for participant in participants {
            let (waiting, parked) = self.paging.waiting_for(participant);
            let paged_out = WaitingFor { waiting, parked, ..WaitingFor::default() };
            all.insert(participant.to_owned(), paged_out);
        }
        if all.is_empty() {
            return all;
        }
        for (_, live_transaction) in self.live.iter() {
            let transaction = live_transaction.transaction();
            let decision = transaction.decision();
            let branches = transaction.branches().iter();
            // Nobody waits for what is put off.
            let branches =
                branches.filter(|branch| !branch.is_held() && transaction.is_in_turn(branch.id()));
            for branch in branches.chain(transaction.initiator()) {
                let needs = branch.needs(decision);
                let url = needs.and_then(|op| branch.spec().url(op));
                let Some(found) = url.and_then(|url| all.get_mut(&*shown_host_port(url))) else {
                    continue;
                };
                found.waiting += 1;
                let is_called = matches!(branch.call_state(), CallState::InFlight { .. });
                found.called += usize::from(is_called);
                found.parked += usize::from(branch.is_parked());
                if found.last_error.is_none() && branch.is_unreachable() {
                    found.last_error = branch.last_error().cloned();
                }
            }
        }
        all
    }
}
