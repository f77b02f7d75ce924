//! A relay: takes messages, hands them over, marks what became of them. The steps are the SDK's, the
//! rules by which each answer leads to the next mark are its own.
//!
//! ```text
//!   claim ─▶ begin with the row's gid, or ask how it stands ─▶ mark ─▶ claim …
//!   killed anywhere: what it holds is due again when its lease runs out
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tercet_engine::{Refusal, Reply, Until};
use tercet_participant::OutboxState;
use tercet_participant::relay_rules::{Next, Told, given_back, next, pause_while_away};
use tercet_wire::Gid;

use crate::actor::Asking;
use crate::coverage::{Mishap, Sent};
use crate::initiators::outbox::{Claimed, Outbox};
use crate::network;
use crate::rows::{Rows, life_of};
use crate::scheduled_event::{Asked, Heard, RelayEvent, ScheduledEvent};
use crate::scheduler::Scheduler;

/// As the SDK's relay has them by default, but for the rows of a claim, which are few here.
const LEASE: u64 = 8_000;
const BATCH: usize = 3;
const AT_ONCE: usize = 2;
const IDLE: u64 = 10;
const IDLE_AT_MOST: u64 = 200;

/// The states that are worked on, each for itself.
pub(crate) const LANES: [OutboxState; 2] = [OutboxState::Pending, OutboxState::Sent];

/// One relay.
#[derive(Debug)]
pub(crate) struct Relay {
    number: usize,
    /// As whom the coordinator answers it.
    actor: usize,
    /// What was meant for an earlier life is lost.
    life: u64,
    frozen_until: u64,
    requests: u64,
    lanes: [Lane; 2],
}

/// The present round of one state.
#[derive(Debug, Default)]
struct Lane {
    owner: u64,
    began: u64,
    to_call: VecDeque<Claimed>,
    calling: BTreeMap<u64, Claimed>,
    outcomes: Vec<(Gid, Next)>,
    away: bool,
    rounds_away: u32,
    idle: u64,
    /// Which node it asks.
    node: usize,
}

impl Relay {
    pub(super) fn new(number: usize, actor: usize) -> Self {
        let lanes = Default::default();
        Self { number, actor, life: 1, frozen_until: 0, requests: 0, lanes }
    }

    /// When it can do something again, if it is frozen.
    pub(super) fn frozen_until(&self, now: u64) -> Option<u64> {
        (self.frozen_until > now).then_some(self.frozen_until)
    }

    pub(super) fn freezes(&mut self, until: u64) {
        self.frozen_until = until;
    }

    /// It is killed, and started again after a while.
    pub(super) fn dies(&mut self, scheduler: &mut Scheduler) {
        let held = self.lanes.iter().any(|lane| !lane.calling.is_empty());
        let unmarked = self.lanes.iter().any(|lane| !lane.outcomes.is_empty());
        if held {
            scheduler.saw(Sent::DiedWithCalls);
        }
        if unmarked {
            scheduler.saw(Sent::DiedBeforeTheMark);
        }
        self.life += 1;
        self.lanes = Default::default();
        self.frozen_until = 0;
        let pause = scheduler.rng.mostly_small(20_000);
        self.starts(pause, scheduler);
    }

    pub(super) fn starts(&self, pause: u64, scheduler: &mut Scheduler) {
        for lane in 0..LANES.len() {
            self.after(pause, RelayEvent::Round { lane }, scheduler);
        }
    }

    fn after(&self, wait: u64, event: RelayEvent, scheduler: &mut Scheduler) {
        let (relay, life) = (self.number, self.life);
        scheduler.after(wait, ScheduledEvent::Relay { relay, life, event });
    }

    pub(super) fn happens(
        &mut self,
        life: u64,
        event: RelayEvent,
        outbox: &mut Outbox,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        if life != self.life {
            return;
        }
        match event {
            RelayEvent::Round { lane } => self.claims(lane, outbox, scheduler),
            RelayEvent::Settle { lane } => self.settles(lane, outbox, rows, scheduler),
        }
    }

    /// A claim, which may fail: then it is tried again, and what it took is due when its lease ends.
    fn claims(&mut self, lane: usize, outbox: &mut Outbox, scheduler: &mut Scheduler) {
        let (now, state) = (scheduler.now, LANES[lane]);
        let fails = scheduler.plan.initiator.database;
        let pause = scheduler.rng.between(10, 500);
        let again = RelayEvent::Round { lane };
        if scheduler.fault(fails, Mishap::CommitFailsBefore) {
            return self.after(pause, again, scheduler);
        }
        let here = &mut self.lanes[lane];
        let limit = if here.rounds_away == 0 { BATCH } else { 1 };
        let (owner, claimed) = outbox.claim(state, limit, LEASE, now);
        if scheduler.fault(fails, Mishap::CommitFailsAfter) {
            return self.after(pause, again, scheduler);
        }
        if claimed.is_empty() {
            here.idle = (here.idle * 2).clamp(IDLE, IDLE_AT_MOST);
            let mut pause = here.idle;
            if scheduler.healed {
                // Nobody looks for what is not there, or the world does not come to rest.
                if outbox.is_over() {
                    return;
                }
                let due = outbox.next_due(state).map_or(60_000, |due| due.saturating_sub(now));
                pause = pause.max(due);
            }
            return self.after(pause, again, scheduler);
        }
        if claimed.iter().any(|row| row.attempts > 1) {
            scheduler.saw(Sent::ClaimedAgain);
        }
        (here.owner, here.began, here.idle, here.away) = (owner, now, 0, false);
        here.to_call = claimed.into();
        self.calls(lane, scheduler);
    }

    /// Makes as many calls as may be made at once; once there are none, what came of them is written.
    fn calls(&mut self, lane: usize, scheduler: &mut Scheduler) {
        loop {
            let now = scheduler.now;
            let here = &mut self.lanes[lane];
            if here.calling.len() >= AT_ONCE {
                return;
            }
            let Some(row) = here.to_call.pop_front() else { break };
            if here.away || now - here.began >= LEASE / 2 {
                scheduler.saw(Sent::GivenBack);
                here.outcomes.push((row.content.gid.clone(), given_back(LANES[lane])));
                continue;
            }
            self.call(lane, row, scheduler);
        }
        if self.lanes[lane].calling.is_empty() {
            let takes = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
            self.after(takes, RelayEvent::Settle { lane }, scheduler);
        }
    }

    fn call(&mut self, lane: usize, row: Claimed, scheduler: &mut Scheduler) {
        self.requests += 1;
        // Lanes are told apart by their requests' numbers.
        let number = self.requests * 2 + lane as u64;
        let (actor, gid) = (self.actor, row.content.gid.clone());
        let asking = match LANES[lane] {
            OutboxState::Pending => Asking::Begin { content: row.content.clone(), fresh: false },
            _ => Asking::Read,
        };
        let node = self.lanes[lane].node;
        let asked = Asked { node, actor, number, gid, asking, until: Until::Accepted, wait_ms: 0 };
        self.lanes[lane].calling.insert(number, row);
        scheduler
            .after(LEASE * 3 / 8, ScheduledEvent::Heard { actor, number, heard: Heard::Nothing });
        let plan = scheduler.plan.net.clone();
        if scheduler.fault(plan.lose_call, Mishap::CallLost) {
            return;
        }
        let delay = network::delay(scheduler);
        scheduler.after(delay, ScheduledEvent::Ask(asked));
    }

    /// A call is answered, or is waited for no longer.
    pub(super) fn hears(&mut self, number: u64, heard: Heard, scheduler: &mut Scheduler) {
        if matches!(heard, Heard::Reply(_))
            && scheduler.fault(scheduler.plan.net.lose_answer, Mishap::AnswerLost)
        {
            return scheduler.saw(Sent::AnswerLost);
        }
        let lane = usize::try_from(number % 2).unwrap_or_default();
        let here = &mut self.lanes[lane];
        let Some(row) = here.calling.remove(&number) else { return };
        let told = told(&heard);
        if let Heard::Reply(reply) = &heard
            && let Reply::Refused(Refusal::Elsewhere(owner)) = **reply
        {
            here.node = scheduler.home(life_of(owner));
        } else if scheduler.is_cluster() && matches!(heard, Heard::Nothing) {
            here.node = scheduler.some_node();
        }
        here.away |= matches!(told, Told::Away { .. });
        let entropy = scheduler.rng.next();
        let next = next(LANES[lane], row.attempts, told, entropy);
        self.lanes[lane].outcomes.push((row.content.gid.clone(), next));
        self.calls(lane, scheduler);
    }

    /// Writes what became of the rows of the claim, of those that are still its own.
    fn settles(
        &mut self,
        lane: usize,
        outbox: &mut Outbox,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        let now = scheduler.now;
        let fails = scheduler.plan.initiator.database;
        if scheduler.fault(fails, Mishap::CommitFailsBefore) {
            let pause = scheduler.rng.between(10, 500);
            return self.after(pause, RelayEvent::Settle { lane }, scheduler);
        }
        let here = &mut self.lanes[lane];
        for (gid, next) in std::mem::take(&mut here.outcomes) {
            match outbox.settle(here.owner, (LANES[lane], &gid), &next, now) {
                true => super::sent::marked(&gid, LANES[lane], &next, rows, scheduler),
                false => scheduler.saw(Sent::LostItsLease),
            }
        }
        here.rounds_away = if here.away { here.rounds_away + 1 } else { 0 };
        let pause = match here.away {
            true => {
                let entropy = scheduler.rng.next();
                pause_while_away(here.rounds_away, None, entropy)
            }
            false => Duration::ZERO,
        };
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.after(pause, RelayEvent::Round { lane }, scheduler);
    }
}

/// What an answer says of a message, as the SDK's client reads its status.
fn told(heard: &Heard) -> Told {
    let away = |why: &str| Told::Away { why: why.to_owned(), asked: None };
    let reply = match heard {
        Heard::Reply(reply) => reply,
        Heard::Nothing | Heard::TooBusy | Heard::Try(_) | Heard::Worked(_) => {
            return away("no answer");
        }
    };
    match &**reply {
        Reply::Transaction { snapshot, .. }
        | Reply::Branch { snapshot, .. }
        | Reply::Branches { snapshot, .. } => Told::Has(snapshot.transaction.status()),
        Reply::Refused(refusal) => match refusal {
            Refusal::NotFound => Told::Unknown,
            Refusal::Elsewhere(_)
            | Refusal::JournalUnavailable
            | Refusal::NotAccepted
            | Refusal::TooManyTransactions { .. }
            | Refusal::TooManyBytes { .. }
            | Refusal::TooManyPagedOut { .. } => away("overloaded"),
            Refusal::Quarantined => Told::Odd("quarantined".to_owned()),
            other => Told::Refused(format!("{other:?}")),
        },
    }
}
