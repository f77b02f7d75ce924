//! One transaction after another through the engine: which records, which calls, which
//! answers, and when.

mod world;

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{
    Ask, EngineSettings, Event, Input, Load, Record, Rules, StoredTransaction, Until,
};
use tercet_wire::{Answer, BranchSpec, Op};
use world::content::{branch, gid, initiators, new_branch, spec, with_legs};
use world::driver::{Driver, calls, records, replies};

const NOTHING: [&str; 0] = [];

fn two() -> Arc<tercet_wire::Spec> {
    spec("t", false, vec![branch("a", 0), branch("b", 1)])
}

/// The rows after these records.
fn rows(records: &[Record]) -> StoredTransaction {
    let mut rows: Option<StoredTransaction> = None;
    for record in records {
        match (&mut rows, &record.change) {
            (None, tercet_engine::Change::Begun(spec)) => {
                rows = Some(StoredTransaction::begun(Arc::clone(spec)))
            }
            (Some(rows), change) => rows.apply(change).expect("it fits"),
            (None, change) => panic!("{change:?} of nothing"),
        }
    }
    rows.expect("begun")
}

#[test]
fn an_unknown_gid_is_asked_of_the_journal_in_order() {
    let mut driver = Driver::new();
    let two = two();
    assert_eq!(driver.read(&two.gid).loads, [gid("t")]);
    let begin = || Ask::Begin { spec: Arc::clone(&two), fresh: false };
    let commands = driver.ask(&two.gid, begin(), Until::Accepted);
    assert_eq!((commands.loads, commands.append), (vec![], vec![]));
    driver.ask(&two.gid, begin(), Until::Accepted);
    let commands = driver.input(Input::Loaded(gid("t"), Load::Nothing));
    assert_eq!(replies(&commands), ["1 NotFound"]);
    assert_eq!(records(&commands), ["Begun"]);
    assert_eq!(replies(&driver.durable()), ["2 201 trying", "3 200 trying"]);
}

#[test]
fn a_finished_transaction_answers_from_rows_and_does_not_stay() {
    let mut first = Driver::new();
    let open = spec("t", true, vec![]);
    let mut written = first.begin(&open, Until::Accepted).append;
    written.extend(first.ask(&open.gid, Ask::Confirm, Until::Finished).append);
    let stored = rows(&written);

    let mut second = Driver::new();
    second.read(&open.gid);
    let begin = Ask::Begin { spec: Arc::clone(&open), fresh: false };
    second.ask(&open.gid, begin, Until::Finished);
    second.ask(&open.gid, Ask::Cancel { detail: None, if_unknown: None }, Until::Finished);
    let other = spec("t", true, vec![branch("x", 0)]);
    let mut other = (*other).clone();
    other.fingerprint = tercet_wire::Fingerprint::from_text("another");
    let begin = Ask::Begin { spec: Arc::new(other), fresh: false };
    second.ask(&open.gid, begin, Until::Finished);
    let commands = second.input(Input::Loaded(gid("t"), Load::Found(Box::new(stored))));
    assert_eq!(
        replies(&commands),
        ["1 200 confirmed", "2 200 confirmed", "3 AlreadyConfirmed", "4 GidReused"]
    );
    assert_eq!(records(&commands), NOTHING);
    assert!(second.core.engine().transaction(&gid("t")).is_none());
}

#[test]
fn unread_rows_refuse_a_begin_and_leave_the_rest_unknown() {
    let mut driver = Driver::new();
    let two = two();
    driver.read(&two.gid);
    driver.ask(&two.gid, Ask::Begin { spec: Arc::clone(&two), fresh: false }, Until::Accepted);
    let commands = driver.input(Input::Loaded(gid("t"), Load::Failed));
    assert_eq!(replies(&commands), ["1 JournalUnavailable", "2 NotAccepted"]);
}

/// Keeps P9.
#[test]
fn the_live_limit_refuses_begins_and_nothing_else() {
    let settings = EngineSettings { live_transactions: 1, ..EngineSettings::default() };
    let mut driver = Driver::with(settings);
    driver.begun(&two());
    let refused = driver.begin(&spec("u", false, vec![branch("a", 0)]), Until::Accepted);
    assert_eq!(replies(&refused), ["2 TooManyTransactions { limit: 1 }"]);
    assert_eq!(replies(&driver.read(&gid("t"))), ["3 200 trying"]);
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    assert_eq!(replies(&driver.durable()), ["4 200 cancelling"]);
}

/// Keeps P4.
#[test]
fn a_refused_try_cancels_everyone_and_says_who_and_why() {
    let mut driver = Driver::new();
    let tries = driver.begun(&two());
    let commands = driver.answer(&tries[1], 409);
    assert_eq!(records(&commands), ["History", "BranchRecord", "BranchRecord", "Decided"]);
    let commands = driver.durable();
    // Also the one whose Try was never answered.
    assert_eq!(calls(&commands), ["a cancel 1", "b cancel 1"]);
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live");
    let (summary, who) = (transaction.summary(), &transaction.branches()[1]);
    assert_eq!(summary.reason, Some(tercet_wire::Reason::TryRefused));
    assert_eq!(summary.reason_detail.as_deref(), Some("b: answered 409"));
    assert_eq!(who.last_answer().map(|said| (said.op, said.status)), Some((Op::Try, 409)));
    driver.answer(&commands.calls[0], 200);
    let commands = driver.answer(&commands.calls[1], 200);
    assert_eq!(replies(&commands), ["1 201 cancelled"]);
    // Its Try comes back after all: too late to matter.
    assert_eq!(records(&driver.answer(&tries[0], 200)), NOTHING);
}

#[test]
fn a_try_in_doubt_is_called_again_three_times_and_then_given_up() {
    let mut driver = Driver::new();
    let mut tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    for attempt in 2..=3 {
        // Luck is nothing here, so the pause is nothing either.
        driver.answer(&tries[0], 500);
        tries = driver.durable().calls;
        assert_eq!(tries[0].ticket.attempt, attempt);
    }
    driver.answer(&tries[0], 500);
    let commands = driver.durable();
    assert_eq!(calls(&commands), ["a cancel 1"]);
    let transaction = driver.core.engine().transaction(&gid("t")).expect("live");
    let view = transaction.summary();
    assert_eq!(view.reason, Some(tercet_wire::Reason::TryFailed));
    assert_eq!(view.reason_detail.as_deref(), Some("a: answered 500"));
}

#[test]
fn in_progress_uses_up_no_attempt() {
    let mut driver = Driver::new();
    let mut tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    for _ in 0..10 {
        driver.answer(&tries[0], 202);
        assert_eq!(calls(&driver.pass(999)), NOTHING);
        tries = driver.pass(1).calls;
    }
    assert_eq!(tries[0].ticket.attempt, 11);
    driver.answer(&tries[0], 200);
    assert_eq!(calls(&driver.durable()), ["a confirm 1"]);
}

#[test]
fn the_deadline_fires_to_the_millisecond() {
    let mut driver = Driver::new();
    driver.begun(&two());
    assert_eq!(driver.next_in_ms(), Some(10_000), "the wait of who began it");
    assert_eq!(replies(&driver.pass(10_000)), ["1 202 trying"]);
    assert_eq!(driver.next_in_ms(), Some(20_000));
    assert_eq!(records(&driver.pass(19_999)), NOTHING);
    assert_eq!(records(&driver.pass(1)), ["BranchRecord", "BranchRecord", "Decided"]);
}

/// Keeps P8.
#[test]
fn a_jump_of_the_wall_clock_moves_no_deadline() {
    let mut driver = Driver::new();
    driver.begun(&two());
    driver.now.wall = driver.now.wall.after(Duration::from_secs(3_600));
    assert_eq!(records(&driver.input(Input::Tick)), NOTHING);
    driver.now.wall = tercet_wire::Wall(0);
    driver.pass(10_000);
    assert_eq!(driver.next_in_ms(), Some(20_000));
}

/// Keeps P2.
#[test]
fn a_full_reservation_is_confirmed_even_at_the_deadline() {
    let mut driver = Driver::new();
    let tries = driver.begun(&two());
    driver.answer(&tries[0], 200);
    driver.now.mono = driver.now.mono.after(Duration::from_secs(30));
    driver.answer(&tries[1], 200);
    assert_eq!(calls(&driver.durable()), ["a confirm 1", "b confirm 1"]);
}

/// Keeps P4.
#[test]
fn confirm_is_called_until_acknowledged_and_parked_after_three() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let mut confirm = driver.durable().calls.remove(0);
    for attempt in 1..=3 {
        assert_eq!(confirm.ticket.attempt, attempt);
        let commands = driver.answer(&confirm, 404);
        let parked = records(&commands).contains(&"Parked".to_owned());
        assert_eq!(parked, attempt == 3);
        confirm = driver.durable().calls.remove(0);
    }
    assert_eq!(driver.core.census().parked_branches, 1);
    let commands = driver.answer(&confirm, 200);
    assert_eq!(records(&commands), ["BranchRecord", "Parked", "Finished"]);
    assert_eq!(replies(&commands), ["1 201 confirmed"]);
}

#[test]
fn a_lost_reservation_parks_at_once_and_a_minute_of_doubt_too() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let confirm = driver.durable().calls.remove(0);
    assert!(records(&driver.answer(&confirm, 410)).contains(&"Parked".to_owned()));

    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let confirm = driver.durable().calls.remove(0);
    assert_eq!(records(&driver.answer(&confirm, 503)), ["History"]);
    let confirm = driver.durable().calls.remove(0);
    driver.pass(59_999);
    assert_eq!(records(&driver.answer(&confirm, 503)), ["History"]);
    driver.durable();
    assert_eq!(records(&driver.pass(1)), ["History", "BranchRecord", "Parked"]);
}

#[test]
fn an_acknowledgement_is_journaled_alone_after_a_while() {
    let mut driver = Driver::new();
    let tries = driver.begun(&two());
    driver.answer(&tries[0], 200);
    driver.answer(&tries[1], 200);
    let confirms = driver.durable().calls;
    assert_eq!(records(&driver.answer(&confirms[0], 200)), NOTHING);
    assert_eq!(records(&driver.pass(999)), NOTHING);
    assert_eq!(records(&driver.pass(1)), ["BranchRecord"]);
    driver.durable();
    // And only its sibling is written with the end.
    assert_eq!(records(&driver.answer(&confirms[1], 200)), ["Finished"]);
}

/// Keeps P9.
#[test]
fn a_call_without_room_is_offered_again_and_counts_for_nothing() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    assert_eq!(calls(&driver.input(Input::NotSent(tries[0].ticket.clone(), None))), NOTHING);
    let wait = driver.next_in_ms().expect("a timer");
    assert!((50..=100).contains(&wait), "{wait}");
    assert_eq!(calls(&driver.pass(wait)), ["a try 1"]);
}

#[test]
fn an_answer_to_another_life_of_the_gid_counts_for_nothing() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    let mut ticket = tries[0].ticket.clone();
    ticket.instance = world::content::instance(2);
    let answer = Answer::Status { code: 409, retry_after: None, excerpt: String::new() };
    assert_eq!(records(&driver.input(Input::Answered(ticket, answer))), NOTHING);
}

#[test]
fn a_registered_branch_is_told_of_when_its_try_is_answered() {
    let mut driver = Driver::new();
    let open = spec("t", true, vec![]);
    driver.begin(&open, Until::Accepted);
    driver.durable();
    let register = || Ask::Register(Box::new(new_branch("a")));
    assert_eq!(records(&driver.ask(&open.gid, register(), Until::Tried)), ["Registered"]);
    let tries = driver.durable();
    assert_eq!((calls(&tries), replies(&tries)), (vec!["a try 1".to_owned()], vec![]));
    assert_eq!(
        replies(&driver.ask(&open.gid, Ask::Confirm, Until::Decided)),
        ["3 TriesOutstanding([a])"]
    );
    assert_eq!(
        replies(&driver.ask(&open.gid, register(), Until::Accepted)),
        ["4 200 a registered"]
    );
    // What an initiator builds on survives a crash.
    assert_eq!(records(&driver.answer(&tries.calls[0], 200)), ["BranchRecord"]);
    assert_eq!(replies(&driver.durable()), ["2 201 a tried"]);
    let mut other = new_branch("a");
    other.fingerprint = tercet_wire::Fingerprint::from_text("another");
    let clash = driver.ask(&open.gid, Ask::Register(Box::new(other)), Until::Tried);
    assert_eq!(replies(&clash), ["5 BranchReused(a)"]);
}

#[test]
fn a_refused_registration_is_told_once_the_cancel_is_durable() {
    let mut driver = Driver::new();
    let open = spec("t", true, vec![]);
    driver.begin(&open, Until::Accepted);
    driver.durable();
    driver.ask(&open.gid, Ask::Register(Box::new(new_branch("a"))), Until::Tried);
    let tries = driver.durable().calls;
    assert_eq!(replies(&driver.answer(&tries[0], 409)), NOTHING);
    let commands = driver.durable();
    assert_eq!(replies(&commands), ["2 201 a refused"]);
    assert_eq!(calls(&commands), ["a cancel 1"]);
    let late = driver.ask(&open.gid, Ask::Register(Box::new(new_branch("b"))), Until::Tried);
    assert_eq!(replies(&late), ["3 AlreadyCancelled"]);
}

/// Keeps P9.
#[test]
fn a_branch_limit_holds_and_no_closed_transaction_takes_one() {
    let mut driver = Driver::rules(Rules { branches: 1, ..Rules::default() });
    let open = spec("t", true, vec![initiators("mine")]);
    driver.begin(&open, Until::Accepted);
    let full = driver.ask(&open.gid, Ask::Register(Box::new(new_branch("b"))), Until::Tried);
    assert_eq!(records(&full), NOTHING);
    let commands = driver.durable();
    assert_eq!(replies(&commands), ["1 201 trying", "2 TooManyBranches { limit: 1 }"]);
    // The initiator calls this Try itself, so confirm need not wait for it.
    driver.ask(&open.gid, Ask::Confirm, Until::Decided);
    assert_eq!(calls(&driver.durable()), ["mine confirm 1"]);

    let mut driver = Driver::new();
    driver.begun(&two());
    let refused = driver.ask(&gid("t"), Ask::Register(Box::new(new_branch("c"))), Until::Tried);
    assert_eq!(replies(&refused), ["2 NotOpen"]);
    assert_eq!(replies(&driver.ask(&gid("t"), Ask::Confirm, Until::Decided)), ["3 NotOpen"]);
}

#[test]
fn an_absent_leg_is_done_at_once() {
    use tercet_wire::Op::{Cancel, Confirm, Try};
    let mut driver = Driver::new();
    let saga = spec("t", false, vec![with_legs("a", 0, &[Try, Cancel])]);
    let tries = driver.begun(&saga);
    let commands = driver.answer(&tries[0], 200);
    assert_eq!(records(&commands), ["Decided", "Finished"]);
    assert_eq!(replies(&driver.durable_to(2)), ["1 201 confirmed"]);

    let mut driver = Driver::new();
    let message = spec("m", false, vec![with_legs("a", 0, &[Confirm])]);
    assert_eq!(records(&driver.begin(&message, Until::Finished)), ["Begun", "Decided"]);
    assert_eq!(calls(&driver.durable()), ["a confirm 1"]);
}

/// Keeps P9.
#[test]
fn the_history_is_bounded_and_says_so() {
    let mut driver = Driver::rules(Rules { history_lines: 2, ..Rules::default() });
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    driver.answer(&tries[0], 200);
    let (mut written, mut confirms) = (Vec::new(), driver.durable().calls);
    for _ in 0..5 {
        let commands = driver.answer(&confirms[0], 503);
        written.extend(commands.append);
        // Without a line to write there is nothing to wait for.
        confirms = if commands.calls.is_empty() { driver.durable().calls } else { commands.calls };
    }
    let kinds: Vec<_> = written
        .iter()
        .filter_map(|record| match &record.change {
            tercet_engine::Change::History(line) => Some(line.kind.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["call-failed", "truncated"]);
}

#[test]
fn while_the_node_stops_nobody_waits_longer_than_it_does() {
    let mut driver = Driver::new();
    driver.begun(&two());
    let moment = driver.now.mono.after(Duration::from_secs(4));
    assert_eq!(replies(&driver.input(Input::NobodyWaitsBeyond(moment))), NOTHING);
    driver.ask(&gid("t"), Ask::Read, Until::Finished);
    assert_eq!(replies(&driver.pass(3_999)), NOTHING);
    assert_eq!(replies(&driver.pass(1)), ["1 202 trying", "2 200 trying"]);
}

#[test]
fn a_waiter_is_told_that_its_load_does_not_come() {
    let mut driver = Driver::new();
    let two = two();
    driver.read(&two.gid);
    driver.ask(&two.gid, Ask::Begin { spec: Arc::clone(&two), fresh: false }, Until::Accepted);
    assert_eq!(driver.next_in_ms(), Some(5_000));
    assert_eq!(replies(&driver.pass(4_999)), NOTHING);
    assert_eq!(replies(&driver.pass(1)), ["1 JournalUnavailable", "2 NotAccepted"]);
    // It comes after all, and nobody waits for it any more.
    let late = driver.input(Input::Loaded(gid("t"), Load::Nothing));
    assert_eq!((replies(&late), driver.next_in_ms()), (vec![], None));
}

/// Keeps P9.
#[test]
fn a_request_is_told_at_once_beyond_the_room_for_waiters() {
    let settings = EngineSettings { waiters: 2, ..EngineSettings::default() };
    let mut driver = Driver::with(settings);
    driver.begun(&two());
    assert_eq!(replies(&driver.ask(&gid("t"), Ask::Read, Until::Finished)), NOTHING);
    let third = driver.ask(&gid("t"), Ask::Read, Until::Finished);
    assert_eq!(replies(&third), ["3 200 trying"]);
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Finished);
    assert_eq!(replies(&driver.durable()), ["4 202 cancelling"]);
}

#[test]
fn timers_are_due_again_where_one_step_cannot_take_them_all() {
    let mut driver = Driver::new();
    let many = 3_000_usize;
    for number in 0..many {
        driver.begin(&spec(&format!("t{number}"), true, vec![]), Until::Accepted);
    }
    driver.durable();
    let mut decided = 0;
    let first = records(&driver.pass(30_000)).len();
    assert!(first < 2 * many, "{first}");
    decided += first;
    while driver.next_in_ms() == Some(0) {
        decided += records(&driver.pass(0)).len();
    }
    assert_eq!(decided, 2 * many, "each is decided and finished");
}

/// Keeps P9.
#[test]
fn a_branch_is_refused_where_a_begin_would_be() {
    let live_bytes = 5_000;
    let mut driver = Driver::with(EngineSettings { live_bytes, ..EngineSettings::default() });
    driver.begun(&spec("t", true, vec![branch("a", 0)]));
    let register = |id: &str| Ask::Register(Box::new(with_payload(id, 4_000)));
    assert_eq!(driver.ask(&gid("t"), register("b"), Until::Accepted).append.len(), 1);
    let refused = driver.ask(&gid("t"), register("c"), Until::Accepted);
    assert_eq!(replies(&refused), ["3 TooManyBytes { limit: 5000 }"]);
    assert_eq!(records(&refused), NOTHING);
    // The same while the journal does not keep up, and it does not wait for it.
    driver.event(Event::Journal { healthy: false });
    let refused = driver.ask(&gid("t"), register("c"), Until::Accepted);
    assert_eq!(replies(&refused), ["4 NotAccepted"]);
    // A repeat, a read and a decision are welcome.
    driver.ask(&gid("t"), register("b"), Until::Accepted);
    driver.read(&gid("t"));
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    let told = ["2 201 b registered", "5 200 b registered", "6 200 trying", "7 200 cancelling"];
    assert_eq!(replies(&driver.durable()), told);
}

fn with_payload(id: &str, bytes: usize) -> BranchSpec {
    BranchSpec { payload: Arc::from("x".repeat(bytes)), ..branch(id, 0) }
}

/// Keeps P9.
#[test]
fn a_request_is_refused_beyond_what_the_journal_may_be_asked() {
    let mut driver = Driver::new();
    for n in 0..10_000 {
        assert_eq!(driver.read(&gid(&format!("t{n}"))).loads.len(), 1);
    }
    let refused = driver.read(&gid("one-more"));
    assert_eq!(replies(&refused), ["10001 JournalUnavailable"]);
    assert!(refused.loads.is_empty());
}
