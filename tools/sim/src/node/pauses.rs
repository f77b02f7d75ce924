//! Participants that an operator pauses: this node reads of it a while later than others, and calls
//! nobody there from then on; as the shell does it.

use std::collections::BTreeSet;

use tercet_engine::{Event, Input};
use tercet_wire::Wall;

use crate::coverage::Pausing;
use crate::node::{Around, Running};

/// How long after the rows a node knows who is paused, at most.
pub(crate) const KNOWN_WITHIN_MS: u64 = 1_000;

impl Running {
    /// It reads who is paused.
    pub(super) fn reads_pauses(&mut self, wall: Wall, around: &mut Around<'_>) {
        let paused = around.rows.paused.clone();
        // A loop that has ended hears of nothing.
        if self.closes_until.is_some() || paused == *self.dispatch.paused() {
            return;
        }
        for (point, is_seen) in [
            (Pausing::Paused, !paused.is_subset(self.dispatch.paused())),
            (Pausing::Resumed, !self.dispatch.paused().is_subset(&paused)),
        ] {
            if is_seen {
                around.scheduler.saw(point);
            }
        }
        self.begins_to_pause(paused.clone());
        if self.dispatch.has_calls_under_way_to_paused() {
            around.scheduler.saw(Pausing::WhileCalled);
        }
        let now = self.now(wall, around.scheduler);
        self.step(Event::Input(Input::Paused(paused)), now, around);
        for (ticket, at) in self.dispatch.retract_paused() {
            around.scheduler.saw(Pausing::Withdrawn);
            self.driver.not_sent(ticket, Some(at));
        }
    }

    /// Nothing leaves to these any more.
    pub(super) fn begins_to_pause(&mut self, paused: BTreeSet<String>) {
        self.outages.set_paused(paused.clone());
        self.dispatch.set_paused(paused);
    }
}
