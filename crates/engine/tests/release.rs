//! What may leave when: the release rule, and what becomes of those who wait while the
//! journal does not answer. P1, P3, P9.

mod world;

use std::time::Duration;

use tercet_engine::{Ask, Event, Input, Load, ReplyTo, Rules, StoredTransaction, Until, Urgency};
use world::content::{branch, gid, new_branch, spec};
use world::driver::{Driver, calls, records, replies};

const NOTHING: [&str; 0] = [];

fn two() -> std::sync::Arc<tercet_wire::Spec> {
    spec("t", false, vec![branch("a", 0), branch("b", 1)])
}

/// Keeps P1.
#[test]
fn no_try_leaves_before_its_transaction_is_durable() {
    let mut driver = Driver::new();
    let commands = driver.begin(&two(), Until::Finished);
    assert_eq!(records(&commands), ["Begun"]);
    assert_eq!(calls(&commands), NOTHING);
    assert_eq!(calls(&driver.durable_to(0)), NOTHING);
    assert_eq!(calls(&driver.durable_to(1)), ["a try 1", "b try 1"]);
}

/// Keeps P3.
#[test]
fn no_confirm_leaves_before_the_decision_is_durable() {
    let mut driver = Driver::new();
    let tries = driver.begun(&two());
    assert_eq!(records(&driver.answer(&tries[0], 200)), NOTHING);
    let commands = driver.answer(&tries[1], 200);
    assert_eq!(records(&commands), ["Decided"]);
    assert_eq!(calls(&commands), NOTHING);
    assert_eq!(calls(&driver.durable()), ["a confirm 1", "b confirm 1"]);
}

#[test]
fn the_journal_is_hurried_only_where_somebody_waits() {
    let mut driver = Driver::new();
    let begun = driver.begin(&spec("t", false, vec![branch("a", 0)]), Until::Finished);
    assert_eq!(begun.urgency, Urgency::Now);
    let tries = driver.durable().calls;
    let tried = driver.answer(&tries[0], 200);
    assert_eq!(tried.urgency, Urgency::Now, "its Confirm waits for the decision");
    let confirms = driver.durable().calls;
    let finished = driver.answer(&confirms[0], 200);
    assert_eq!(records(&finished), ["Finished"]);
    assert_eq!(replies(&finished), ["1 201 confirmed"]);
    assert_eq!(finished.urgency, Urgency::Linger, "everybody has been told");
    let synced = driver.event(Event::Sync(ReplyTo(9)));
    assert_eq!(synced.urgency, Urgency::Now, "a list waits for all that is written");
}

/// Keeps P3.
#[test]
fn nothing_answers_while_the_journal_is_held() {
    let mut driver = Driver::new();
    let open = spec("t", true, vec![]);
    driver.begin(&open, Until::Accepted);
    assert_eq!(replies(&driver.durable()), ["1 201 trying"]);
    let t = gid("t");
    for ask in
        [Ask::Confirm, Ask::Confirm, Ask::Read, Ask::Cancel { detail: None, if_unknown: None }]
    {
        assert_eq!(replies(&driver.ask(&t, ask, Until::Decided)), NOTHING);
    }
    let register = Ask::Register(Box::new(new_branch("late")));
    assert_eq!(replies(&driver.ask(&t, register, Until::Accepted)), NOTHING);
    assert_eq!(replies(&driver.pass(4_999)), NOTHING);
    let told = [
        "2 200 confirmed",
        "3 200 confirmed",
        "4 200 confirmed",
        "5 AlreadyConfirmed",
        "6 AlreadyConfirmed",
    ];
    assert_eq!(replies(&driver.durable()), told);
}

#[test]
fn a_waiter_is_told_the_outcome_is_unknown_after_too_long() {
    let mut driver = Driver::new();
    driver.begin(&two(), Until::Finished);
    assert_eq!(driver.next_in_ms(), Some(5_000));
    driver.pass(4_000);
    driver.read(&gid("t"));
    assert_eq!(replies(&driver.pass(999)), NOTHING);
    assert_eq!(replies(&driver.pass(1)), ["1 JournalUnavailable"]);
    // Begins are refused before anything is written; everybody else has their own time.
    assert_eq!(
        replies(&driver.begin(&spec("u", false, vec![branch("a", 0)]), Until::Decided)),
        ["3 NotAccepted"]
    );
    assert_eq!(replies(&driver.pass(3_750)), NOTHING);
    assert_eq!(replies(&driver.pass(1_250)), ["2 JournalUnavailable"]);
    // What was written goes on when the journal does.
    assert_eq!(calls(&driver.durable()), ["a try 1", "b try 1"]);
    driver.begin(&spec("u", false, vec![branch("a", 0)]), Until::Decided);
    assert_eq!(calls(&driver.durable()), ["a try 1"]);
}

#[test]
fn a_journal_that_says_it_fails_is_believed_at_once() {
    let mut driver = Driver::new();
    driver.event(Event::Journal { healthy: false });
    assert_eq!(replies(&driver.begin(&two(), Until::Decided)), ["1 NotAccepted"]);
    driver.event(Event::Journal { healthy: true });
    assert_eq!(records(&driver.begin(&two(), Until::Decided)), ["Begun"]);
}

/// Keeps P3.
#[test]
fn completion_is_told_before_it_is_durable_and_never_goes_back() {
    let mut driver = Driver::new();
    let tries = driver.begun(&two());
    driver.answer(&tries[0], 200);
    driver.answer(&tries[1], 200);
    let confirms = driver.durable().calls;
    driver.answer(&confirms[0], 200);
    let commands = driver.answer(&confirms[1], 200);
    assert_eq!(records(&commands), ["Finished"]);
    assert_eq!(replies(&commands), ["1 201 confirmed"]);
    // It stays in memory, and so what is read stays true, until the row says the same.
    assert_eq!(replies(&driver.read(&gid("t"))), ["2 200 confirmed"]);
    driver.durable();
    assert!(driver.core.engine().transaction(&gid("t")).is_none());
}

#[test]
fn a_try_is_not_sent_once_the_decision_overtook_it() {
    let mut driver = Driver::new();
    driver.begin(&two(), Until::Finished);
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    let commands = driver.durable();
    assert_eq!(calls(&commands), ["a cancel 1", "b cancel 1"]);
    assert_eq!(replies(&commands), ["2 200 cancelling"]);
}

#[test]
fn settled_means_that_all_that_was_written_before_is_durable() {
    let mut driver = Driver::new();
    assert_eq!(driver.event(Event::Sync(ReplyTo(90))).synced, [ReplyTo(90)]);
    driver.begin(&two(), Until::Finished);
    assert_eq!(driver.event(Event::Sync(ReplyTo(91))).synced, []);
    assert_eq!(driver.durable().synced, [ReplyTo(91)]);
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Decided);
    driver.event(Event::Sync(ReplyTo(92)));
    assert_eq!(driver.pass(5_000).unsynced, [ReplyTo(92)]);
}

#[test]
fn a_gid_that_turns_out_to_be_taken_lets_nothing_out() {
    let mut driver = Driver::new();
    driver.begin(&two(), Until::Finished);
    driver.read(&gid("t"));
    driver.ask(&gid("t"), Ask::Cancel { detail: None, if_unknown: None }, Until::Accepted);
    let commands = driver.input(Input::Exists(gid("t")));
    // Who began it is to meet the transaction that holds the gid, and so is who has read it; who decided
    // has to ask again.
    assert_eq!(
        (replies(&commands), commands.loads),
        (vec!["3 JournalUnavailable".to_owned()], vec![gid("t")])
    );
    let commands = driver.durable();
    assert_eq!(calls(&commands), NOTHING);
    assert!(driver.core.engine().transaction(&gid("t")).is_none());
    let mut other = (*two()).clone();
    other.fingerprint = tercet_wire::Fingerprint::from_text("other");
    let other = Load::Found(Box::new(StoredTransaction::begun(other.into())));
    let commands = driver.input(Input::Loaded(gid("t"), other));
    assert_eq!(replies(&commands), ["1 GidReused", "2 200 trying"]);
}

/// Keeps P6.
#[test]
fn an_unwritable_transaction_is_quarantined_and_stops_no_other() {
    let mut driver = Driver::new();
    let other = spec("other", false, vec![branch("a", 0)]);
    driver.begin(&two(), Until::Finished);
    driver.begin(&other, Until::Finished);
    let commands = driver.input(Input::Quarantined(gid("t")));
    assert_eq!(replies(&commands), ["1 Quarantined"]);
    assert_eq!(commands.alarms.len(), 1);
    assert_eq!(calls(&driver.durable()), ["a try 1"]);
    assert_eq!(
        replies(&driver.ask(
            &gid("t"),
            Ask::Cancel { detail: None, if_unknown: None },
            Until::Decided
        )),
        ["3 Quarantined"]
    );
    // Its begin was not written, so there is nothing to be told of it.
    assert_eq!(replies(&driver.read(&gid("t"))), ["4 Quarantined"]);
    assert_eq!(driver.core.census().quarantined, 1);
    // Its deadline passes and nothing happens to it.
    let commands = driver.pass(60_000);
    assert!(commands.append.iter().all(|record| record.gid == gid("other")), "{commands:?}");
}

#[test]
fn a_panic_keeps_the_last_value_and_stops_no_other() {
    // No setting allows such a pause: adding any jitter to it panics.
    let rules = Rules { no_room_pause: Duration::MAX, ..Rules::default() };
    let mut driver = Driver::rules(rules);
    let tries = driver.begun(&two());
    let other = driver.begun(&spec("other", false, vec![branch("a", 0)]));
    let commands = driver.input(Input::NotSent(tries[1].ticket.clone(), None));
    assert_eq!(replies(&commands), ["1 Quarantined"]);
    let (quarantined, why) = &commands.alarms[0];
    assert_eq!((quarantined, why.contains("overflow")), (&gid("t"), true), "{why}");
    assert_eq!(replies(&driver.read(&gid("t"))), ["3 200 trying"]);
    assert_eq!(replies(&driver.ask(&gid("t"), Ask::Confirm, Until::Decided)), ["4 Quarantined"]);
    assert_eq!(records(&driver.answer(&tries[0], 409)), NOTHING);
    driver.answer(&other[0], 200);
    assert_eq!(calls(&driver.durable()), ["a confirm 1"]);
}
