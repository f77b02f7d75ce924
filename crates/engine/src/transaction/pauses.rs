//! Participants that an operator has paused: nobody calls them. What needs a call to one waits, as it
//! waits for room, but without an end of its own: it fails in nothing, and is not shown to people for
//! it. A call that was under way is not cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tercet_wire::{Mono, Op, shown_host_port};
use url::Url;

use crate::dispatch::Destination;
use crate::record::Decision;
use crate::transaction::backpressure::paused_call;
use crate::transaction::branch::{Branch, CallState};
use crate::transaction::{Step, Transaction};

/// Participants that are not called, by `host:port`. Cheap to clone: whoever is shown a transaction has
/// them beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PausedNames(Arc<BTreeSet<String>>);

impl PausedNames {
    /// Whether a call to this URL is not made.
    pub(crate) fn holds(&self, url: &Url) -> bool {
        !self.0.is_empty() && self.0.contains(&*shown_host_port(url))
    }
}

impl From<BTreeSet<String>> for PausedNames {
    fn from(participants: BTreeSet<String>) -> Self {
        Self(Arc::new(participants))
    }
}

/// Who is not called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Paused {
    /// By `host:port`.
    participants: PausedNames,
    /// Those that were until lately, and until when: nobody has waited for them longer than that.
    resumed: BTreeMap<String, Mono>,
    /// Path segments that tell destinations apart.
    path_segments: usize,
}

impl Paused {
    /// These are.
    #[must_use]
    pub fn of(participants: BTreeSet<String>) -> Self {
        Self { participants: participants.into(), ..Self::default() }
    }

    /// Calls to one participant wait at destinations that so many path segments tell apart.
    pub(crate) fn tells_apart_by(&mut self, path_segments: usize) {
        self.path_segments = path_segments;
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.participants.0.is_empty()
    }

    /// Who is.
    pub(crate) fn names(&self) -> &PausedNames {
        &self.participants
    }

    /// Whether a call to this URL is not made.
    pub(crate) fn holds(&self, url: &Url) -> bool {
        self.participants.holds(url)
    }

    /// Where a call waits that is not made.
    pub(super) fn place_of(&self, url: &Url) -> Option<Destination> {
        self.holds(url).then(|| Destination::of(url, self.path_segments))
    }

    /// From now on these are; says who no more is, and who was not before. That they were is known
    /// for as long as it matters to `park_after`.
    pub(crate) fn change(
        &mut self,
        participants: BTreeSet<String>,
        now: Mono,
        park_after: std::time::Duration,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let before = std::mem::replace(&mut self.participants, participants.into());
        let (before, now_paused) = (before.0, &self.participants.0);
        let resumed: BTreeSet<String> = before.difference(now_paused).cloned().collect();
        let paused: BTreeSet<String> = now_paused.difference(&before).cloned().collect();
        self.resumed.retain(|_, at| now.since(*at) < park_after);
        self.resumed.extend(resumed.iter().map(|participant| (participant.clone(), now)));
        (resumed, paused)
    }

    /// When it was resumed, if that was lately.
    fn resumed_at(&self, url: &Url) -> Option<Mono> {
        self.resumed.get(&*shown_host_port(url)).copied()
    }
}

/// The URL that is called next.
pub(super) fn next_call<'a>(branch: &'a Branch, decision: Option<&Decision>) -> Option<&'a Url> {
    branch.needs(decision).and_then(|op| branch.spec.url(op)).map(AsRef::as_ref)
}

impl Transaction {
    /// Whether it needs a call to one of these.
    pub(crate) fn needs_any_of(&self, participants: &BTreeSet<String>) -> bool {
        let decision = self.decision();
        let mut urls = self.callees().filter_map(|branch| next_call(branch, decision));
        urls.any(|url| participants.contains(&*shown_host_port(url)))
    }

    /// Nobody waits too long for whom nobody calls: the clock of a branch stands until its
    /// participant is resumed, and what was shown to people before is no more. Its row says so in this
    /// step, and whom people were to be told of once an earlier one is durable they hear nothing
    /// (`Engine::is_news`).
    pub(super) fn stop_clocks_of_paused(&mut self, step: &mut Step<'_>) {
        let paused = &step.rules.paused;
        if paused.is_empty() {
            return;
        }
        let decision = self.decision().cloned();
        let is_held = |branch: &Branch| {
            next_call(branch, decision.as_ref()).is_some_and(|url| paused.holds(url))
        };
        for branch in self.branches.iter_mut().filter(|branch| is_held(branch)) {
            (branch.failure_stats.since, branch.told_parked) = (None, None);
            if std::mem::take(&mut branch.parked) {
                branch.write_row_into(step);
            }
        }
        // Of an initiator the rows of its transaction alone say it.
        if let Some(initiator) = self.initiator.as_deref_mut().filter(|it| is_held(it)) {
            (initiator.failure_stats.since, initiator.told_parked) = (None, None);
            initiator.parked = false;
        }
    }

    /// These are called again: whoever waits for them has waited since now, and who pauses after a
    /// failed call there waits for room only, as where a destination answers again.
    pub(crate) fn was_resumed(&mut self, resumed: &BTreeSet<String>, step: &Step<'_>) {
        let (now, path_segments) = (step.now.mono, step.rules.paused.path_segments);
        let decision = self.decision().cloned();
        for branch in self.callees_mut() {
            let url = next_call(branch, decision.as_ref());
            if !url.is_some_and(|url| resumed.contains(&*shown_host_port(url))) {
                continue;
            }
            branch.failure_stats.no_room_since = None;
            if let CallState::Waiting { since, .. } = &mut branch.call_state {
                *since = now;
            }
            if let Some(url) = paused_call(branch, decision.as_ref()) {
                let at = Destination::of(url, path_segments);
                branch.call_state = CallState::Waiting { since: now, at };
            }
        }
    }

    /// The rows were read again, and do not say that a participant was paused meanwhile.
    pub(crate) fn waits_since_resumed(&mut self, paused: &Paused) {
        if paused.resumed.is_empty() {
            return;
        }
        let decision = self.decision().cloned();
        for branch in self.callees_mut() {
            let resumed =
                next_call(branch, decision.as_ref()).and_then(|url| paused.resumed_at(url));
            let since = &mut branch.failure_stats.since;
            *since = since.map(|since| resumed.map_or(since, |resumed| since.max(resumed)));
        }
    }

    /// Whether the call of this branch is not made, since its participant is paused.
    pub(super) fn is_paused(branch: &Branch, op: Op, step: &Step<'_>) -> bool {
        branch.spec.url(op).is_some_and(|url| step.rules.paused.holds(url))
    }
}
