//! Two nodes, what they write to, and everybody around them, in one value.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tercet_engine::{
    Ask, Call, Commands, Committed, Event, Input, JournalEvent, LifeState, Refusal, Reply, ReplyTo,
    Request, Rules, Suspect, SuspectedFor, TakeOver, TakeOverAnswer, TakeOverStep, Ticket, Until,
    Urgency, Wait,
    invariants::{call_follows_the_journal, call_follows_the_order, reply_follows_the_journal},
};
use tercet_wire::{Answer, BranchId, Gid, Incarnation, Mono, Now, Op, Spec};

use super::life::Life;
use super::rows::Rows;
use crate::world::Asked;
use crate::world::content;
use crate::world::participant::Participant;

const NEVER: Mono = Mono(u64::MAX);

/// Which node.
pub(super) type Place = usize;

/// A request without a reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    asked: Asked,
    by_initiator: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Nodes {
    rules: Rules,
    spec: Arc<Spec>,
    now: Now,
    pub(super) lives: [Option<Life>; 2],
    last_life: i64,
    /// Begins that were left out, since another had their gid.
    left_out: u32,
    pub(super) rows: Rows,
    /// Calls on their way to participants.
    pub(super) calls: Vec<(Ticket, Op)>,
    /// Answers on their way back.
    pub(super) answers: Vec<(Ticket, Answer)>,
    pub(super) participants: BTreeMap<BranchId, Participant>,
    waiting: BTreeMap<(Place, ReplyTo), Waiting>,
    /// What the initiator asks next, of any node, once it waits for nothing. What was refused
    /// since the node cannot say comes again.
    pub(super) to_ask: VecDeque<Asked>,
    /// What somebody else asks.
    pub(super) others: VecDeque<Asked>,
    /// The first promise that was seen broken.
    pub(super) broken: Option<String>,
}

impl Nodes {
    pub(super) fn new(rules: Rules, spec: &Arc<Spec>, asks: &[Asked], others: &[Asked]) -> Self {
        let participant = |id: &BranchId| (id.clone(), Participant::default());
        let mut nodes = Self {
            rules,
            spec: Arc::clone(spec),
            now: Now { mono: Mono(1_000), wall: content::CREATED_AT, entropy: 0 },
            lives: [None, None],
            last_life: 0,
            left_out: 0,
            rows: Rows::default(),
            calls: Vec::new(),
            answers: Vec::new(),
            participants: spec.branches.iter().map(|branch| participant(&branch.id)).collect(),
            waiting: BTreeMap::new(),
            to_ask: asks.iter().cloned().collect(),
            others: others.iter().cloned().collect(),
            broken: None,
        };
        nodes.begins_to_live(0);
        nodes.begins_to_live(1);
        nodes
    }

    /// A node begins a new life. Nothing is its own yet.
    fn begins_to_live(&mut self, place: Place) {
        self.last_life += 1;
        let own = Incarnation(self.last_life);
        self.rows.lives.register(own, if place == 0 { "one" } else { "two" });
        self.lives[place] = Some(Life::new(own, &self.rules, self.now.mono));
    }

    pub(super) fn initiator_waits(&self) -> bool {
        self.waiting.values().any(|waiting| waiting.by_initiator)
    }

    pub(super) fn anybody_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn initiator_asks(&mut self, place: Place) {
        if let Some(asked) = self.to_ask.pop_front() {
            self.ask(place, Waiting { asked, by_initiator: true });
        }
    }

    pub(super) fn other_asks(&mut self, place: Place) {
        if let Some(asked) = self.others.pop_front() {
            self.ask(place, Waiting { asked, by_initiator: false });
        }
    }

    fn ask(&mut self, place: Place, waiting: Waiting) {
        let Some(life) = &self.lives[place] else { return };
        let (ask, until) = match waiting.asked {
            Asked::Begin => {
                let instance = content::instance(u32::try_from(life.own.0).expect("few lives"));
                let spec = Arc::new(Spec { instance, ..Spec::clone(&self.spec) });
                // Each begin has an instance of its own; of those that nobody has any more one is as good as
                // the other. A writer remembers the ones that it has left out.
                let holder = self.rows.get(&spec.gid).map(|rows| rows.spec.instance);
                let spec = match holder == Some(instance) || self.left_out > 0 {
                    true => content::of_another_life(&spec, self.left_out),
                    false => spec,
                };
                (Ask::Begin { spec, fresh: false }, Until::Finished)
            }
            Asked::Confirm => (Ask::Confirm, Until::Finished),
            Asked::Cancel => (Ask::Cancel { detail: None, if_unknown: None }, Until::Finished),
            Asked::Register(_)
            | Asked::RegisterAtOnce(_)
            | Asked::Resolve(..)
            | Asked::Readdress(_) => {
                unreachable!("nobody asks it of two nodes")
            }
        };
        // The lowest that is free: counted on, states would differ that do not.
        let is_free = |reply_to: &ReplyTo| !self.waiting.contains_key(&(place, *reply_to));
        let reply_to = (1..).map(ReplyTo).find(is_free).expect("a number is free");
        self.waiting.insert((place, reply_to), waiting);
        let wait = Wait { until, give_up: NEVER };
        let request = Request { reply_to, gid: self.spec.gid.clone(), ask, wait };
        self.step(place, Event::Input(Input::Request(request)));
    }

    /// Whoever was told that the outcome is unknown, or that another drives it, asks again.
    fn asks_again(&mut self, Waiting { asked, by_initiator }: Waiting) {
        match by_initiator {
            true => self.to_ask.push_front(asked),
            false => self.others.push_front(asked),
        }
    }

    /// Whether the writer has something for the database.
    pub(super) fn writes(&self, place: Place) -> bool {
        let life = self.lives[place].as_ref();
        life.is_some_and(|life| life.writer.clone().submit(self.now).is_some())
    }

    /// The database does what the writer submits. The writer has not heard of it yet.
    pub(super) fn write(&mut self, place: Place) {
        let Some(life) = &mut self.lives[place] else { return };
        let Some(submitted) = life.writer.submit(self.now).cloned() else { return };
        match self.rows.commit(life.own, &submitted) {
            Ok(committed) => life.unheard = Some(committed),
            Err(why) => self.note(Err(why)),
        }
    }

    /// The writer hears what became of it, or that nobody knows.
    pub(super) fn hear(&mut self, place: Place, is_lost: bool) {
        let Some(life) = &mut self.lives[place] else { return };
        let Some(committed) = life.unheard.take() else { return };
        let again = || Committed::Again { why: "the connection was lost".to_owned() };
        let heard = if is_lost { again() } else { committed };
        if let Some(key) = life.writer.committed(heard, self.now) {
            self.note(Err(format!("{} was quarantined", key.gid)));
        }
        self.tell(place);
    }

    /// What the writer has to say reaches the core.
    fn tell(&mut self, place: Place) {
        while let Some(event) = self.lives[place].as_mut().and_then(|life| life.writer.take_event())
        {
            match event {
                JournalEvent::Durable(seq) => self.input(place, Input::Durable(seq)),
                JournalEvent::Exists(gid) => {
                    self.left_out += 1;
                    self.input(place, Input::Exists(gid));
                }
                JournalEvent::TakingOver { dead, gids } => {
                    self.input(place, Input::TakingOver { dead, gids });
                }
                JournalEvent::TakenOver { gids, .. } => {
                    self.input(place, Input::TakenOver(gids));
                    self.take_over_goes_on(place, Some(TakeOverAnswer::Taken));
                }
                JournalEvent::Failing { .. } => self.step(place, Event::Journal { healthy: false }),
                JournalEvent::Healed => self.step(place, Event::Journal { healthy: true }),
                JournalEvent::Fenced => {
                    self.step(place, Event::Fenced);
                    self.is_over(place);
                    self.begins_to_live(place);
                }
                JournalEvent::Quarantined(gid) => {
                    self.note(Err(format!("{gid} was quarantined")));
                }
                JournalEvent::Loaded(..) | JournalEvent::PageOfGids(_) => {
                    unreachable!("the writer reads nothing")
                }
            }
        }
    }

    /// The database looks at what was asked for first. The core has not been told yet.
    pub(super) fn read(&mut self, place: Place) {
        let Some(life) = &mut self.lives[place] else { return };
        life.has_read = life.reads.front().map(|gid| self.rows.load(life.own, gid));
    }

    pub(super) fn deliver_read(&mut self, place: Place) {
        let Some(life) = &mut self.lives[place] else { return };
        if let (Some(load), Some(gid)) = (life.has_read.take(), life.reads.pop_front()) {
            self.input(place, Input::Loaded(gid, load));
        }
    }

    /// Lives that this node may take for dead, and whether each runs all the same.
    pub(super) fn suspects(&self, place: Place) -> Vec<(Suspect, bool)> {
        let Some(life) = &self.lives[place] else { return Vec::new() };
        if life.take_over.is_some() {
            return Vec::new();
        }
        let others = self.rows.lives.rows().filter(|row| row.incarnation != life.own);
        let suspects = others.filter_map(|row| {
            let runs = self.lives.iter().flatten().any(|life| life.own == row.incarnation);
            let (why, is_mistaken) = match row.state {
                LifeState::Live => (SuspectedFor::Silence { batch_no: row.batch_no }, runs),
                LifeState::Fenced => (SuspectedFor::Fenced, false),
                LifeState::Left => return None,
            };
            let (incarnation, node_id) = (row.incarnation, row.node_id.clone());
            Some((Suspect { incarnation, node_id, why }, is_mistaken))
        });
        suspects.collect()
    }

    /// Takes over from the life that it takes for dead: up to the first chunk.
    pub(super) fn suspect(&mut self, place: Place, suspect: &Suspect) {
        let Some(life) = &mut self.lives[place] else { return };
        life.take_over = Some(TakeOver::new(suspect, None));
        self.take_over_goes_on(place, None);
    }

    fn take_over_goes_on(&mut self, place: Place, mut answer: Option<TakeOverAnswer>) {
        let Some(life) = &mut self.lives[place] else { return };
        let Some(take_over) = &mut life.take_over else { return };
        let dead = take_over.dead();
        loop {
            if let Some(answer) = answer.take() {
                take_over.answered(answer);
            }
            answer = Some(match take_over.step() {
                None => {
                    life.take_over = None;
                    return;
                }
                Some(TakeOverStep::Take { gids }) => {
                    life.writer.take_over(dead, gids);
                    return self.tell(place);
                }
                Some(TakeOverStep::Mark { batch_no }) => {
                    TakeOverAnswer::Marked(self.rows.mark(dead, batch_no))
                }
                Some(TakeOverStep::Find { undecided, after }) => {
                    TakeOverAnswer::Found(self.rows.owned_by(dead, undecided, after.as_ref()))
                }
                Some(TakeOverStep::Remove) => TakeOverAnswer::Removed(self.rows.remove(dead)),
            });
        }
    }

    /// Whether a life that was fenced has nothing to write by which it would notice.
    pub(super) fn sleeps(&self, place: Place) -> bool {
        let life = self.lives[place].as_ref();
        life.is_some_and(|life| {
            !life.gave_sign && life.writer.is_idle() && self.rows.is_over(life.own)
        })
    }

    pub(super) fn gives_sign_of_life(&mut self, place: Place) {
        if let Some(life) = &mut self.lives[place] {
            life.writer.press_sign_of_life(self.now.mono);
            life.gave_sign = true;
        }
    }

    pub(super) fn next_deadline(&self, place: Place) -> Option<Mono> {
        self.lives[place].as_ref()?.core.next_deadline().filter(|due| *due != NEVER)
    }

    /// Time passes until something is due here; the other node is late, or has nothing to do.
    pub(super) fn pass_time(&mut self, place: Place) {
        let Some(due) = self.next_deadline(place) else { return };
        self.now.wall = self.now.wall.after(due.since(self.now.mono));
        self.now.mono = self.now.mono.max(due);
        self.input(place, Input::Tick);
    }

    /// A call arrives and is answered. Who has called may be no more.
    pub(super) fn deliver_call(&mut self, index: usize, refuse: bool) {
        let (ticket, op) = self.calls.remove(index);
        let participant = self.participants.get_mut(&ticket.branch).expect("a participant");
        match participant.called(op, refuse) {
            Ok(code) if self.place_of(&ticket).is_some() => {
                let answer = Answer::Status { code, retry_after: None, excerpt: String::new() };
                self.answers.push((ticket, answer));
                self.answers.sort_by(|a, b| a.0.cmp(&b.0));
            }
            Ok(_) => {}
            Err(why) => self.note(Err(format!("{}: {why}", ticket.branch))),
        }
    }

    pub(super) fn deliver_answer(&mut self, index: usize) {
        let (ticket, answer) = self.answers.remove(index);
        if let Some(place) = self.place_of(&ticket) {
            self.input(place, Input::Answered(ticket, answer));
        }
    }

    fn place_of(&self, ticket: &Ticket) -> Option<Place> {
        let has_called = |life: &Option<Life>| {
            life.as_ref().is_some_and(|life| u64::try_from(life.own.0) == Ok(ticket.epoch.0))
        };
        self.lives.iter().position(has_called)
    }

    /// A process dies, and does not come back.
    pub(super) fn crash(&mut self, place: Place) {
        self.is_over(place);
        let requests = std::mem::take(&mut self.waiting);
        for ((at, reply_to), waiting) in requests {
            match at == place {
                true => self.asks_again(waiting),
                false => {
                    self.waiting.insert((at, reply_to), waiting);
                }
            }
        }
    }

    /// A life ends: nobody hears what was answered to it.
    fn is_over(&mut self, place: Place) {
        self.lives[place] = None;
        let answers = std::mem::take(&mut self.answers);
        let heard = answers.into_iter().filter(|(ticket, _)| self.place_of(ticket).is_some());
        self.answers = heard.collect();
    }

    fn input(&mut self, place: Place, input: Input) {
        self.step(place, Event::Input(input));
    }

    fn step(&mut self, place: Place, event: Event) {
        let Some(life) = &mut self.lives[place] else { return };
        let own = life.own;
        let commands = life.core.step(event, self.now);
        let checked = life.core.engine().check().map_err(|broken| broken.to_string());
        let Commands { append, calls, replies, loads, alarms, .. } = commands;
        life.writer.append(append, Urgency::Now);
        life.reads.extend(loads);
        self.note(checked);
        for call in calls {
            self.check_call(own, &call);
            let op = call.ticket.op;
            self.calls.push((call.ticket, op));
            self.calls.sort();
        }
        for (reply_to, reply) in replies {
            if let Some(waiting) = self.waiting.remove(&(place, reply_to)) {
                self.replied(waiting, &reply);
            }
        }
        for (gid, why) in alarms {
            self.note(Err(format!("{gid} was quarantined: {why}")));
        }
        self.check_drivers();
    }

    /// Nobody but its driver calls for a transaction, or who was it and does not know better yet.
    fn check_call(&mut self, own: Incarnation, call: &Call) {
        let rows = self.rows.get(&call.ticket.gid);
        let logged = call_follows_the_journal(call, rows);
        let in_turn = call_follows_the_order(call, rows);
        let driver = rows.and_then(|rows| rows.owner);
        let drives = driver.is_none_or(|driver| driver == own) || self.rows.is_over(own);
        self.note(logged.and(in_turn).map_err(|broken| broken.to_string()));
        if !drives {
            self.note(Err(format!("{own:?} calls for what {driver:?} drives")));
        }
    }

    fn replied(&mut self, waiting: Waiting, reply: &Reply) {
        let gid = self.spec.gid.clone();
        let follows = reply_follows_the_journal(&gid, reply, self.rows.get(&gid));
        self.note(follows.map_err(|broken| broken.to_string()));
        match reply {
            Reply::Refused(
                Refusal::Elsewhere(_) | Refusal::JournalUnavailable | Refusal::NotAccepted,
            ) => self.asks_again(waiting),
            Reply::Refused(Refusal::NotFound) if waiting.by_initiator => {
                self.note(Err(format!("{gid} was begun, and is not found")));
            }
            Reply::Refused(_) => {}
            Reply::Transaction { snapshot, .. }
            | Reply::Branch { snapshot, .. }
            | Reply::Branches { snapshot, .. } => {
                let transaction = &snapshot.transaction;
                let decision = transaction.decision().map(tercet_engine::Decision::op);
                let told = |participant: &Participant| participant.acknowledged() == decision;
                if transaction.status().is_finished() && !self.participants.values().all(told) {
                    self.note(Err("told finished, and not everybody was called".to_owned()));
                }
                if self.rows.get(&gid).is_none() {
                    self.note(Err("told of a transaction that is not durable".to_owned()));
                }
            }
        }
    }

    /// Of the lives that may write, one at most has a transaction as its own: whom the row names.
    fn check_drivers(&mut self) {
        let mut drivers: Vec<(Incarnation, Gid)> = Vec::new();
        for (gid, stored) in &self.rows.transactions {
            let Some(owner) = stored.owner else { continue };
            let others = self.lives.iter().flatten().filter(|life| life.own != owner);
            let drives = others.filter(|life| {
                let transaction = life.core.engine().transaction(gid);
                let is_it = transaction.is_some_and(|it| it.instance() == stored.spec.instance);
                is_it && !self.rows.is_over(life.own)
            });
            drivers.extend(drives.map(|life| (life.own, gid.clone())));
        }
        for (life, gid) in drivers {
            self.note(Err(format!("{life:?} drives {gid}, which is another's")));
        }
    }

    fn note(&mut self, result: Result<(), String>) {
        if let (Err(why), None) = (result, &self.broken) {
            self.broken = Some(why);
        }
    }
}
