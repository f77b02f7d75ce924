//! A round of the loop, when there is something for it.

use tercet_engine::Lane;

use crate::coverage::Sometimes;
use crate::node::{Around, Node};
use crate::scheduled_event::{NodeEvent, ScheduledEvent};
use crate::scheduler::Scheduler;

impl Node {
    /// See to it that the loop runs within so many milliseconds.
    pub(crate) fn wake(&mut self, within: u64, scheduler: &mut Scheduler) {
        let Some(running) = &mut self.running else { return };
        let at = (scheduler.now + within).max(running.frozen_until);
        if running.round_at.is_none_or(|planned| at < planned) {
            running.round_at = Some(at);
            let (life, event) = (running.life, NodeEvent::Round);
            scheduler.at(at, ScheduledEvent::Node { life, event });
        }
    }

    /// The loop runs, if there is anything for it.
    pub(super) fn round(&mut self, around: &mut Around<'_>) {
        let wall = self.wall(around.scheduler);
        let Some(running) = &mut self.running else { return };
        // An earlier round took this one's place, or there are no more.
        let due = running.round_at.is_some_and(|at| at <= around.scheduler.now);
        if !due || running.closes_until.is_some() {
            return;
        }
        running.round_at = None;
        let mono = running.mono(around.scheduler.now);
        let now = running.now(wall, around.scheduler);
        let news = running.dispatch.wake(now, around.scheduler);
        running.take_news(news, now, &mut around.oracle.of(running.node).told, around.scheduler);
        running.tell_outages(now, around);
        running.driver.set_unwritten(running.unwritten);
        let bound = running.driver.settings().lane_bound;
        let is_full = |lane: &Lane| running.driver.waiting(*lane) > bound;
        running.full_lanes = Lane::IN_ORDER.into_iter().filter(is_full).collect();
        if !running.full_lanes.is_empty() {
            around.scheduler.saw(Sometimes::LaneBound);
        }
        while let Some(event) = running.driver.next(mono) {
            let now = running.now(wall, around.scheduler);
            running.step(event, now, around);
        }
        let now = running.now(wall, around.scheduler);
        running.flush(now, around);
        running.waits_for_nobody(around.scheduler);
        around.oracle.round_ended(running, running.awake_since, around.rows, around.scheduler);
        let idle = |calls| calls <= running.dispatch.waiting();
        if let Some(ended) = running.driver.ended(mono, idle) {
            return self.ends(ended, around);
        }
        let next = running.driver.next_wake(mono).into_iter().chain(running.dispatch.next_wake());
        // Who waits for its participant keeps the world going; a reminder alone does not.
        let told = running.outages.next_due().filter(|_| !running.dispatch.is_idle());
        let next = next.chain(told);
        if let Some(due) = next.min() {
            self.wake(due.0.saturating_sub(mono.0), around.scheduler);
        }
    }
}
