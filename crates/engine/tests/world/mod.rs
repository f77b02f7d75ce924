//! A whole world in one value: the real core, a journal, a network, participants with a
//! guard, and an initiator. Deterministic, cloneable and hashable, so that a test can script
//! it and the model can explore all of it.

#![allow(dead_code, reason = "each test that includes this uses its own part")]

pub(crate) mod content;
pub(crate) mod driver;
pub(crate) mod node;
pub(crate) mod participant;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use participant::Participant;
use tercet_engine::{
    Ask, Commands, Core, Decision, Engine, EngineSettings, Event, Input, Load, Record, Reply,
    ReplyKind, ReplyTo, Request, Rules, StoredTransaction, Ticket, Until, Wait,
    invariants::{
        call_follows_its_delay, call_follows_the_journal, call_follows_the_order,
        call_follows_the_results, call_goes_where_the_journal_says, decision_is_final,
        reply_follows_the_journal, several_came_whole,
    },
};
use tercet_wire::{
    Answer, BranchId, BranchResult, Epoch, Gid, Mono, Now, Op, Reason, ResolvedAs, Seq, Spec, Wall,
};

/// Long enough that no wait of a request runs out by itself.
const NEVER: Mono = Mono(u64::MAX);

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    /// Those that only wait and may stay in memory.
    in_memory: usize,
    pub(crate) core: Core,
    pub(crate) now: Now,
    pub(crate) epoch: u64,
    /// Records the journal has been given and has not written.
    pub(crate) queue: VecDeque<Record>,
    /// What the journal has written.
    pub(crate) rows: BTreeMap<Gid, StoredTransaction>,
    /// The last record written that the core has not been told of.
    pub(crate) untold: Option<Seq>,
    /// The gid of a transaction that begins, which another was found to have.
    taken: Option<Gid>,
    /// Calls on their way to participants.
    pub(crate) calls: Vec<(Ticket, Op)>,
    /// Answers on their way back.
    pub(crate) answers: Vec<(Ticket, Answer)>,
    pub(crate) participants: BTreeMap<BranchId, Participant>,
    /// What the initiator's own books say of the transaction.
    pub(crate) books: Books,
    /// Requests without a reply, to be repeated after a crash.
    pub(crate) waiting: BTreeMap<ReplyTo, Asked>,
    pub(crate) replies: Vec<(Asked, String)>,
    next_reply: u64,
    /// Whether what Tries are answered with is kept.
    keeps_results: bool,
    /// Whether the wall clock was set, so that it says nothing of what was put off.
    clock_was_set: bool,
    /// The first promise that was seen broken.
    pub(crate) broken: Option<String>,
}

/// What an initiator's own database says of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Books {
    /// Nothing yet.
    #[default]
    Nothing,
    /// Its business is committed.
    Done,
    /// Its business can no longer be committed.
    Never,
}

/// What the initiator asks, or an operator, as data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Asked {
    Begin,
    Register(&'static str),
    RegisterAtOnce(Vec<&'static str>),
    Confirm,
    Cancel,
    Resolve(&'static str, ResolvedAs),
    Readdress(&'static str),
}

impl Asked {
    /// The branches it registers.
    pub(crate) fn registers(&self) -> Vec<&'static str> {
        match self {
            Self::Register(id) => vec![*id],
            Self::RegisterAtOnce(ids) => ids.clone(),
            Self::Begin | Self::Confirm | Self::Cancel | Self::Resolve(..) | Self::Readdress(_) => {
                Vec::new()
            }
        }
    }
}

impl World {
    pub(crate) fn new(rules: Rules, spec: &Spec, others: &[&'static str]) -> Self {
        let begun = spec.branches.iter().map(|branch| {
            let without_try = branch.url(Op::Try).is_none();
            (branch.id.clone(), Participant::new(without_try))
        });
        let others = others.iter().map(|id| (id.parse().expect("an id"), Participant::default()));
        Self {
            core: core(&rules, 1, PLENTY),
            rules,
            in_memory: PLENTY,
            clock_was_set: false,
            now: Now { mono: Mono(1_000), wall: content::CREATED_AT, entropy: 0 },
            epoch: 1,
            queue: VecDeque::new(),
            rows: BTreeMap::new(),
            untold: None,
            taken: None,
            calls: Vec::new(),
            answers: Vec::new(),
            participants: begun.chain(others).collect(),
            books: Books::default(),
            waiting: BTreeMap::new(),
            replies: Vec::new(),
            next_reply: 0,
            keeps_results: spec.branches.iter().any(|branch| branch.results()),
            broken: None,
        }
    }

    /// The same, with room in memory for so many that only wait.
    pub(crate) fn with_room_for(self, in_memory: usize) -> Self {
        Self { core: core(&self.rules, self.epoch, in_memory), in_memory, ..self }
    }

    /// The wall clock is set back.
    pub(crate) fn set_the_clock_back(&mut self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now.wall = Wall(self.now.wall.0 - by);
        self.clock_was_set |= by > 0;
    }

    pub(crate) fn ask(&mut self, spec: &Arc<Spec>, asked: Asked) {
        self.next_reply += 1;
        let reply_to = ReplyTo(self.next_reply);
        // What somebody waits for stays in memory.
        let end = if self.in_memory == 0 { Until::Accepted } else { Until::Finished };
        let (ask, until) = match &asked {
            Asked::Begin => {
                // Each begin has an instance of its own; of those that nobody has one is as good as another.
                let spec = match self.rows.contains_key(&spec.gid) {
                    true => content::of_another_life(spec, 0),
                    false => Arc::clone(spec),
                };
                (Ask::Begin { spec, fresh: false }, end)
            }
            Asked::Register(id) => (Ask::Register(Box::new(content::new_branch(id))), Until::Tried),
            Asked::RegisterAtOnce(ids) => {
                (Ask::RegisterAtOnce(content::at_once(ids)), Until::Tried)
            }
            Asked::Confirm => (Ask::Confirm, Until::Finished),
            Asked::Cancel => (Ask::Cancel { detail: None, if_unknown: None }, Until::Finished),
            Asked::Resolve(id, as_) => {
                let word = content::resolution(id, *as_);
                (Ask::Resolve(Box::new(word)), Until::Accepted)
            }
            Asked::Readdress(id) => {
                let word = content::readdressing(id, 7_399);
                (Ask::Readdress(Box::new(word)), Until::Accepted)
            }
        };
        self.waiting.insert(reply_to, asked);
        let wait = Wait { until, give_up: NEVER };
        let request = Request { reply_to, gid: spec.gid.clone(), ask, wait };
        self.step(Event::Input(Input::Request(request)));
    }

    /// The journal writes the next record. The core is not told yet.
    pub(crate) fn write_one(&mut self) {
        let Some(record) = self.queue.pop_front() else { return };
        self.untold = Some(record.seq);
        let holder = self.rows.get(&record.gid).map(|rows| rows.spec.instance);
        if holder.is_some_and(|holder| holder != record.instance) {
            // Of a life whose gid is another's nothing is written; it hears so once.
            let begins = matches!(record.change, tercet_engine::Change::Begun(_));
            self.taken = begins.then_some(record.gid).or(self.taken.take());
            return;
        }
        match (self.rows.get_mut(&record.gid), &record.change) {
            (None, tercet_engine::Change::Begun(spec)) => {
                self.rows.insert(record.gid.clone(), StoredTransaction::begun(Arc::clone(spec)));
            }
            (None, change) => self.note(Err(format!("written before it was begun: {change:?}"))),
            (Some(rows), change) => {
                let before = rows.clone();
                let applied = rows.apply(change).map_err(|misfit| misfit.to_string());
                let is_final =
                    decision_is_final(&before, rows).map_err(|broken| broken.to_string());
                let whole = several_came_whole(rows).map_err(|broken| broken.to_string());
                self.note(applied.and(is_final).and(whole));
            }
        }
    }

    /// The core learns what has been written.
    pub(crate) fn tell_durable(&mut self) {
        if let Some(gid) = self.taken.take() {
            self.step(Event::Input(Input::Exists(gid)));
        }
        if let Some(seq) = self.untold.take() {
            self.step(Event::Input(Input::Durable(seq)));
        }
    }

    /// A call arrives and is answered; the answer is on its way. `keep`: the network delivers
    /// it once more later.
    pub(crate) fn deliver_call(&mut self, index: usize, refuse: bool, keep: bool) {
        let (ticket, op) = self.calls[index].clone();
        if !keep {
            self.calls.remove(index);
        }
        if ticket.asks {
            return self.ask_the_initiator(ticket);
        }
        let participant = self.participants.get_mut(&ticket.branch).expect("a participant");
        let code = match participant.called(op, refuse) {
            Ok(code) => code,
            Err(why) => {
                self.note(Err(format!("{}: {why}", ticket.branch)));
                return;
            }
        };
        let answer = match (op, code) {
            // Another one each time: what was durable first is what counts.
            (Op::Try, 200) if self.keeps_results => {
                let body = format!("{}.{}", ticket.epoch.0, ticket.attempt);
                Answer::Result { code, result: BranchResult::of_body(body.as_bytes()) }
            }
            _ => Answer::Status { code, retry_after: None, excerpt: String::new() },
        };
        self.add_answer(ticket, answer);
    }

    /// It answers from its books; what is not there is written never to be.
    fn ask_the_initiator(&mut self, ticket: Ticket) {
        let code = match self.books {
            Books::Done => 200,
            Books::Nothing | Books::Never => {
                self.books = Books::Never;
                404
            }
        };
        self.add_answer(ticket, Answer::Status { code, retry_after: None, excerpt: String::new() });
    }

    /// Whether the rows say no other than the initiator's books.
    pub(crate) fn agrees_with_the_books(&self) -> bool {
        self.rows.values().filter(|rows| rows.spec.check().is_some()).all(|rows| {
            match rows.decision() {
                Some(Decision::Confirm) => self.books == Books::Done,
                Some(Decision::Cancel { reason: Reason::Check, .. }) => self.books == Books::Never,
                Some(Decision::Cancel { .. }) | None => true,
            }
        })
    }

    /// A call is lost: its caller hears nothing.
    pub(crate) fn lose_call(&mut self, index: usize) {
        let (ticket, _) = self.calls.remove(index);
        self.add_answer(ticket, Answer::Nothing { why: "timeout".to_owned() });
    }

    /// The call was made, its answer is lost.
    pub(crate) fn lose_answer(&mut self, index: usize) {
        self.answers[index].1 = Answer::Nothing { why: "timeout".to_owned() };
        self.answers.sort_by(|a, b| a.0.cmp(&b.0));
    }

    pub(crate) fn deliver_answer(&mut self, index: usize) {
        let (ticket, answer) = self.answers.remove(index);
        self.step(Event::Input(Input::Answered(ticket, answer)));
    }

    /// Time passes until something is due.
    pub(crate) fn pass_time(&mut self) -> bool {
        let Some(due) = self.core.next_deadline().filter(|due| *due != NEVER) else { return false };
        let passed = due.since(self.now.mono);
        self.now.mono = self.now.mono.max(due);
        self.now.wall = self.now.wall.after(passed);
        self.step(Event::Input(Input::Tick));
        true
    }

    /// The process dies and starts again: what was not written is gone, what is under way in
    /// the network stays so, and whoever waits hears nothing.
    pub(crate) fn crash(&mut self) -> Vec<Asked> {
        self.queue.clear();
        (self.untold, self.taken) = (None, None);
        self.epoch += 1;
        self.core = core(&self.rules, self.epoch, self.in_memory);
        let unanswered = std::mem::take(&mut self.waiting).into_values().collect();
        for stored in self.rows.values().cloned().collect::<Vec<_>>() {
            if !stored.status.is_finished() {
                self.step(Event::Input(Input::Adopt(Box::new(stored))));
            }
        }
        unanswered
    }

    /// For the model: what was answered has been checked; keeping it would only tell apart
    /// states that do not differ.
    pub(crate) fn forget_what_was_said(&mut self) {
        self.replies.clear();
    }

    fn step(&mut self, event: Event) {
        let commands = self.core.step(event, self.now);
        self.note(self.core.engine().check().map_err(|broken| broken.to_string()));
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Commands) {
        let Commands { append, calls, replies, loads, alarms, page_requests, .. } = commands;
        self.queue.extend(append);
        for call in calls {
            let rows = self.rows.get(&call.ticket.gid);
            self.note(call_follows_the_journal(&call, rows).map_err(|broken| broken.to_string()));
            let goes = call_goes_where_the_journal_says(&call, self.rows.get(&call.ticket.gid));
            self.note(goes.map_err(|broken| broken.to_string()));
            let in_time = call_follows_its_delay(&call, self.rows.get(&call.ticket.gid), self.now);
            if !self.clock_was_set {
                self.note(in_time.map_err(|broken| broken.to_string()));
            }
            let in_turn = call_follows_the_order(&call, self.rows.get(&call.ticket.gid));
            self.note(in_turn.map_err(|broken| broken.to_string()));
            let told = call_follows_the_results(&call, self.rows.get(&call.ticket.gid));
            self.note(told.map_err(|broken| broken.to_string()));
            let op = call.ticket.op;
            self.calls.push((call.ticket, op));
            self.calls.sort();
        }
        for (reply_to, reply) in replies {
            if let Some(asked) = self.waiting.remove(&reply_to) {
                self.check_reply(&reply);
                self.check_resolved(&asked, &reply);
                self.replies.push((asked, in_short(&reply)));
            }
        }
        for (gid, why) in alarms {
            self.note(Err(format!("{gid} was quarantined: {why}")));
        }
        for gid in loads {
            let load = match self.rows.get(&gid) {
                None => Load::Nothing,
                Some(stored) => Load::Found(Box::new(stored.clone())),
            };
            self.step(Event::Input(Input::Loaded(gid, load)));
        }
        for page in page_requests {
            let rests = |stored: &&StoredTransaction| {
                stored.status.is_decided() && !stored.status.is_finished()
            };
            let gids = self.rows.values().filter(rests).map(|stored| stored.spec.gid.clone());
            let later = gids.filter(|gid| page.after.as_ref().is_none_or(|after| gid > after));
            let page = later.collect();
            self.step(Event::Input(Input::PageOfGids(page)));
        }
    }

    fn check_reply(&mut self, reply: &Reply) {
        for (gid, rows) in self.rows.clone() {
            let follows = reply_follows_the_journal(&gid, reply, Some(&rows));
            self.note(follows.map_err(|broken| broken.to_string()));
        }
        if let Reply::Transaction { snapshot, .. }
        | Reply::Branch { snapshot, .. }
        | Reply::Branches { snapshot, .. } = reply
        {
            let transaction = &snapshot.transaction;
            if !self.rows.contains_key(transaction.gid()) {
                self.note(Err("told of a transaction that is not durable".to_owned()));
            }
            if transaction.status().is_finished() {
                let decision = transaction.decision().map(tercet_engine::Decision::op);
                let untold = transaction.branches().iter().find(|branch| {
                    let participant = self.participants.get(branch.id());
                    let called = decision.is_some_and(|op| branch.spec().url(op).is_some());
                    let by_hand = branch.resolved_as().is_some();
                    called
                        && !by_hand
                        && !branch.is_skipped()
                        && participant.is_some_and(|it| it.acknowledged() != decision)
                });
                if let Some(branch) = untold {
                    self.note(Err(format!("told finished, but {} was not called", branch.id())));
                }
            }
        }
    }

    /// Whoever hears that a branch is resolved acts on it, so no call to it may be under way, unless
    /// that has had two seconds.
    fn check_resolved(&mut self, asked: &Asked, reply: &Reply) {
        let (Asked::Resolve(id, as_), Reply::Transaction { told: ReplyKind::Reached, snapshot }) =
            (asked, reply)
        else {
            return;
        };
        let id: BranchId = id.parse().expect("an id");
        let branch = snapshot.transaction.branch(&id);
        let resolved = branch.and_then(|branch| branch.resolved_as());
        if resolved != Some(*as_) {
            self.note(Err(format!("{id} was told to be resolved as {as_}: {resolved:?}")));
        }
        let current = |ticket: &Ticket| ticket.branch == id && ticket.epoch == Epoch(self.epoch);
        let calls = self.calls.iter().map(|(ticket, _)| ticket);
        if let Some(call) =
            calls.chain(self.answers.iter().map(|(ticket, _)| ticket)).find(|it| current(it))
            && call.op == as_.op()
            && !branch.is_some_and(|branch| branch.has_overtaken_call())
        {
            let why = format!("{id} was resolved while its {} was under way", call.op);
            self.note(Err(why));
        }
    }

    fn note(&mut self, result: Result<(), String>) {
        if let (Err(why), None) = (result, &self.broken) {
            self.broken = Some(why);
        }
    }

    fn add_answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
        self.answers.sort_by(|a, b| a.0.cmp(&b.0));
    }

    /// How the transaction ended, in the journal and at the participants.
    pub(crate) fn outcome(&self, gid: &Gid) -> String {
        let status = self.rows.get(gid).map(|rows| rows.status.as_str());
        let participants = self.participants.iter();
        let branch_records =
            self.rows.get(gid).map(|rows| &rows.branch_records[..]).unwrap_or_default();
        let by_hand = |id: &BranchId| {
            let row = branch_records.iter().find(|row| row.branch == *id);
            let resolved_as = row.and_then(|row| row.resolved_as);
            resolved_as.map(|as_| format!(" ({as_} by hand)")).unwrap_or_default()
        };
        let states =
            participants.map(|(id, state)| format!("{id}={}{}", state.in_short(), by_hand(id)));
        format!("{} {}", status.unwrap_or("absent"), states.collect::<Vec<_>>().join(" "))
    }
}

/// More than wait in any test.
const PLENTY: usize = 10_000;

fn core(rules: &Rules, epoch: u64, in_memory: usize) -> Core {
    let settings = EngineSettings {
        rules: rules.clone(),
        in_memory_waiting_transactions: in_memory,
        load_within: Duration::from_millis(u64::MAX),
        ..EngineSettings::default()
    };
    // For ever: here the journal is only ever slow, and nobody is told so.
    Core::new(Engine::new(Epoch(epoch), settings), Duration::from_millis(u64::MAX))
}

fn in_short(reply: &Reply) -> String {
    let told = |told: &ReplyKind| match told {
        ReplyKind::Created => 201,
        ReplyKind::Reached => 200,
        ReplyKind::NotYet => 202,
    };
    match reply {
        Reply::Transaction { told: code, snapshot } => {
            format!("{} {}", told(code), snapshot.transaction.status())
        }
        Reply::Branch { told: code, snapshot, branch } => {
            let view = snapshot.branch_view(branch).expect("the branch");
            format!("{} {} {}", told(code), branch, view.status)
        }
        Reply::Branches { told: code, snapshot, branches } => {
            let view = |id| snapshot.branch_view(id).expect("the branch");
            let each = branches.iter().map(|id| format!("{id} {}", view(id).status));
            format!("{} {}", told(code), each.collect::<Vec<_>>().join(", "))
        }
        Reply::Refused(refusal) => format!("{refusal:?}"),
    }
}

/// The wall time of the end of a transaction's time.
pub(crate) fn deadline(spec: &Spec) -> Wall {
    spec.deadline_at
}
