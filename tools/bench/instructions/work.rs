//! What is counted: the work that every transaction costs and that no clock, thread or disk
//! takes part in.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Ask, Call, Commands, Core, Engine, EngineSettings, Event, Input, Record, ReplyTo, Request,
    Until, Wait,
};
use tercet_journal::put_together;
use tercet_wire::{
    Answer, Arrival, BeginRequest, Epoch, Gid, Incarnation, Instance, Limits, Mono, Now, Op, Seq,
    Spec, Wall, check_begin,
};

/// Transactions that are under way together, as they are with so many connections.
const TOGETHER: u64 = 64;

const BEGIN: &str = r#"{"branches":[
    {"id":"b1","endpoint":"http://127.0.0.1:7301/inventory","payload":{"sku":"A1","quantity":2}},
    {"id":"b2","endpoint":"http://127.0.0.1:7302/payment","payload":{"account":"alice","amount":4200}}
]}"#;

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// From the bytes of a begin to its checked meaning.
    Check,
    /// Ring and engine: two branches, confirmed.
    Confirmed,
    /// Ring and engine: two branches, one refuses.
    Cancelled,
    /// The statements that write a confirmed transaction's records.
    Statements,
}

impl Workload {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::Check, Self::Confirmed, Self::Cancelled, Self::Statements];

    /// Its name, as counts are kept under it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Statements => "statements",
        }
    }

    /// What it does besides, and has a count of its own: taken off.
    pub(crate) fn beneath(self) -> Option<Self> {
        match self {
            Self::Check => None,
            Self::Confirmed | Self::Cancelled => Some(Self::Check),
            Self::Statements => Some(Self::Confirmed),
        }
    }

    /// Does it so many times, on top of what is beneath it.
    pub(crate) fn run(self, transactions: u64) {
        match self {
            Self::Check => (1..=transactions).for_each(|number| {
                black_box(begun(number));
            }),
            Self::Confirmed => {
                black_box(through_the_ring(transactions, None, |_| {}));
            }
            Self::Cancelled => {
                black_box(through_the_ring(transactions, Some("b2"), |_| {}));
            }
            Self::Statements => {
                black_box(through_the_ring(transactions, None, |records| {
                    let count = put_together(records, Incarnation(1));
                    assert!(count.is_ok_and(|count| count > 0), "records that fit each other");
                }));
            }
        }
    }
}

fn begun(number: u64) -> Arc<Spec> {
    let request: BeginRequest = serde_json::from_str(BEGIN).expect("a begin");
    let instance = format!("01980000-0000-7000-8000-{number:012}");
    let instance: Instance = instance.parse().expect("a UUID");
    let arrival = Arrival { instance, at: Wall(1_763_640_000_000), traceparent: None };
    Arc::new(check_begin(request, &Limits::default(), &arrival).expect("right").spec)
}

/// Puts transactions through the core, `TOGETHER` at a time; `write` gets what each round
/// appends. The branch named refuses its Try. Returns how many replies there were.
fn through_the_ring(
    transactions: u64,
    refuses: Option<&str>,
    mut write: impl FnMut(&[Record]),
) -> usize {
    let mut core =
        Core::new(Engine::new(Epoch(1), EngineSettings::default()), Duration::from_secs(5));
    let mut now = Now { mono: Mono(1_000), wall: Wall(1_763_640_000_000), entropy: 0 };
    let mut replies = 0;
    let mut number = 0;
    while number < transactions {
        let mut all = Commands::default();
        for _ in 0..TOGETHER.min(transactions - number) {
            number += 1;
            let spec = begun(number);
            let gid: Gid = spec.gid.clone();
            let ask = Ask::Begin { spec, fresh: true };
            let give_up = now.mono.after(Duration::from_secs(10));
            let wait = Wait { until: Until::Finished, give_up };
            let request = Request { reply_to: ReplyTo(number), gid, ask, wait };
            gather(&mut all, core.step(Event::Input(Input::Request(request)), now));
        }
        // Written, told, called, answered: round after round, until nothing is left to do.
        while let Some(Record { seq, .. }) = all.append.last() {
            let durable: Seq = *seq;
            write(&all.append);
            let mut next = core.step(Event::Input(Input::Durable(durable)), now);
            replies += all.replies.len();
            let calls =
                std::mem::take(&mut all.calls).into_iter().chain(std::mem::take(&mut next.calls));
            all = next;
            for call in calls.collect::<Vec<_>>() {
                let answer = Input::Answered(call.ticket.clone(), answer(&call, refuses));
                gather(&mut all, core.step(Event::Input(answer), now));
            }
        }
        replies += all.replies.len();
        now = Now { mono: now.mono.after(Duration::from_millis(5)), ..now };
    }
    assert_eq!(u64::try_from(replies), Ok(transactions), "everybody was answered");
    replies
}

fn answer(call: &Call, refuses: Option<&str>) -> Answer {
    let refused = call.ticket.op == Op::Try && refuses == Some(call.ticket.branch.as_str());
    let code = if refused { 409 } else { 200 };
    Answer::Status { code, retry_after: None, excerpt: String::new() }
}

fn gather(all: &mut Commands, commands: Commands) {
    let Commands { append, calls, replies, .. } = commands;
    all.append.extend(append);
    all.calls.extend(calls);
    all.replies.extend(replies);
}
