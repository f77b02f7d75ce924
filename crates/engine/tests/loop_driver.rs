//! The loop around the core: the order of lanes and of records, bounds, and the end.

mod world;

use std::time::Duration;

use tercet_engine::{
    Ask, Backlog, Core, Driver, DriverSettings, Ended, Engine, EngineSettings, Event, Input,
    JournalEvent, Lane, ReplyTo, Request, StoredTransaction, Until, Wait,
};
use tercet_wire::{Answer, BranchSpec, Epoch, Mono, Now, Seq, Wall};
use world::content::{CREATED_AT, branch, gid, spec};

const SETTINGS: DriverSettings = DriverSettings {
    calls: 1_000,
    lane_bound: 1_000,
    most_unwritten: Backlog { records: usize::MAX, bytes: usize::MAX },
};

fn driver(settings: DriverSettings) -> Driver {
    let engine = Engine::new(Epoch(1), EngineSettings::default());
    Driver::new(Core::new(engine, Duration::from_secs(3_600)), settings)
}

fn at(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: CREATED_AT, entropy: 0 }
}

/// An undecided transaction, as it was in the journal.
fn stored(gid: &str, deadline_ms: i64, branches: Vec<BranchSpec>) -> StoredTransaction {
    let mut spec = (*spec(gid, true, branches)).clone();
    spec.deadline_at = Wall(CREATED_AT.0 + deadline_ms);
    StoredTransaction::begun(spec.into())
}

fn adopt(driver: &mut Driver, stored: StoredTransaction) {
    driver.step(Event::Input(Input::Adopt(Box::new(stored))), at(0));
}

fn request(number: u64, ask: Ask) -> Request {
    let wait = Wait { until: Until::Accepted, give_up: Mono(1_000_000) };
    Request { reply_to: ReplyTo(number), gid: gid("none"), ask, wait }
}

fn begin(number: u64) -> Request {
    let spec = spec(&format!("new-{number}"), true, Vec::new());
    let (gid, ask) = (spec.gid.clone(), Ask::Begin { spec, fresh: true });
    Request { gid, ..request(number, ask) }
}

/// A second passes with each step. The events of one round.
fn round(driver: &mut Driver, now: &mut u64) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = driver.next(Mono(*now)) {
        *now += 1_000;
        events.push(event.clone());
        driver.step(event, at(*now));
    }
    events
}

fn seqs(driver: &mut Driver) -> Vec<u64> {
    let flushed = driver.flush().map(|(records, _)| records).unwrap_or_default();
    flushed.iter().map(|record| record.seq.0).collect()
}

#[test]
fn the_journal_gets_records_in_their_order_though_several_calls_find_no_room() {
    // A deadline passes as each of the two calls comes back.
    let mut driver = driver(DriverSettings { calls: 0, ..SETTINGS });
    adopt(&mut driver, stored("x", 500, Vec::new()));
    adopt(&mut driver, stored("y", 1_500, Vec::new()));
    adopt(&mut driver, stored("busy", 86_400_000, vec![branch("b1", 0), branch("b2", 1)]));
    assert_eq!(driver.waiting(Lane::NotSent), 2);
    round(&mut driver, &mut 0);
    assert_eq!(seqs(&mut driver), [1, 2, 3, 4]);
}

#[test]
fn calls_that_find_no_room_leave_everybody_else_their_turn() {
    // Each step is later than the pause after which a call is offered again.
    let mut driver = driver(DriverSettings { calls: 0, ..SETTINGS });
    adopt(&mut driver, stored("busy", 86_400_000, vec![branch("b1", 0), branch("b2", 1)]));
    driver.request(request(1, Ask::Read));
    let events = round(&mut driver, &mut 0);
    let asked = events.iter().filter(|event| matches!(event, Event::Input(Input::Request(_))));
    assert_eq!((events.len(), asked.count()), (3, 1), "{events:?}");
    // There is more to do at once.
    assert_eq!(driver.next_wake(Mono(7)), Some(Mono(7)));
}

#[test]
fn what_finishes_work_comes_before_what_begins_it_and_no_lane_takes_all() {
    let mut driver = driver(DriverSettings { lane_bound: 2, ..SETTINGS });
    for number in 1..=3 {
        driver.request(begin(number));
        driver.request(request(number + 10, Ask::Read));
        driver.journal(JournalEvent::Durable(Seq(0)));
    }
    assert_eq!((driver.room(Lane::Begins), driver.room(Lane::Answers)), (0, 2));
    let kinds = |events: Vec<Event>| {
        let kind = |event: &Event| match event {
            Event::Input(Input::Durable(_)) => 'd',
            Event::Input(Input::Request(request)) if request.reply_to.0 > 10 => 'r',
            Event::Input(Input::Request(_)) => 'b',
            _ => '?',
        };
        events.iter().map(kind).collect::<String>()
    };
    assert_eq!(kinds(round(&mut driver, &mut 0)), "ddrrbb");
    assert_eq!(kinds(round(&mut driver, &mut 0)), "drb");
}

#[test]
fn begins_are_refused_while_too_much_is_unwritten_also_of_this_round() {
    let most_unwritten = Backlog { records: 2, bytes: usize::MAX };
    let mut driver = driver(DriverSettings { most_unwritten, ..SETTINGS });
    let refused = |driver: &mut Driver, number: u64| {
        driver.request(begin(number));
        let event = driver.next(Mono(1)).expect("the begin");
        let refused = !driver.step(event, at(1)).replies.is_empty();
        assert_eq!(driver.next(Mono(1)), None);
        refused
    };
    driver.set_unwritten(Backlog { records: 1, bytes: 0 });
    assert!(!refused(&mut driver, 1));
    assert!(refused(&mut driver, 2), "one is written, one is in this round");
    driver.flush();
    driver.set_unwritten(Backlog { records: 1, bytes: 0 });
    assert!(!refused(&mut driver, 3));
}

#[test]
fn it_stops_when_nothing_is_in_flight_or_the_grace_is_nearly_over() {
    let grace = Duration::from_secs(10);
    let mut driver = driver(SETTINGS);
    adopt(&mut driver, stored("t", 86_400_000, vec![branch("b1", 0)]));
    assert_eq!(driver.ended(Mono(0), |_| true), None, "nobody asked it to");
    driver.stop(Mono(0), grace);
    assert_eq!(driver.ended(Mono(0), |_| true), None, "who waits is to be told first");
    round(&mut driver, &mut 0);
    let stopped = Some(Ended::Stopped { grace_ends: Mono(10_000) });
    let in_flight = |calls: usize| calls == 0;
    assert_eq!(driver.ended(Mono(8_999), in_flight), None, "a call is in flight");
    assert_eq!(driver.ended(Mono(9_000), in_flight), stopped);
    assert_eq!(driver.ended(Mono(1), |calls| calls <= 1), stopped, "it waits for its turn");
    driver.request(request(1, Ask::Read));
    assert_eq!(driver.ended(Mono(1), |_| true), None, "somebody waits for an answer");
}

/// Everybody is answered once, and nothing that was held back leaves.
///
/// Keeps P1, P3, P7.
#[test]
fn a_fenced_life_refuses_all_who_wait_and_lets_nothing_out() {
    let mut driver = driver(DriverSettings { lane_bound: 2, ..SETTINGS });
    adopt(&mut driver, stored("t", 86_400_000, vec![branch("b1", 0)]));
    let of_t = |number, ask, until| {
        let wait = Wait { until, give_up: Mono(1_000_000) };
        Request { gid: gid("t"), wait, ..request(number, ask) }
    };
    let cancel = Ask::Cancel { detail: None, if_unknown: None };
    for request in [
        // Held back until it is durable.
        begin(1),
        // They wait for an end, for a load, and for what is written.
        of_t(2, cancel, Until::Finished),
        request(3, Ask::Read),
    ] {
        driver.request(request);
        round(&mut driver, &mut 0);
    }
    driver.sync(ReplyTo(4));
    round(&mut driver, &mut 0);
    driver.journal(JournalEvent::Fenced);
    driver.journal(JournalEvent::Durable(Seq(100)));
    // They have not had their turn.
    driver.request(request(5, Ask::Confirm));
    driver.request(begin(6));
    driver.sync(ReplyTo(7));
    let event = driver.next(Mono(1)).expect("the journal's word");
    let commands = driver.step(event, at(1));
    let mut refused: Vec<(u64, String)> =
        commands.replies.iter().map(|(to, reply)| (to.0, format!("{reply:?}"))).collect();
    refused.sort();
    let unknown = |number| (number, "Refused(JournalUnavailable)".to_owned());
    let not_begun = (6, "Refused(NotAccepted)".to_owned());
    assert_eq!(refused, [unknown(1), unknown(2), unknown(3), unknown(5), not_begun]);
    assert_eq!(commands.unsynced, [ReplyTo(4), ReplyTo(7)]);
    assert_eq!((commands.calls.len(), commands.append.len()), (0, 0));
    assert_eq!(
        (driver.next(Mono(1)), driver.ended(Mono(1), |_| false)),
        (None, Some(Ended::Fenced))
    );
}

#[test]
fn a_call_is_in_flight_until_its_answer_is_handled() {
    let mut driver = driver(DriverSettings { calls: 1, ..SETTINGS });
    let adopted = stored("t", 86_400_000, vec![branch("b1", 0), branch("b2", 1)]);
    let adopted = Event::Input(Input::Adopt(Box::new(adopted)));
    let commands = driver.step(adopted, at(0));
    assert_eq!((commands.calls.len(), driver.waiting(Lane::NotSent)), (1, 1));
    let ticket = commands.calls[0].ticket.clone();
    driver
        .answered(ticket, Answer::Status { code: 200, retry_after: None, excerpt: String::new() });
    let mut called = 0;
    let mut now = 0;
    for _ in 0..3 {
        while let Some(event) = driver.next(Mono(now)) {
            called += driver.step(event, at(now)).calls.len();
        }
        // The first Try's answer is written down, and everything waits for that.
        driver.journal(JournalEvent::Durable(Seq(100)));
        now += 60_000;
    }
    assert_eq!(called, 1, "the other one, once there was room");
}
