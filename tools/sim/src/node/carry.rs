//! What the core's commands lead to, and what participants answer.

use tercet_engine::{Commands, Event, Input, Lane, Ticket};
use tercet_wire::{Answer, Now, Wall, host_port};

use crate::coverage::Sometimes;
use crate::network;
use crate::node::dispatch::BreakerNews;
use crate::node::{Around, Node, Running, Waiting};
use crate::oracle::Told;
use crate::scheduled_event::{Heard, NodeEvent, ScheduledEvent};
use crate::scheduler::Scheduler;

impl Running {
    pub(super) fn step(&mut self, event: Event, now: Now, around: &mut Around<'_>) {
        let commands = self.stepped(event, now, around);
        self.carry_out(commands, now, around);
    }

    /// Steps the driver under the oracle's eyes; what it commands is not carried out yet.
    pub(super) fn stepped(&mut self, event: Event, now: Now, around: &mut Around<'_>) -> Commands {
        around.scheduler.note(|| format!("in  {}", crate::describe::event(&event)));
        around.oracle.before(&event, self, now, around.rows, around.scheduler);
        let not_sent = self.driver.waiting(Lane::NotSent);
        let commands = self.driver.step(event, now);
        if self.driver.waiting(Lane::NotSent) > not_sent {
            around.scheduler.saw(Sometimes::NoRoomInTheInbox);
        }
        let Around { scheduler, rows, services, initiators, oracle } = around;
        oracle.after(&commands, self, now, (rows, services, initiators), scheduler);
        commands
    }

    /// As the shell does it.
    pub(super) fn carry_out(&mut self, commands: Commands, now: Now, around: &mut Around<'_>) {
        let scheduler = &mut *around.scheduler;
        if !commands.loads.is_empty() {
            let wait = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
            self.after(wait, NodeEvent::Load(commands.loads), scheduler);
        }
        for page in commands.page_requests {
            let wait = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
            self.after(wait, NodeEvent::PageRequest(page.after), scheduler);
        }
        for (reply_to, reply) in commands.replies {
            let Some(Waiting { actor, number, .. }) = self.waiting.remove(&reply_to) else {
                scheduler.broke(format!("a request was answered twice: {reply:?}"));
                continue;
            };
            let delay = network::delay(scheduler);
            let heard = Heard::Reply(Box::new(reply));
            scheduler.after(delay, ScheduledEvent::Heard { actor, number, heard });
        }
        for (gid, parked) in commands.parked {
            // What a life tells that is over and has not heard so may be old.
            if !around.oracle.lives.is_anothers(&gid, self.life, around.rows) {
                around.oracle.parked(&gid, &parked, around.rows, scheduler);
            }
            let url = parked.branch.url(parked.op);
            let called = url.map(|url| host_port(url)).unwrap_or_default();
            self.outages.parked(&called, &parked, now);
        }
        for (gid, why) in commands.alarms {
            around.oracle.alarm(&gid, &why, around.rows, scheduler);
        }
        for call in commands.calls {
            if let Err((ticket, at)) = self.dispatch.send(call, now, scheduler) {
                self.driver.not_sent(ticket, Some(at));
            }
        }
        for ticket in commands.retract {
            if self.dispatch.retract(&ticket, scheduler) {
                self.driver.not_sent(ticket, None);
            }
        }
        for destination in commands.notify_when_free {
            let news = self.dispatch.notify_when_free(&destination, now, scheduler);
            self.take_news(news, now, &mut around.oracle.of(self.node).told, scheduler);
        }
    }

    /// Tells people what is due of those that do not answer.
    pub(super) fn tell_outages(&mut self, now: Now, around: &mut Around<'_>) {
        for news in self.outages.take_due(now.mono) {
            around.oracle.unreachable(&news, self, around.scheduler);
            around.oracle.of(self.node).told.news(&news, self.life, around.scheduler);
        }
    }

    pub(super) fn take_news(
        &mut self,
        news: BreakerNews,
        now: Now,
        told: &mut Told,
        scheduler: &mut Scheduler,
    ) {
        let mut over = Vec::new();
        for participant in news.alive {
            over.extend(self.outages.answered(&participant, now));
        }
        for (destination, is_open) in news.turned {
            if is_open {
                self.outages.opened(&destination, now);
                continue;
            }
            let was_known = self.outages.is_known(&destination.participant());
            let told = self.outages.closed(&destination, now);
            if was_known && told.is_none() {
                scheduler.saw(Sometimes::OutageUntold);
            }
            over.extend(told);
        }
        for news in over {
            told.news(&news, self.life, scheduler);
        }
        for (ticket, answer) in news.answers {
            self.driver.answered(ticket, answer);
        }
        for freed in news.capacity {
            self.driver.capacity_freed(freed);
        }
    }

    /// The patience with a call is over.
    pub(super) fn call_given_up(&mut self, http_call: u64, wall: Wall, around: &mut Around<'_>) {
        let now = self.now(wall, around.scheduler);
        let nothing = Answer::Nothing { why: "timeout".to_owned() };
        if let Some(news) = self.dispatch.ended(http_call, &nothing, now, around.scheduler) {
            around.scheduler.saw(Sometimes::Timeout);
            self.take_news(news, now, &mut around.oracle.of(self.node).told, around.scheduler);
        }
    }
}

impl Node {
    /// An answer arrives, for a call of this life or of another.
    pub(crate) fn answered(
        &mut self,
        http_call: u64,
        ticket: Ticket,
        answer: Answer,
        around: &mut Around<'_>,
    ) {
        let wall = self.wall(around.scheduler);
        let Some(running) = &mut self.running else { return };
        let now = running.now(wall, around.scheduler);
        let of_this_life = ticket.epoch.0 == running.life;
        let news = match of_this_life {
            true => running.dispatch.ended(http_call, &answer, now, around.scheduler),
            false => None,
        };
        if let Some(news) = news {
            running.take_news(
                news,
                now,
                &mut around.oracle.of(running.node).told,
                around.scheduler,
            );
        } else if around
            .scheduler
            .fault(around.scheduler.plan.net.stale, Sometimes::AnswerAfterItsTime)
        {
            if !of_this_life {
                around.scheduler.saw(Sometimes::AnswerOfAnOldLife);
            }
            // The dispatcher gives one answer for each call; this one comes from nowhere.
            running.step(Event::Input(Input::Answered(ticket, answer)), now, around);
        }
        let delay = around.scheduler.rng.below(2);
        self.wake(delay, around.scheduler);
    }
}
