//! The generator: one thread, many connections, no waiting for any one of them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rustls::ClientConfig;

use super::counted::Counted;
use super::lane::{Ended, Lane};
use super::pace::Pace;
use super::script::Script;
use crate::clock::{self, Alarm};

/// How long what is under way may take to end when nothing more is begun.
const PATIENCE: Duration = Duration::from_secs(30);
const ALARM: Token = Token(usize::MAX);

/// A load to be put on a coordinator.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    /// Where it listens, each of its nodes.
    pub(crate) addresses: &'a [SocketAddr],
    /// By what, if it speaks TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// What is asked.
    pub(crate) script: &'a Script,
    /// Over how many connections.
    pub(crate) connections: usize,
    /// How fast.
    pub(crate) pace: Pace,
    /// How long nothing is measured yet.
    pub(crate) warm_up: Duration,
    /// How long it lasts then.
    pub(crate) until: Until,
}

/// How long a load lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// For this time.
    Passed(Duration),
    /// For so many transactions.
    Begun(u64),
}

/// An edge of the time that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Measuring begins.
    Begin,
    /// It ends.
    End,
}

impl Load<'_> {
    /// Puts the load on, and waits until all that was begun has ended. `watch` is told when
    /// measuring begins and ends.
    ///
    /// # Errors
    /// The coordinator cannot be reached, or does not answer any more.
    pub(crate) fn run(&self, watch: &mut dyn FnMut(Edge)) -> io::Result<Counted> {
        Generator::new(self)?.run(watch)
    }
}

struct Generator<'a> {
    load: &'a Load<'a>,
    poll: Poll,
    alarm: Alarm,
    lanes: Vec<Lane>,
    idle: Vec<usize>,
    start: Instant,
    begun: u64,
    phase: Phase,
    cpu: Duration,
    counted: Counted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmingUp,
    Measuring,
    Draining,
}

impl<'a> Generator<'a> {
    fn new(load: &'a Load<'a>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let to = (load.addresses, load.tls.as_ref());
        let connect = |lane| Lane::connect(to, poll.registry(), lane);
        let lanes = (0..load.connections).map(connect).collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            load,
            alarm: Alarm::new(poll.registry(), ALARM)?,
            poll,
            idle: (0..lanes.len()).rev().collect(),
            lanes,
            start: clock::now(),
            begun: 0,
            phase: Phase::WarmingUp,
            cpu: Duration::ZERO,
            counted: Counted::nothing(),
        })
    }

    fn run(mut self, watch: &mut dyn FnMut(Edge)) -> io::Result<Counted> {
        let mut events = Events::with_capacity(1024);
        self.start = clock::now();
        loop {
            let now = clock::now();
            self.turn(now, watch);
            if self.phase != Phase::Draining {
                self.begin_what_is_due(now)?;
            } else if self.idle.len() == self.lanes.len() {
                self.count_what_never_began(now);
                return Ok(self.counted);
            }
            if let Some(at) = self.next(now) {
                self.alarm.set(at)?;
            }
            match self.poll.poll(&mut events, Some(PATIENCE)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if events.is_empty() {
                let why = format!("no answer in {PATIENCE:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, why));
            }
            for event in &events {
                if event.token() != ALARM {
                    self.attend(event.token(), event.is_writable())?;
                }
            }
        }
    }

    fn measure_from(&self) -> Instant {
        self.start + self.load.warm_up
    }

    /// When it ends, if time says so.
    fn end(&self) -> Option<Instant> {
        match self.load.until {
            Until::Passed(time) => Some(self.measure_from() + time),
            Until::Begun(_) => None,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        match self.load.until {
            Until::Passed(_) => self.end().is_some_and(|end| now >= end),
            // What is measured then lasts until the last has ended.
            Until::Begun(count) => self.counted.ended >= count,
        }
    }

    fn turn(&mut self, now: Instant, watch: &mut dyn FnMut(Edge)) {
        if self.phase == Phase::WarmingUp && now >= self.measure_from() {
            self.phase = Phase::Measuring;
            watch(Edge::Begin);
            self.cpu = clock::thread_cpu();
        }
        if self.phase == Phase::Measuring && self.is_over(now) {
            self.phase = Phase::Draining;
            self.counted.cpu = clock::thread_cpu().saturating_sub(self.cpu);
            watch(Edge::End);
            self.counted.window = now.saturating_duration_since(self.measure_from());
        }
    }

    /// When something is due although nothing comes.
    fn next(&self, now: Instant) -> Option<Instant> {
        let edge = match self.phase {
            Phase::WarmingUp => Some(self.measure_from()),
            Phase::Measuring => self.end(),
            Phase::Draining => return None,
        };
        let due = self.load.pace.due(self.start, self.begun);
        // One that is overdue waits for a connection, not for time.
        edge.into_iter().chain(due.filter(|due| *due > now)).min()
    }

    fn may_begin(&self) -> bool {
        match self.load.until {
            Until::Passed(_) => self.phase != Phase::Draining,
            Until::Begun(count) => self.begun < count,
        }
    }

    fn begin_what_is_due(&mut self, now: Instant) -> io::Result<()> {
        while self.may_begin() {
            let due = self.load.pace.due(self.start, self.begun);
            if due.is_some_and(|due| due > now) {
                break;
            }
            let Some(lane) = self.idle.pop() else { break };
            // From 1, so that the first is no special one.
            let number = self.begun + 1;
            self.begun += 1;
            let due = due.unwrap_or_else(clock::now);
            if let Err(error) = self.lanes[lane].begin(self.load.script, number, due) {
                self.lost(lane, &error)?;
            }
        }
        Ok(())
    }

    fn attend(&mut self, token: Token, writable: bool) -> io::Result<()> {
        let (lane, node) = Lane::of(token, self.load.addresses.len());
        match self.lanes[lane].attend(self.load.script, node, writable) {
            Ok(None) => {}
            Ok(Some(ended)) => {
                self.ended(ended);
                self.idle.push(lane);
                if self.phase != Phase::Draining {
                    self.begin_what_is_due(clock::now())?;
                }
            }
            Err(error) => self.lost(lane, &error)?,
        }
        Ok(())
    }

    /// A connection is of no more use: others take the place of all that the lane has.
    fn lost(&mut self, lane: usize, why: &io::Error) -> io::Result<()> {
        if let Some(ended) = self.lanes[lane].lost(why) {
            self.ended(ended);
            self.idle.push(lane);
        }
        let to = (self.load.addresses, self.load.tls.as_ref());
        self.lanes[lane] = Lane::connect(to, self.poll.registry(), lane)?;
        Ok(())
    }

    fn ended(&mut self, ended: Ended) {
        let now = clock::now();
        let Ended { due, wrong } = ended;
        if let Some(why) = wrong {
            self.counted.wrong(why);
        }
        self.counted.ended += 1;
        let measuring = self.phase == Phase::Measuring;
        self.counted.measured += u64::from(measuring);
        let counts = match self.load.pace {
            Pace::Closed => measuring,
            Pace::Rate(_) => self.was_measured(due),
        };
        if counts {
            self.counted.latency(now.saturating_duration_since(due));
        }
    }

    /// Whether one that was to begin then was to begin while it was measured.
    fn was_measured(&self, due: Instant) -> bool {
        due >= self.measure_from() && self.end().is_none_or(|end| due < end)
    }

    /// Who was to begin and could not has waited at least until now.
    fn count_what_never_began(&mut self, now: Instant) {
        let mut number = self.begun;
        while let Some(due) = self.load.pace.due(self.start, number)
            && self.end().is_some_and(|end| due < end)
        {
            if self.was_measured(due) {
                self.counted.latency(now.saturating_duration_since(due));
            }
            number += 1;
        }
    }
}
