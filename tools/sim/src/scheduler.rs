//! What everybody in the world shares: the time, what is still to happen, chance, and the place
//! where a broken promise is noted.

use std::collections::BTreeMap;

use crate::coverage::{Coverage, Point};
use crate::log::Log;
use crate::node::LineEnd;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::scheduled_event::ScheduledEvent;

/// What everybody shares.
#[derive(Debug)]
pub(crate) struct Scheduler {
    /// Milliseconds since the world began, on a clock that nobody in it can see.
    pub(crate) now: u64,
    agenda: BTreeMap<(u64, u64), ScheduledEvent>,
    number: u64,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) coverage: Coverage,
    pub(crate) log: Log,
    /// The first promise that was seen broken.
    pub(crate) broken: Option<String>,
    /// Whether all faults have ended.
    pub(crate) healed: bool,
    /// The node of each life so far.
    homes: Vec<usize>,
    /// Whether all faults have ended, every node runs and each transaction has an owner that does:
    /// from then on nobody need watch.
    pub(crate) settled: bool,
    /// Whether the wall clock of a node was ever set.
    pub(crate) clocks_were_set: bool,
    /// For each service when its connections were last cut, and how.
    cuts: BTreeMap<usize, (u64, LineEnd)>,
}

impl Scheduler {
    pub(crate) fn new(mut rng: Rng, log: Log) -> Self {
        let plan = Plan::draw(&mut rng);
        Self {
            now: 0,
            agenda: BTreeMap::new(),
            number: 0,
            rng,
            plan,
            coverage: Coverage::default(),
            log,
            broken: None,
            healed: false,
            homes: Vec::new(),
            settled: false,
            clocks_were_set: false,
            cuts: BTreeMap::new(),
        }
    }

    /// A new life on a node; the first is number 1.
    pub(crate) fn new_life(&mut self, node: usize) -> u64 {
        self.homes.push(node);
        u64::try_from(self.homes.len()).unwrap_or(u64::MAX)
    }

    /// How many lives there were so far.
    pub(crate) fn lives(&self) -> usize {
        self.homes.len()
    }

    /// The node on which a life runs or ran.
    pub(crate) fn home(&self, life: u64) -> usize {
        let place = usize::try_from(life).unwrap_or_default().saturating_sub(1);
        self.homes.get(place).copied().unwrap_or_default()
    }

    /// One of the nodes. Where there is one, chance is not asked.
    pub(crate) fn some_node(&mut self) -> usize {
        match self.plan.cluster.nodes {
            0 | 1 => 0,
            nodes => self.rng.index(nodes),
        }
    }

    /// Whether several nodes share the rows.
    pub(crate) fn is_cluster(&self) -> bool {
        self.plan.cluster.nodes > 1
    }

    /// All connections to a service are dead from now on; those that are made later are not.
    pub(crate) fn cut_lines(&mut self, service: usize, how: LineEnd) {
        self.cuts.insert(service, (self.now, how));
    }

    /// Whether a connection to a service is dead, and how. Servers close those that nobody has
    /// used for a while.
    pub(crate) fn end_of_line(
        &self,
        service: usize,
        made_at: u64,
        used_at: u64,
    ) -> Option<LineEnd> {
        match self.cuts.get(&service) {
            Some((at, how)) if made_at <= *at => Some(*how),
            _ if self.now - used_at > self.plan.net.keep_alive => Some(LineEnd::Closed),
            _ => None,
        }
    }

    /// This is to happen so many milliseconds from now; of two at one moment the one that was
    /// asked for first.
    pub(crate) fn after(&mut self, wait: u64, scheduled_event: ScheduledEvent) {
        self.at(self.now.saturating_add(wait), scheduled_event);
    }

    pub(crate) fn at(&mut self, at: u64, scheduled_event: ScheduledEvent) {
        self.number += 1;
        self.agenda.insert((at.max(self.now), self.number), scheduled_event);
    }

    /// Takes the next happening, and moves the time there.
    pub(crate) fn next(&mut self) -> Option<ScheduledEvent> {
        let ((at, _), scheduled_event) = self.agenda.pop_first()?;
        self.now = at;
        Some(scheduled_event)
    }

    /// Whether this is to be: a fault of so many percent, while there are faults.
    pub(crate) fn fault(&mut self, percent: u64, point: impl Into<Point>) -> bool {
        let happens = !self.healed && self.rng.percent(percent);
        if happens {
            self.saw(point);
        }
        happens
    }

    pub(crate) fn saw(&mut self, point: impl Into<Point>) {
        self.coverage.saw(point.into());
    }

    /// The same, if it is anything.
    pub(crate) fn saw_if_any(&mut self, point: Option<impl Into<Point>>) {
        if let Some(point) = point {
            self.saw(point);
        }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        self.log.note(self.now, line);
    }

    /// A promise was broken. The first one counts.
    pub(crate) fn broke(&mut self, why: impl Into<String>) {
        if self.broken.is_none() {
            let why = why.into();
            self.log.note(self.now, || format!("BROKEN: {why}"));
            self.broken = Some(why);
        }
    }

    pub(crate) fn check<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let Err(broken) = result {
            self.broke(broken.to_string());
        }
    }
}
