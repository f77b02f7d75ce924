//! Transactions that come from a dead life while this one runs.

mod world;

use std::sync::Arc;

use tercet_engine::{
    Ask, Change, Commands, Decided, Decision, EngineSettings, HistoryEvent, Input, Load,
    StoredTransaction, Until,
};
use tercet_wire::{BranchSpec, EventKind, Gid, Incarnation, Spec, Wall};
use world::content::{branch, gid, spec};
use world::driver::{Driver, calls, records, replies};

const OWN: Incarnation = Incarnation(1);
const DEAD: Incarnation = Incarnation(7);
const DEAD_TOO: Incarnation = Incarnation(8);

fn undecided(name: &str, branches: Vec<BranchSpec>) -> StoredTransaction {
    StoredTransaction { owner: Some(OWN), ..StoredTransaction::begun(spec(name, true, branches)) }
}

fn confirming(name: &str) -> StoredTransaction {
    let mut stored = undecided(name, vec![branch("a", 0)]);
    let decided = Decided { at: Wall(stored.spec.created_at.0 + 1), decision: Decision::Confirm };
    stored.apply(&Change::Decided(decided)).expect("it was undecided");
    stored
}

fn announce(driver: &mut Driver, names: &[&str]) -> Commands {
    announce_of(driver, DEAD, names)
}

fn announce_of(driver: &mut Driver, dead: Incarnation, names: &[&str]) -> Commands {
    let gids = names.iter().map(|name| gid(name)).collect();
    driver.input(Input::TakingOver { dead, gids })
}

fn take_over(driver: &mut Driver, names: &[&str]) -> Commands {
    driver.input(Input::TakenOver(names.iter().map(|name| gid(name)).collect()))
}

fn found(driver: &mut Driver, stored: StoredTransaction) -> Commands {
    driver.input(Input::Loaded(stored.spec.gid.clone(), Load::Found(Box::new(stored))))
}

fn elsewhere(stored: StoredTransaction) -> Load {
    Load::of(StoredTransaction { owner: Some(DEAD), ..stored }, OWN)
}

fn is_here(driver: &Driver, name: &str) -> bool {
    driver.core.engine().transaction(&gid(name)).is_some()
}

/// What the records say of who drove it before.
fn told(commands: &Commands) -> Vec<String> {
    let line = |event: &HistoryEvent| {
        let detail = event.detail.as_deref().unwrap_or_default().to_owned();
        (event.kind == EventKind::TakenOver).then_some(detail)
    };
    let lines = commands.append.iter().filter_map(|record| match &record.change {
        Change::History(event) => line(event),
        _ => None,
    });
    lines.collect()
}

/// Keeps P2, P4.
#[test]
fn what_is_taken_over_is_read_once_it_is_durable_and_goes_on() {
    let mut driver = Driver::new();
    assert_eq!(announce(&mut driver, &["t", "u"]).loads, Vec::<Gid>::new());
    let commands = take_over(&mut driver, &["t"]);
    assert_eq!(commands.loads, [gid("t")]);
    assert_eq!(driver.core.engine().arriving(), 1);
    let commands = found(&mut driver, confirming("t"));
    assert_eq!(calls(&commands), ["a confirm 1"]);
    assert_eq!(driver.core.engine().arriving(), 0);
    // Of the other nobody asks any more.
    assert!(driver.pass(60_000).loads.is_empty());
}

#[test]
fn whose_it_was_is_written_with_its_next_record() {
    let mut driver = Driver::new();
    announce(&mut driver, &["t", "u"]);
    take_over(&mut driver, &["t", "u"]);
    let commands = found(&mut driver, undecided("t", Vec::new()));
    assert_eq!(commands.append, []);
    let commands = driver.ask(&gid("t"), Ask::Confirm, Until::Finished);
    assert_eq!(told(&commands), ["incarnation 7 drove it before"]);
    assert!(records(&commands).contains(&"Decided".to_owned()));
    // A last acknowledgement is told without waiting for that.
    let call = found(&mut driver, confirming("u")).calls.remove(0);
    let commands = driver.answer(&call, 200);
    assert_eq!(records(&commands), ["History", "Finished"]);
    assert_eq!(told(&commands), ["incarnation 7 drove it before"]);
}

#[test]
fn a_request_brings_in_what_is_taken_over_even_before_that_was_heard() {
    let mut driver = Driver::new();
    announce(&mut driver, &["t"]);
    assert_eq!(driver.read(&gid("t")).loads, [gid("t")]);
    let commands = found(&mut driver, undecided("t", vec![branch("a", 0)]));
    assert_eq!(
        (calls(&commands), replies(&commands)),
        (vec!["a try 1".to_owned()], vec!["1 200 trying".to_owned()])
    );
    // Nor is it brought in again, however late the word comes.
    assert!(take_over(&mut driver, &["t"]).loads.is_empty());
    let commands =
        driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    assert_eq!(told(&commands), ["incarnation 7 drove it before"]);
}

/// While the chunk of one dead life waits, another life takes it, and is over, too.
///
/// Keeps P4, P5.
#[test]
fn what_two_chunks_announce_is_read_whichever_of_them_took_it() {
    for took in [DEAD, DEAD_TOO] {
        let mut driver = Driver::new();
        announce(&mut driver, &["t", "u"]);
        announce_of(&mut driver, DEAD_TOO, &["t"]);
        let mut loads = Vec::new();
        for chunk in [DEAD, DEAD_TOO] {
            let names: &[&str] = if chunk == took { &["t"] } else { &[] };
            loads.extend(take_over(&mut driver, names).loads);
        }
        assert_eq!((loads, driver.core.engine().arriving()), (vec![gid("t")], 1), "{took:?}");
        found(&mut driver, undecided("t", Vec::new()));
        let commands = driver.ask(&gid("t"), Ask::Confirm, Until::Finished);
        assert_eq!(told(&commands), [format!("incarnation {} drove it before", took.0)]);
        assert_eq!(driver.core.engine().arriving(), 0);
        assert_eq!(driver.core.engine().check(), Ok(()));
    }
}

/// A chunk that was put together from an old page announces what is here already.
#[test]
fn what_was_brought_in_is_not_read_again_though_announced_again() {
    let mut driver = Driver::new();
    announce(&mut driver, &["t"]);
    driver.read(&gid("t"));
    found(&mut driver, undecided("t", Vec::new()));
    announce_of(&mut driver, DEAD_TOO, &["t"]);
    for names in [["t"].as_slice(), &[]] {
        assert!(take_over(&mut driver, names).loads.is_empty());
        assert_eq!(driver.core.engine().arriving(), 0);
    }
    assert!(is_here(&driver, "t") && driver.core.engine().check().is_ok());
}

#[test]
fn an_answer_from_before_the_take_over_is_asked_for_again() {
    for early in [elsewhere(undecided("t", Vec::new())), Load::Nothing] {
        let mut driver = Driver::new();
        driver.read(&gid("t"));
        announce(&mut driver, &["t"]);
        assert!(take_over(&mut driver, &["t"]).loads.is_empty());
        let commands = driver.input(Input::Loaded(gid("t"), early));
        assert_eq!(
            (commands.loads.as_slice(), replies(&commands).len()),
            ([gid("t")].as_slice(), 0)
        );
        assert_eq!(replies(&found(&mut driver, undecided("t", Vec::new()))), ["1 200 trying"]);
    }
}

#[test]
fn what_was_lost_again_is_not_driven_and_not_asked_for() {
    let mut driver = Driver::new();
    announce(&mut driver, &["t"]);
    take_over(&mut driver, &["t"]);
    let commands =
        driver.input(Input::Loaded(gid("t"), elsewhere(undecided("t", vec![branch("a", 0)]))));
    assert_eq!((commands.calls.len(), commands.loads.len()), (0, 0));
    assert!(!is_here(&driver, "t") && driver.core.engine().arriving() == 0);
    assert!(driver.pass(60_000).loads.is_empty());
}

#[test]
fn what_could_not_be_read_is_read_a_little_later() {
    let mut driver = Driver::new();
    announce(&mut driver, &["t"]);
    take_over(&mut driver, &["t"]);
    assert!(driver.input(Input::Loaded(gid("t"), Load::Failed)).loads.is_empty());
    assert_eq!(driver.next_in_ms(), Some(500));
    assert_eq!(driver.pass(500).loads, [gid("t")]);
}

/// Keeps P9.
#[test]
fn without_room_what_is_decided_rests_and_what_is_not_comes_in() {
    let settings =
        EngineSettings { in_memory_waiting_transactions: 0, ..EngineSettings::default() };
    let mut driver = Driver::with(settings);
    announce(&mut driver, &["t", "u"]);
    take_over(&mut driver, &["t", "u"]);
    found(&mut driver, confirming("t"));
    found(&mut driver, undecided("u", vec![branch("a", 0)]));
    assert!(!is_here(&driver, "t") && is_here(&driver, "u"));
    assert_eq!(driver.core.engine().census().paged_out, 1);
}

/// Keeps P9.
#[test]
fn so_many_are_read_at_a_time() {
    let mut driver = Driver::new();
    let names: Vec<String> = (0..500).map(|number| format!("t{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    announce(&mut driver, &names);
    let first = take_over(&mut driver, &names).loads;
    assert_eq!((first.len(), driver.core.engine().arriving()), (256, 500));
    // Each that comes makes room for the next.
    let commands = found(&mut driver, undecided("t000", Vec::new()));
    assert_eq!(commands.loads, [gid("t256")]);
}

fn begin(driver: &mut Driver, spec: &Arc<Spec>) -> Commands {
    let ask = Ask::Begin { spec: Arc::clone(spec), fresh: false };
    driver.ask(&spec.gid, ask, Until::Accepted)
}

/// Two nodes begin one gid at once; the other is first.
///
/// Keeps P7.
#[test]
fn who_begins_what_another_has_begun_meets_it() {
    // An open one's answer waits for the journal, the other's for the decision.
    for open in [true, false] {
        let mut driver = Driver::new();
        let own = spec("t", open, vec![branch("a", 0)]);
        begin(&mut driver, &own);
        driver.input(Input::Loaded(gid("t"), Load::Nothing));
        assert!(is_here(&driver, "t"));
        let commands = driver.input(Input::Exists(gid("t")));
        assert_eq!((commands.loads.as_slice(), commands.replies.len()), ([gid("t")].as_slice(), 0));
        assert!(!is_here(&driver, "t"));
        let other = elsewhere(StoredTransaction::begun(own));
        let commands = driver.input(Input::Loaded(gid("t"), other));
        assert_eq!(replies(&commands), ["1 Elsewhere(Incarnation(7))"]);
    }
}

fn refused(driver: &Driver) -> Arc<Spec> {
    let instance = world::content::instance(5);
    let arrival = tercet_wire::Arrival { instance, at: driver.now.wall, traceparent: None };
    Arc::new(tercet_wire::refused_begin(gid("t"), &arrival))
}

/// Begin and decision are two records, and a crash may come between them. Nobody may register
/// anything in what was cancelled before it was begun, however a clock stands.
#[test]
fn a_cancel_that_overtook_its_begin_is_taken_up_as_a_cancel() {
    let mut driver = Driver::new();
    driver.now.wall = Wall(driver.now.wall.0 - 5_000);
    let stored = StoredTransaction::begun(refused(&driver));
    driver.now.wall = Wall(driver.now.wall.0 - 5_000);
    let commands = driver.input(Input::Adopt(Box::new(stored)));
    assert_eq!(records(&commands), ["Decided", "Finished"]);
}

#[test]
fn a_cancel_that_overtook_its_begin_meets_what_another_has_begun() {
    let mut driver = Driver::new();
    let refused = refused(&driver);
    let ask = Ask::Cancel { detail: Some("why".into()), if_unknown: Some(refused) };
    driver.ask(&gid("t"), ask, Until::Decided);
    driver.input(Input::Loaded(gid("t"), Load::Nothing));
    assert_eq!(driver.input(Input::Exists(gid("t"))).loads, [gid("t")]);
    let other = StoredTransaction { owner: None, ..undecided("t", Vec::new()) };
    let commands = found(&mut driver, other);
    assert!(records(&commands).contains(&"Decided".to_owned()), "{commands:?}");
}

/// A begin is not durable yet when its gid's transaction comes from a dead life.
///
/// Keeps P4.
#[test]
fn what_is_taken_over_is_read_though_a_late_begin_has_its_gid() {
    let mut driver = Driver::new();
    driver.begin(&spec("t", true, vec![branch("a", 0)]), Until::Accepted);
    announce(&mut driver, &["t"]);
    assert!(take_over(&mut driver, &["t"]).loads.is_empty());
    assert_eq!(driver.input(Input::Exists(gid("t"))).loads, [gid("t")]);
    let commands = found(&mut driver, confirming("t"));
    assert_eq!(calls(&commands), ["a confirm 1"]);
    assert_eq!(driver.core.engine().arriving(), 0);
    // Nor does it need anybody who still waits for that begin.
    driver.begin(&spec("u", true, vec![branch("a", 0)]), Until::Accepted);
    announce(&mut driver, &["u"]);
    take_over(&mut driver, &["u"]);
    assert_eq!(replies(&driver.pass(5_000)), ["2 JournalUnavailable"]);
    assert_eq!(driver.input(Input::Exists(gid("u"))).loads, [gid("u")]);
    // And it is asked for until it can be read.
    driver.input(Input::Loaded(gid("u"), Load::Failed));
    assert_eq!(driver.pass(5_000).loads, [gid("u")]);
    assert_eq!(driver.core.engine().arriving(), 1);
}
