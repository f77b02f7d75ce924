//! Open transactions that nobody decides rest in the journal like decided ones, and are there for who
//! asks, and at their deadline. P2, P5, P9.

mod world;

use tercet_engine::{Ask, EngineSettings, Input, Load, StoredTransaction, Until};
use tercet_wire::Status;
use world::content::{gid, initiators, spec};
use world::driver::{calls, replies};
use world::node::{Node, two_may_wait};

/// An open transaction that nobody decides; nobody waits for it either.
fn left_open(node: &mut Node, id: &str) {
    let begun = node.driver.begin(&spec(id, true, vec![initiators("a")]), Until::Accepted);
    node.advance(begun);
}

/// The initiator says nothing for as long as it may be about to.
fn says_nothing(node: &mut Node) {
    let passed = node.driver.pass(1_000);
    node.advance(passed);
}

/// Keeps P9.
#[test]
fn open_transactions_that_nobody_ends_leave_memory_and_are_still_counted() {
    let mut node = Node::with(two_may_wait());
    for id in ["t1", "t2", "t3", "t4"] {
        left_open(&mut node, id);
        assert!(node.is_live(id), "its initiator is about to speak of it");
        says_nothing(&mut node);
    }
    let live: Vec<&str> =
        ["t1", "t2", "t3", "t4"].into_iter().filter(|id| node.is_live(id)).collect();
    assert_eq!(live, ["t3", "t4"]);
    let census = node.driver.core.census();
    assert_eq!((census.paged_out, census.by_status[&Status::Trying].0), (2, 4));
    // No page brings them back: they wait for their initiators.
    assert!(!node.is_looked_for(&gid("t1")));
}

/// Keeps P9.
#[test]
fn what_only_waits_leaves_half_of_the_room_to_others() {
    let mut node = Node::with(EngineSettings { live_transactions: 6, ..Default::default() });
    for number in 0..20 {
        left_open(&mut node, &format!("t{number}"));
        says_nothing(&mut node);
    }
    assert_eq!(node.driver.core.census().paged_out, 17);
}

/// Whatever is asked of it is done as if it had stayed.
///
/// Keeps P2, P8.
#[test]
fn an_open_transaction_that_was_paged_out_is_there_for_who_asks() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    node.answers_loads = true;
    left_open(&mut node, "t");
    says_nothing(&mut node);
    assert!(!node.is_live("t"));
    let asked = node.driver.ask(&gid("t"), Ask::Register(Box::new(initiators("b"))), Until::Tried);
    let registered = node.advance(asked);
    assert_eq!(replies(&registered), ["2 201 b registered"]);
    says_nothing(&mut node);
    assert!(!node.is_live("t"), "it rests again");
    let asked = node.driver.ask(&gid("t"), Ask::Confirm, Until::Decided);
    let confirmed = node.advance(asked);
    assert_eq!(calls(&confirmed), ["a confirm 1", "b confirm 1"]);
    assert_eq!(replies(&confirmed), ["3 200 confirming"]);
}

/// The deadline goes on while it is paged out, and nobody has to ask.
///
/// Keeps P5, P9.
#[test]
fn an_open_transaction_that_was_paged_out_is_cancelled_at_its_deadline() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    left_open(&mut node, "t");
    // Whoever looks at it in between changes nothing about that.
    node.answers_loads = true;
    says_nothing(&mut node);
    node.driver.pass(9_000);
    let read = node.driver.read(&gid("t"));
    node.advance(read);
    says_nothing(&mut node);
    node.answers_loads = false;
    assert!(!node.is_live("t"));
    let passed = node.driver.pass(18_999);
    assert!(node.advance(passed).calls.is_empty() && node.loads.is_empty());
    // The journal cannot read it at first.
    let passed = node.driver.pass(1);
    node.advance(passed);
    assert_eq!(std::mem::take(&mut node.loads), [gid("t")]);
    node.input(Input::Loaded(gid("t"), Load::Failed));
    node.answers_loads = true;
    let passed = node.driver.pass(1_000);
    let cancelled = node.advance(passed);
    assert_eq!(calls(&cancelled), ["a cancel 1"]);
    assert_eq!(node.rows[&gid("t")].status, Status::Cancelling);
}

/// However much clients have the journal asked for, what rests is not asked for any later.
///
/// Keeps P5, P9.
#[test]
fn clients_that_have_the_journal_asked_hold_up_no_deadline() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    left_open(&mut node, "t");
    says_nothing(&mut node);
    assert!(!node.is_live("t"));
    for number in 0..512 {
        let read = node.driver.read(&gid(&format!("unknown-{number}")));
        node.advance(read);
    }
    // They are told that the journal does not answer; it may all the same, so that is waited for.
    let passed = node.driver.pass(9_000);
    assert_eq!(replies(&node.advance(passed)).len(), 512);
    assert_eq!(std::mem::take(&mut node.loads).len(), 512);
    assert_eq!(node.driver.next_in_ms(), Some(20_000));
    node.answers_loads = true;
    let passed = node.driver.pass(20_000);
    assert_eq!(calls(&node.advance(passed)), ["a cancel 1"]);
}

/// The journal is asked for a few at a time of those whose time has come.
///
/// Keeps P9.
#[test]
fn deadlines_that_come_together_are_met_a_few_at_a_time() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    for number in 0..300 {
        left_open(&mut node, &format!("t{number}"));
    }
    says_nothing(&mut node);
    assert_eq!(node.driver.core.census().paged_out, 300);
    let passed = node.driver.pass(29_000);
    node.advance(passed);
    let asked = std::mem::take(&mut node.loads);
    assert_eq!(asked.len(), 256);
    assert!(node.driver.next_in_ms().is_none_or(|ms| ms > 0), "it does not run in circles");
    node.input(Input::Loaded(asked[0].clone(), Load::Failed));
    assert_eq!(node.loads.len(), 1, "one more has its turn");
}

/// Who has just spoken of it is about to speak of it again, each time.
#[test]
fn an_open_transaction_stays_while_it_is_spoken_of() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    left_open(&mut node, "t");
    let asks = [Ask::Read, Ask::Register(Box::new(initiators("b"))), Ask::Read, Ask::Read];
    for ask in asks {
        let passed = node.driver.pass(900);
        node.advance(passed);
        assert!(node.is_live("t"), "before {ask:?}");
        let asked = node.driver.ask(&gid("t"), ask, Until::Accepted);
        assert_eq!(node.advance(asked).replies.len(), 1);
    }
    says_nothing(&mut node);
    assert!(!node.is_live("t"));
}

/// Also while it leaves, which takes as long as the journal does.
#[test]
fn an_open_transaction_that_leaves_stays_when_it_is_spoken_of() {
    let settings = EngineSettings { in_memory_waiting_transactions: 0, ..Default::default() };
    let mut node = Node::with(settings);
    left_open(&mut node, "t");
    let register = Ask::Register(Box::new(initiators("b")));
    let mut registered = node.driver.ask(&gid("t"), register, Until::Accepted);
    // The branch is not durable when the pause is over.
    node.driver.pass(1_000);
    registered.append.extend(node.driver.read(&gid("t")).append);
    assert_eq!(replies(&node.advance(registered)).len(), 2);
    assert!(node.is_live("t"));
    says_nothing(&mut node);
    assert!(!node.is_live("t"));
}

/// At a start no more of them come into memory than may wait there.
///
/// Keeps P9.
#[test]
fn open_transactions_found_at_a_start_rest_where_they_are() {
    let mut first = Node::with(two_may_wait());
    for number in 0..5 {
        left_open(&mut first, &format!("t{number}"));
    }
    let mut second = Node::with(two_may_wait());
    second.rows = first.rows;
    let found: Vec<StoredTransaction> = second.rows.values().cloned().collect();
    for stored in found {
        second.input(Input::Adopt(Box::new(stored)));
    }
    let census = second.driver.core.census();
    assert_eq!((census.paged_out, census.by_status[&Status::Trying].0), (3, 5));
    second.answers_loads = true;
    let passed = second.driver.pass(30_000);
    let cancelled = second.advance(passed);
    assert_eq!(calls(&cancelled).len(), 5, "each has its deadline");
}
