//! A ring whose journal keeps what it is given, and gives it back when it is asked.

use std::collections::BTreeMap;

use tercet_engine::{
    Call, Change, Commands, Destination, EngineSettings, Input, Load, Record, StoredTransaction,
    Until,
};
use tercet_wire::Gid;

use super::content::{branch, gid, spec};
use super::driver::Driver;

/// A driver whose journal keeps what it is given.
pub(crate) struct Node {
    pub(crate) driver: Driver,
    pub(crate) rows: BTreeMap<Gid, StoredTransaction>,
    /// Else what is paged out stays where it is.
    pub(crate) answers_loads: bool,
    /// Else pages that it is asked for are still being read.
    pub(crate) answers_pages: bool,
    /// What it was asked for and has not answered.
    pub(crate) loads: Vec<Gid>,
}

impl Node {
    pub(crate) fn with(settings: EngineSettings) -> Self {
        Self {
            driver: Driver::with(settings),
            rows: BTreeMap::new(),
            answers_loads: false,
            answers_pages: true,
            loads: Vec::new(),
        }
    }

    pub(crate) fn keep(&mut self, records: &[Record]) {
        for record in records {
            match &record.change {
                Change::Begun(spec) => {
                    self.rows.insert(record.gid.clone(), StoredTransaction::begun(spec.clone()));
                }
                change => {
                    let rows = self.rows.get_mut(&record.gid).expect("begun before");
                    rows.apply(change).expect("it fits");
                }
            }
        }
    }

    /// The journal does what it is asked, until nothing follows from it; calls and replies
    /// are returned.
    pub(crate) fn advance(&mut self, mut todo: Commands) -> Commands {
        let mut all = Commands::default();
        loop {
            self.keep(&todo.append);
            all.calls.append(&mut todo.calls);
            all.replies.append(&mut todo.replies);
            self.loads.append(&mut todo.loads);
            let sweep = todo.page_requests.pop().filter(|_| self.answers_pages);
            todo = if let Some(sweep) = sweep {
                assert!(todo.page_requests.is_empty(), "one page at a time");
                self.driver.input(Input::PageOfGids(self.page(sweep.after.as_ref())))
            } else if !self.loads.is_empty() && self.answers_loads {
                let mut next = Commands::default();
                for gid in std::mem::take(&mut self.loads) {
                    let load = Load::Found(Box::new(self.rows[&gid].clone()));
                    let found = self.driver.input(Input::Loaded(gid, load));
                    next.append.extend(found.append);
                    next.calls.extend(found.calls);
                    next.replies.extend(found.replies);
                    next.page_requests.extend(found.page_requests);
                }
                next
            } else if todo.append.is_empty() {
                return all;
            } else {
                self.driver.durable()
            };
        }
    }

    pub(crate) fn page(&self, after: Option<&Gid>) -> Vec<Gid> {
        let unfinished = self
            .rows
            .values()
            .filter(|rows| rows.status.is_decided() && !rows.status.is_finished());
        let gids = unfinished.map(|rows| &rows.spec.gid);
        gids.filter(|gid| after.is_none_or(|after| *gid > after)).take(7).cloned().collect()
    }

    pub(crate) fn input(&mut self, input: Input) -> Commands {
        let commands = self.driver.input(input);
        self.advance(commands)
    }

    /// A transaction that is confirming and finds no room; nobody waits for it.
    pub(crate) fn stuck(&mut self, id: &str) -> (Call, Commands) {
        self.stuck_at(id, "a")
    }

    pub(crate) fn stuck_at(&mut self, id: &str, at: &str) -> (Call, Commands) {
        let begun = self.driver.begin(&spec(id, false, vec![branch(at, 0)]), Until::Accepted);
        let tries = self.advance(begun).calls;
        let tried = self.driver.answer(&tries[0], 200);
        let confirm = self.advance(tried).calls.remove(0);
        let no_room = Input::NotSent(confirm.ticket.clone(), Some(destination(&confirm)));
        let commands = self.input(no_room);
        (confirm, commands)
    }

    /// Whether the journal is asked for it within some seconds.
    pub(crate) fn is_looked_for(&mut self, gid: &Gid) -> bool {
        (0..10).any(|_| {
            self.loads.clear();
            let passed = self.driver.pass(500);
            self.advance(passed);
            self.loads.contains(gid)
        })
    }

    pub(crate) fn is_live(&self, id: &str) -> bool {
        self.driver.core.engine().transaction(&gid(id)).is_some()
    }
}

pub(crate) fn destination(call: &Call) -> Destination {
    Destination::of(call.branch.url(call.ticket.op).expect("a leg"), 1)
}

/// Of those that only wait two may stay in memory.
pub(crate) fn two_may_wait() -> EngineSettings {
    EngineSettings { in_memory_waiting_transactions: 2, ..EngineSettings::default() }
}
