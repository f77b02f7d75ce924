//! Drives one transaction through the real core by chance, and checks every step: records fit
//! the rows, the decision stays, nothing leaves before what it depends on is durable, and
//! nothing is quarantined.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Ask, Commands, Core, Engine, EngineSettings, Event, Input, Load, Record, ReplyTo, Request,
    StoredTransaction, Ticket, Until, Wait,
    invariants::{
        call_follows_the_journal, call_goes_where_the_journal_says, decision_is_final,
        reply_follows_the_journal,
    },
};
use tercet_wire::{
    Answer, BranchId, Epoch, Gid, Now, Op, PerOp, Readdressing, Resolution, ResolvedAs, Seq,
};

use crate::choices::Choices;
use crate::clock::{NOW, operator};

/// What participants answer.
const CODES: [u16; 10] = [200, 204, 202, 404, 409, 410, 429, 500, 503, 302];
/// How long those wait who ask.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far time jumps, in milliseconds.
const JUMPS: [u64; 6] = [0, 1, 150, 2_000, 61_000, 86_400_000];

struct Drive {
    core: Core,
    now: Now,
    gid: Gid,
    /// As the disk has them.
    rows: StoredTransaction,
    unwritten: VecDeque<Record>,
    under_way: Vec<Ticket>,
    asked: u64,
}

/// Takes up what these rows say, as a restart does.
pub(crate) fn taken_up(stored: &StoredTransaction, choices: &mut Choices<'_>) {
    let mut drive = Drive::new(stored);
    drive.step(Event::Input(Input::Adopt(Box::new(stored.clone()))));
    drive.run(choices);
}

/// Is asked about it before it is in memory, as after it has left.
pub(crate) fn asked_for(stored: &StoredTransaction, choices: &mut Choices<'_>) {
    let mut drive = Drive::new(stored);
    drive.ask(Ask::Read);
    let found = Load::Found(Box::new(stored.clone()));
    drive.step(Event::Input(Input::Loaded(drive.gid.clone(), found)));
    drive.run(choices);
}

impl Drive {
    fn new(stored: &StoredTransaction) -> Self {
        Self {
            core: Core::new(
                Engine::new(Epoch(1), EngineSettings::default()),
                Duration::from_secs(5),
            ),
            now: NOW,
            gid: stored.spec.gid.clone(),
            rows: stored.clone(),
            unwritten: VecDeque::new(),
            under_way: Vec::new(),
            asked: 0,
        }
    }

    fn run(&mut self, choices: &mut Choices<'_>) {
        for _ in 0..64 {
            if choices.is_over() {
                return;
            }
            match choices.below(11) {
                0..3 => self.answer(choices),
                3 => self.ask(Ask::Confirm),
                4 => {
                    self.ask(Ask::Cancel { detail: Some(Arc::from("by chance")), if_unknown: None })
                }
                5 => self.ask(Ask::Read),
                6 => self.become_durable(choices),
                7 => self.ask(Ask::Retry { by: operator(self.asked) }),
                8 => self.resolve(choices),
                9 => self.readdress(choices),
                _ => {
                    let jump = Duration::from_millis(*choices.pick(&JUMPS));
                    self.now.mono = self.now.mono.after(jump);
                    self.now.wall = self.now.wall.after(jump);
                    self.step(Event::Input(Input::Tick));
                }
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.asked += 1;
        let wait = Wait { until: Until::Finished, give_up: self.now.mono.after(PATIENCE) };
        let request = Request { reply_to: ReplyTo(self.asked), gid: self.gid.clone(), ask, wait };
        self.step(Event::Input(Input::Request(request)));
    }

    fn resolve(&mut self, choices: &mut Choices<'_>) {
        let known = self.rows.branches.get(choices.below(3)).map(|branch| branch.id.clone());
        let by = operator(self.asked);
        self.ask(Ask::Resolve(Box::new(Resolution {
            branch: known.unwrap_or_else(|| BranchId::by_position(0)),
            as_: *choices.pick(&[ResolvedAs::Confirmed, ResolvedAs::Cancelled]),
            note: None,
            by,
        })));
    }

    fn readdress(&mut self, choices: &mut Choices<'_>) {
        let known = self.rows.branches.get(choices.below(3)).map(|branch| branch.id.clone());
        let url = |op: Op| format!("http://moved/{op}").parse().ok().map(Arc::new);
        let urls = PerOp { try_: url(Op::Try), confirm: url(Op::Confirm), cancel: url(Op::Cancel) };
        let (is_endpoint, by) = (choices.below(4) > 0, operator(self.asked));
        let branch = known.unwrap_or_else(|| BranchId::by_position(0));
        let word = Readdressing { branch, urls, is_endpoint, headers: None, note: None, by };
        self.ask(Ask::Readdress(Box::new(word)));
    }

    fn answer(&mut self, choices: &mut Choices<'_>) {
        if self.under_way.is_empty() {
            return;
        }
        let ticket = self.under_way.swap_remove(choices.below(self.under_way.len()));
        let answer = match choices.below(CODES.len() + 1) {
            nothing if nothing == CODES.len() => Answer::Nothing { why: "timeout".to_owned() },
            code => {
                let (code, excerpt) = (CODES[code], String::from("as it is"));
                Answer::Status { code, retry_after: None, excerpt }
            }
        };
        self.step(Event::Input(Input::Answered(ticket, answer)));
    }

    fn become_durable(&mut self, choices: &mut Choices<'_>) {
        let count = 1 + choices.below(4);
        let mut durable = Seq(0);
        for record in self.unwritten.drain(..count.min(self.unwritten.len())) {
            let before = self.rows.clone();
            let fits = self.rows.apply(&record.change);
            assert_eq!(fits, Ok(()), "{record:?} does not fit {before:?}");
            decision_is_final(&before, &self.rows).expect("the decision stays");
            durable = record.seq;
        }
        self.step(Event::Input(Input::Durable(durable)));
    }

    fn step(&mut self, event: Event) {
        let commands = self.core.step(event, self.now);
        let Commands { append, calls, replies, alarms, .. } = commands;
        assert_eq!(alarms, [], "of {:?}", self.rows);
        self.unwritten.extend(append);
        for call in calls {
            call_follows_the_journal(&call, Some(&self.rows)).expect("logged before called");
            call_goes_where_the_journal_says(&call, Some(&self.rows)).expect("as the rows say");
            self.under_way.push(call.ticket);
        }
        for (_, reply) in replies {
            let told = reply_follows_the_journal(&self.gid, &reply, Some(&self.rows));
            told.expect("decided before told");
        }
    }
}
