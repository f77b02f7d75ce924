//! Drives a core by hand: one line per event, the time given.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Ask, Call, Change, Commands, Core, Engine, EngineSettings, Event, Input, Record, Reply,
    ReplyKind, ReplyTo, Request, Rules, StoredTransaction, Until, Wait,
};
use tercet_wire::{Answer, BranchResult, Epoch, Gid, Mono, Now, Seq, Spec};

use super::content;

/// The moment a test begins at.
pub(crate) const START: Mono = Mono(1_000_000);

pub(crate) struct Driver {
    pub(crate) core: Core,
    pub(crate) now: Now,
    /// All that it had the journal write.
    pub(crate) records: Vec<Record>,
    last_reply: u64,
    events: u64,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self::with(EngineSettings::default())
    }

    pub(crate) fn with(settings: EngineSettings) -> Self {
        let engine = Engine::new(Epoch(1), settings);
        Self {
            core: Core::new(engine, Duration::from_secs(5)),
            now: Now { mono: START, wall: content::CREATED_AT, entropy: 0 },
            records: Vec::new(),
            last_reply: 0,
            events: 0,
        }
    }

    pub(crate) fn rules(rules: Rules) -> Self {
        Self::with(EngineSettings { rules, ..EngineSettings::default() })
    }

    pub(crate) fn event(&mut self, event: Event) -> Commands {
        let commands = self.core.step(event, self.now);
        // It looks at all that is live, and a test may have thousands.
        self.events += 1;
        self.records.extend(commands.append.iter().cloned());
        if self.events < 1_000 || self.events.is_multiple_of(100) {
            assert_eq!(self.core.engine().check(), Ok(()));
        }
        commands
    }

    pub(crate) fn input(&mut self, input: Input) -> Commands {
        self.event(Event::Input(input))
    }

    /// Asks, waiting for at most ten seconds.
    pub(crate) fn ask(&mut self, gid: &Gid, ask: Ask, until: Until) -> Commands {
        self.last_reply += 1;
        let reply_to = ReplyTo(self.last_reply);
        let wait = Wait { until, give_up: self.now.mono.after(Duration::from_secs(10)) };
        let gid = gid.clone();
        self.input(Input::Request(Request { reply_to, gid, ask, wait }))
    }

    pub(crate) fn begin(&mut self, spec: &Arc<Spec>, until: Until) -> Commands {
        let ask = Ask::Begin { spec: Arc::clone(spec), fresh: true };
        self.ask(&spec.gid, ask, until)
    }

    /// Somebody begins what is there already: for a moment others are looked up before anything is written of them.
    pub(crate) fn meets_a_taken_gid(&mut self) {
        let taken = super::content::spec("taken", true, vec![]);
        assert_eq!(records(&self.begin(&taken, Until::Accepted)), ["Begun"]);
        let again = self.input(Input::Exists(taken.gid.clone()));
        assert_eq!(again.loads, std::slice::from_ref(&taken.gid));
    }

    pub(crate) fn read(&mut self, gid: &Gid) -> Commands {
        self.ask(gid, Ask::Read, Until::Accepted)
    }

    /// Everything written so far becomes durable.
    pub(crate) fn durable(&mut self) -> Commands {
        let last = self.core.engine().last_record();
        self.durable_to(last.0)
    }

    pub(crate) fn durable_to(&mut self, seq: u64) -> Commands {
        self.input(Input::Durable(Seq(seq)))
    }

    pub(crate) fn answer(&mut self, call: &Call, code: u16) -> Commands {
        let answer = Answer::Status { code, retry_after: None, excerpt: String::new() };
        self.input(Input::Answered(call.ticket.clone(), answer))
    }

    /// The participant has done it, and answered with this.
    pub(crate) fn answer_with(&mut self, call: &Call, body: &str) -> Commands {
        let result = BranchResult::of_body(body.as_bytes());
        let answer = Answer::Result { code: 200, result };
        self.input(Input::Answered(call.ticket.clone(), answer))
    }

    /// The rows of a transaction, once all of it is written.
    pub(crate) fn rows(&self, gid: &Gid) -> StoredTransaction {
        let mut of_it = self.records.iter().filter(|record| record.gid == *gid);
        let Some(Change::Begun(spec)) = of_it.next().map(|record| &record.change) else {
            panic!("{gid} was not begun");
        };
        let mut rows = StoredTransaction::begun(Arc::clone(spec));
        for record in of_it {
            rows.apply(&record.change).expect("it fits");
        }
        rows
    }

    /// The process dies once all is written, and another takes up what is unfinished of this.
    pub(crate) fn restart(&mut self, gid: &Gid) -> Commands {
        self.restart_with(gid, EngineSettings::default())
    }

    pub(crate) fn restart_with(&mut self, gid: &Gid, settings: EngineSettings) -> Commands {
        let rows = self.rows(gid);
        let engine = Engine::new(Epoch(2), settings);
        self.core = Core::new(engine, Duration::from_secs(5));
        self.input(Input::Adopt(Box::new(rows)))
    }

    /// Begins, durably, and returns the Try calls.
    pub(crate) fn begun(&mut self, spec: &Arc<Spec>) -> Vec<Call> {
        self.begin(spec, Until::Finished);
        self.durable().calls
    }

    /// Time passes, and is told.
    pub(crate) fn pass(&mut self, ms: u64) -> Commands {
        self.now.mono = Mono(self.now.mono.0 + ms);
        self.now.wall = self.now.wall.after(Duration::from_millis(ms));
        self.input(Input::Tick)
    }

    /// When the core next wants to be woken, from now.
    pub(crate) fn next_in_ms(&self) -> Option<u64> {
        let at = self.core.next_deadline()?;
        Some(at.0.saturating_sub(self.now.mono.0))
    }
}

/// The calls, as `branch op attempt`.
pub(crate) fn calls(commands: &Commands) -> Vec<String> {
    let calls = commands.calls.iter().map(|call| &call.ticket);
    calls.map(|it| format!("{} {} {}", it.branch, it.op, it.attempt)).collect()
}

/// The replies, as `code status` or the refusal, in the order of their requests.
pub(crate) fn replies(commands: &Commands) -> Vec<String> {
    let mut replies: Vec<_> = commands.replies.iter().collect();
    replies.sort_by_key(|(reply_to, _)| *reply_to);
    replies
        .into_iter()
        .map(|(reply_to, reply)| format!("{} {}", reply_to.0, in_short(reply)))
        .collect()
}

fn in_short(reply: &Reply) -> String {
    let code = |told: &ReplyKind| match told {
        ReplyKind::Created => 201,
        ReplyKind::Reached => 200,
        ReplyKind::NotYet => 202,
    };
    match reply {
        Reply::Transaction { told, snapshot } => {
            format!("{} {}", code(told), snapshot.transaction.status())
        }
        Reply::Branch { told, snapshot, branch } => {
            let view = snapshot.branch_view(branch).expect("the branch");
            format!("{} {branch} {}", code(told), view.status)
        }
        Reply::Branches { told, snapshot, branches } => {
            let view = |id| snapshot.branch_view(id).expect("the branch");
            let each = branches.iter().map(|id| format!("{id} {}", view(id).status));
            format!("{} {}", code(told), each.collect::<Vec<_>>().join(", "))
        }
        Reply::Refused(refusal) => format!("{refusal:?}"),
    }
}

/// The records, by the name of their change; of an act, of what it changed.
pub(crate) fn records(commands: &Commands) -> Vec<String> {
    commands.append.iter().flat_map(|record| record.change.parts()).map(name).collect()
}

/// Changes by their names.
pub(crate) fn names(changes: &[Change]) -> Vec<String> {
    changes.iter().map(name).collect()
}

fn name(change: &Change) -> String {
    let text = format!("{change:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
