//! What jobs do to a transaction, each once. P2, P3.

mod world;

use tercet_engine::{Ask, Call, Change, Commands, EngineSettings, Input, Load, Tick, Until};
use tercet_wire::{JobAct, JobDeed, ProblemCode, ResolvedAs};
use world::content::{act, at_port, branch, gid, instance, spec};
use world::driver::{Driver, calls, names, records, replies};

fn ask(job: u32, number: u32, does: JobDeed) -> Ask {
    Ask::OfJob(Box::new(JobAct {
        job: act(job),
        number,
        instance: spec("t", false, vec![]).instance,
        who: "alice".into(),
        note: Some("ticket 7".into()),
        does,
    }))
}

fn resolves(participant: Option<&str>, parked: bool) -> JobDeed {
    let participant = participant.map(Into::into);
    JobDeed::Resolve { as_: ResolvedAs::Confirmed, participant, parked }
}

/// The ticks among these records, and what changed with each.
fn ticks(commands: &Commands) -> Vec<(&Tick, Vec<String>)> {
    let ticked = commands.append.iter().filter_map(|record| match &record.change {
        Change::Ticked(ticked) => Some((&ticked.tick, names(&ticked.changes))),
        _ => None,
    });
    ticked.collect()
}

fn tick(job: u32, number: u32, code: Option<ProblemCode>) -> Tick {
    Tick { job: act(job), gid: gid("t"), number, code }
}

/// The details of lines of history among these records.
fn lines(commands: &Commands) -> Vec<String> {
    let changes = commands.append.iter().flat_map(|record| record.change.parts());
    let lines = changes.filter_map(|change| match change {
        Change::History(line) => Some(format!("{} {}", line.kind, line.detail.as_deref()?)),
        _ => None,
    });
    lines.collect()
}

/// Branches `a` and `b`, confirming; their Confirms are under way.
fn confirming(driver: &mut Driver) -> Vec<Call> {
    driver.now.entropy = u64::MAX;
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    for call in &tries {
        driver.answer(call, 200);
    }
    driver.durable().calls
}

/// Keeps P3.
#[test]
fn a_job_and_its_effect_are_one_record_told_when_durable() {
    let mut driver = Driver::new();
    let confirms = confirming(&mut driver);
    driver.answer(&confirms[0], 503);
    driver.durable();
    let commands = driver.ask(&gid("t"), ask(7, 3, JobDeed::Retry), Until::Accepted);
    assert_eq!(ticks(&commands), [(&tick(7, 3, None), vec!["History".to_owned()])]);
    let told = format!("retried by alice (act {}): ticket 7", act(7));
    assert_eq!((commands.append.len(), lines(&commands)), (1, vec![told]));
    assert_eq!((calls(&commands), replies(&commands)), (vec![], vec![]));
    let commands = driver.durable();
    assert_eq!(calls(&commands), ["a confirm 2"]);
    assert_eq!(replies(&commands), ["2 200 confirming"]);
}

/// Keeps exactly-once.
#[test]
fn a_job_comes_to_a_transaction_once_however_often_it_asks() {
    let mut driver = Driver::new();
    let confirms = confirming(&mut driver);
    driver.answer(&confirms[0], 503);
    driver.durable();
    driver.ask(&gid("t"), ask(7, 3, JobDeed::Retry), Until::Accepted);
    // Before it is durable, and after.
    let again = driver.ask(&gid("t"), ask(7, 3, JobDeed::Retry), Until::Accepted);
    assert_eq!((records(&again), replies(&again)), (vec![], vec![]));
    assert_eq!(replies(&driver.durable()), ["2 200 confirming", "3 200 confirming"]);
    let again = driver.ask(&gid("t"), ask(7, 3, JobDeed::Retry), Until::Accepted);
    assert_eq!((records(&again), replies(&again)), (vec![], vec!["4 200 confirming".into()]));
    // Another job is another.
    let other = driver.ask(&gid("t"), ask(8, 1, JobDeed::Retry), Until::Accepted);
    assert_eq!(ticks(&other).len(), 1);
    driver.durable();
    // Whoever takes it up knows who has come.
    assert_eq!(driver.rows(&gid("t")).jobs, [act(7), act(8)]);
    driver.restart(&gid("t"));
    for job in [7, 8] {
        let again = driver.ask(&gid("t"), ask(job, 3, JobDeed::Retry), Until::Accepted);
        assert_eq!(ticks(&again), []);
    }
    let third = driver.ask(&gid("t"), ask(9, 1, JobDeed::Retry), Until::Accepted);
    assert_eq!(ticks(&third).len(), 1);
}

/// Keeps P2.
#[test]
fn a_job_cancels_what_is_not_decided_and_says_why_it_could_not() {
    let mut driver = Driver::new();
    driver.begun(&spec("t", true, vec![branch("a", 0)]));
    let commands = driver.ask(&gid("t"), ask(7, 1, JobDeed::Cancel), Until::Accepted);
    let cancelled = (&tick(7, 1, None), vec!["BranchRecord".to_owned(), "Decided".to_owned()]);
    assert_eq!(ticks(&commands), [cancelled]);
    assert_eq!(replies(&driver.durable()), ["2 200 cancelling"]);
    let rows = driver.rows(&gid("t"));
    let decided = format!("{:?}", rows.decided.expect("it is decided").decision);
    let why = format!("by alice (act {}): ticket 7", act(7));
    assert!(decided.contains("Operator") && decided.contains(&why), "{decided}");
    let again = driver.ask(&gid("t"), ask(8, 1, JobDeed::Cancel), Until::Accepted);
    assert_eq!(ticks(&again), [(&tick(8, 1, None), vec![])]);

    let mut driver = Driver::new();
    confirming(&mut driver);
    let commands = driver.ask(&gid("t"), ask(7, 1, JobDeed::Cancel), Until::Accepted);
    let failed = tick(7, 1, Some(ProblemCode::AlreadyConfirmed));
    assert_eq!(ticks(&commands), [(&failed, vec![])]);
    // It is told when it is written, and stays so.
    assert_eq!(replies(&commands), Vec::<String>::new());
    assert_eq!(replies(&driver.durable()), ["2 AlreadyConfirmed"]);
    let again = driver.ask(&gid("t"), ask(7, 1, JobDeed::Cancel), Until::Accepted);
    assert_eq!((records(&again), replies(&again)), (vec![], vec!["3 200 confirming".into()]));
}

/// Those of them that an operator's word is about.
fn meant(driver: &Driver) -> Vec<&str> {
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live");
    let branches = transaction.branches().iter();
    branches.filter(|it| it.pending_resolution().is_some()).map(|it| it.id().as_str()).collect()
}

#[test]
fn a_job_ends_the_branches_that_are_meant() {
    let mut driver = Driver::new();
    let elsewhere = at_port(branch("b", 1), 7302);
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), elsewhere.clone()]));
    tries.iter().for_each(|call| drop(driver.answer(call, 200)));
    assert_eq!(driver.durable().calls.len(), 2);
    // Somebody else's branches are none of its.
    let nobodys = resolves(Some("other.example:80"), false);
    let commands = driver.ask(&gid("t"), ask(6, 1, nobodys), Until::Accepted);
    let failed = tick(6, 1, Some(ProblemCode::AlreadyFinished));
    assert_eq!((ticks(&commands), meant(&driver)), (vec![(&failed, vec![])], vec![]));
    // The call is under way: the word is written, and the call given back if it still waits.
    let of_b = resolves(Some(&elsewhere.participant()), false);
    let commands = driver.ask(&gid("t"), ask(7, 1, of_b), Until::Accepted);
    assert_eq!(ticks(&commands), [(&tick(7, 1, None), vec!["BranchRecord".to_owned()])]);
    assert_eq!((commands.retract.len(), meant(&driver)), (1, vec!["b"]));
    // A word that is there already stands, and all others are meant by whoever names nobody.
    let commands = driver.ask(&gid("t"), ask(8, 1, resolves(None, false)), Until::Accepted);
    assert_eq!(ticks(&commands), [(&tick(8, 1, None), vec!["BranchRecord".to_owned()])]);
    assert_eq!(meant(&driver), ["a", "b"]);
}

#[test]
fn a_job_ends_parked_branches_alone_where_those_are_meant() {
    let mut driver = Driver::new();
    let confirms = confirming(&mut driver);
    driver.answer(&confirms[0], 410);
    driver.answer(&confirms[1], 503);
    driver.durable();
    let commands = driver.ask(&gid("t"), ask(7, 1, resolves(None, true)), Until::Accepted);
    let told = format!("resolved as confirmed by alice (act {}): ticket 7", act(7));
    assert!(lines(&commands).contains(&told), "{:?}", lines(&commands));
    let rows = {
        driver.durable();
        driver.rows(&gid("t"))
    };
    let resolved = rows.branch_records.iter().filter(|record| record.resolved_as.is_some());
    assert_eq!(resolved.map(|record| record.branch.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_job_that_finds_nothing_decided_resolves_nothing() {
    let mut driver = Driver::new();
    driver.begun(&spec("t", false, vec![branch("a", 0)]));
    let commands = driver.ask(&gid("t"), ask(7, 1, resolves(None, false)), Until::Accepted);
    assert_eq!(ticks(&commands), [(&tick(7, 1, Some(ProblemCode::NotDecided)), vec![])]);
    assert_eq!(replies(&driver.durable()), ["2 NotDecided"]);
}

#[test]
fn what_has_ended_or_is_another_life_is_left_to_whoever_asks() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let confirms = driver.durable().calls;
    // Of another life of the gid.
    let Ask::OfJob(mut of_another) = ask(7, 1, JobDeed::Retry) else { panic!("a job's") };
    of_another.instance = instance(99);
    let commands = driver.ask(&gid("t"), Ask::OfJob(of_another), Until::Accepted);
    assert_eq!(records(&commands), Vec::<String>::new());
    assert_eq!(replies(&commands), ["2 NothingToDo(Some(TransactionNotFound))"]);
    driver.answer(&confirms[0], 200);
    driver.durable();
    let rows = driver.rows(&gid("t"));
    for (does, told) in [
        (JobDeed::Retry, "NothingToDo(None)"),
        (JobDeed::Cancel, "NothingToDo(Some(AlreadyConfirmed))"),
        (resolves(None, false), "NothingToDo(Some(AlreadyFinished))"),
    ] {
        let mut later = Driver::with(EngineSettings::default());
        later.ask(&gid("t"), ask(7, 1, does), Until::Accepted);
        let found = Load::Found(Box::new(rows.clone()));
        let commands = later.input(Input::Loaded(gid("t"), found));
        assert_eq!(records(&commands), Vec::<String>::new());
        assert_eq!(replies(&commands), [format!("1 {told}")]);
    }
}
