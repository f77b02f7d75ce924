//! The dispatcher: the real line of each destination, and for each call that has its turn one
//! answer or the end of patience.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_engine::{
    Admission, BreakerSettings, Call, Destination, Expired, Line, LineSettings, Moved, Next,
    Offered, Room, Ticket, Turn, Turned, Vacancy, health,
};
use tercet_wire::{Answer, Now};

use crate::content::{quantity_of, service_of};
use crate::coverage::Sometimes;
use crate::happening::{Arriving, Caller, Happening};
use crate::network;
use crate::node::life::millis;
use crate::stage::Stage;

/// Path segments that tell destinations apart.
pub(super) const PATH_SEGMENTS: usize = 1;

/// A probe may be under way beyond what a destination may take; as in the line.
const SPARE: usize = 8;

/// All destinations of one life.
#[derive(Debug)]
pub(crate) struct Dispatch {
    life: u64,
    settings: LineSettings,
    lines: BTreeMap<Destination, Line<Call>>,
    under_way: BTreeMap<u64, Exchange>,
    next: u64,
}

/// A call that has its turn.
#[derive(Debug)]
struct Exchange {
    at: Destination,
    ticket: Ticket,
    turn: Turn,
}

/// What the coordinator is told.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) answers: Vec<(Ticket, Answer)>,
    pub(super) vacancies: Vec<Vacancy>,
}

impl Dispatch {
    pub(super) fn new(life: u64, stage: &Stage) -> Self {
        let plan = &stage.plan.dispatch;
        let settings = LineSettings {
            concurrency: plan.concurrency,
            queue_entries: plan.queue,
            queue_bytes: 1 << 20,
            breaker: BreakerSettings {
                failures: plan.breaker_failures,
                probe_every: Duration::from_millis(250),
                probe_timeout: Duration::from_secs(1),
            },
        };
        Self { life, settings, lines: BTreeMap::new(), under_way: BTreeMap::new(), next: 0 }
    }

    /// Makes a call, or keeps it until it is its turn, or has no room for it.
    pub(super) fn send(
        &mut self,
        call: Call,
        now: Now,
        stage: &mut Stage,
    ) -> Result<(), (Ticket, Option<Destination>)> {
        let Some(url) = call.branch.url(call.ticket.op) else {
            stage.broke(format!("{}: a leg was called that is not there", call.ticket.gid));
            return Ok(());
        };
        if self.under_way.len() >= stage.plan.dispatch.inbox {
            stage.saw(Sometimes::NoRoomInTheInbox);
            return Err((call.ticket, None));
        }
        let at = Destination::of(url, PATH_SEGMENTS);
        let line = self.lines.entry(at.clone()).or_insert_with(|| Line::new(self.settings));
        match line.offer(Offered::of(call, |call| call), now.mono, now.luck) {
            Admission::Now(next) => self.make(&at, next, stage),
            Admission::Queued => stage.saw(Sometimes::Queued),
            Admission::Full(offered) => {
                stage.saw(Sometimes::NoRoom);
                return Err((offered.call.ticket, Some(at)));
            }
        }
        Ok(())
    }

    /// Gives back a call that waits for its turn, if it does.
    pub(super) fn retract(&mut self, ticket: &Ticket, stage: &mut Stage) -> Option<Ticket> {
        let mut lines = self.lines.values_mut();
        let found = lines.find_map(|line| line.retract(|call| call.ticket == *ticket))?;
        stage.saw(Sometimes::Retracted);
        Some(found.call.ticket)
    }

    /// Has the room of a destination told once there is any.
    pub(super) fn await_room(&mut self, at: Destination, now: Now, stage: &mut Stage) -> News {
        stage.saw(Sometimes::AwaitedRoom);
        let line = self.lines.entry(at.clone()).or_insert_with(|| Line::new(self.settings));
        let room = line.await_room(now.mono);
        News { vacancies: vacancy(at, room, stage).into_iter().collect(), ..News::default() }
    }

    /// A call has ended; its place goes to another.
    pub(super) fn ended(
        &mut self,
        exchange: u64,
        answer: Answer,
        now: Now,
        stage: &mut Stage,
    ) -> Option<News> {
        let Exchange { at, ticket, turn } = self.under_way.remove(&exchange)?;
        let line = self.lines.get_mut(&at)?;
        let moved = line.ended(turn, health(&answer), &ticket.gid, now.mono, now.luck);
        let mut news = self.attend(&at, moved, stage);
        news.answers.push((ticket, answer));
        Some(news)
    }

    /// Comes back to the lines that asked for it.
    pub(super) fn wake(&mut self, now: Now, stage: &mut Stage) -> News {
        let mut news = News::default();
        let is_due = |line: &Line<Call>| line.next_wake().is_some_and(|at| at <= now.mono);
        let due = self.lines.iter().filter(|(_, line)| is_due(line));
        let due: Vec<Destination> = due.map(|(at, _)| at.clone()).collect();
        for at in due {
            let Some(line) = self.lines.get_mut(&at) else { continue };
            let moved = line.wake(now.mono, now.luck);
            if line.next_wake().is_some_and(|at| at <= now.mono) {
                stage.broke(format!("the line of {at} asks to be woken again at once"));
            }
            let more = self.attend(&at, moved, stage);
            news.answers.extend(more.answers);
            news.vacancies.extend(more.vacancies);
        }
        news
    }

    pub(super) fn next_wake(&self) -> Option<tercet_wire::Mono> {
        self.lines.values().filter_map(Line::next_wake).min()
    }

    /// P9: so many calls under way to one participant, so many waiting, and no more.
    pub(crate) fn within_bounds(&self, stage: &mut Stage) {
        let LineSettings { concurrency, queue_entries, .. } = self.settings;
        for (at, line) in &self.lines {
            let under_way = self.under_way.values().filter(|exchange| exchange.at == *at);
            let (probes, calls): (Vec<_>, Vec<_>) =
                under_way.partition(|exchange| exchange.turn.is_probe());
            if calls.len() > concurrency.max(1) || probes.len() > SPARE {
                stage.broke(format!("{at} has {} calls at once", calls.len() + probes.len()));
            }
            if line.waiting() > queue_entries {
                stage.broke(format!("{} calls wait for {at}", line.waiting()));
            }
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.lines.values().all(|line| line.waiting() == 0)
    }

    fn attend(&mut self, at: &Destination, moved: Moved<Call>, stage: &mut Stage) -> News {
        let Moved { next, expired, room, turned } = moved;
        for next in next {
            self.make(at, next, stage);
        }
        match turned {
            Some(Turned::Opened) => stage.saw(Sometimes::BreakerOpened),
            Some(Turned::Closed { .. }) => stage.saw(Sometimes::BreakerClosed),
            None => {}
        }
        let answers = expired.into_iter().map(|Expired { offered, waited }| {
            stage.saw(Sometimes::ExpiredBehindABreaker);
            let why = format!("waited {} ms behind its open breaker", waited.as_millis());
            (offered.call.ticket, Answer::Nothing { why })
        });
        let answers = answers.collect();
        News { answers, vacancies: vacancy(at.clone(), room, stage).into_iter().collect() }
    }

    fn make(&mut self, at: &Destination, next: Next<Call>, stage: &mut Stage) {
        let Next { offered, turn } = next;
        if turn.is_probe() {
            stage.saw(Sometimes::Probe);
        }
        self.next += 1;
        let (life, exchange) = (self.life, self.next);
        let Call { ticket, branch, deadline_at, .. } = offered.call;
        stage.after(millis(branch.timeout), Happening::CallGivenUp { life, exchange });
        let Ok(legs) = branch.legs().parse() else { return };
        let made = Exchange { at: at.clone(), ticket: ticket.clone(), turn };
        self.under_way.insert(exchange, made);
        let arriving = Arriving {
            service: service_of(&branch),
            gid: ticket.gid.clone(),
            branch: ticket.branch.clone(),
            instance: ticket.instance,
            op: ticket.op,
            legs,
            deadline: deadline_at,
            quantity: quantity_of(&branch),
            from: Caller::Node { exchange, ticket },
        };
        network::call(arriving, stage);
    }
}

fn vacancy(at: Destination, room: Option<Room>, stage: &mut Stage) -> Option<Vacancy> {
    let Room { places, healed } = room?;
    stage.saw(if healed { Sometimes::Healed } else { Sometimes::RoomTold });
    Some(Vacancy { destination: at, places, healed })
}
