//! Decided transactions of which nothing is under way are paged out to the journal while there
//! are too many, and come back. P4, P9.

mod world;

use tercet_engine::{
    Ask, BranchRecord, Call, CapacityFreed, Commands, EngineSettings, Input, Load, Rules, Until,
};
use tercet_wire::{Answer, Resolution, ResolvedAs, Status};
use world::content::{branch, gid, operator, spec};
use world::driver::{Driver, calls, replies};
use world::node::{Node, destination, two_may_wait};

/// Keeps P9.
#[test]
fn the_longest_waiting_leave_memory_and_are_still_counted() {
    let mut node = Node::with(two_may_wait());
    for id in ["t1", "t2", "t3", "t4"] {
        node.stuck(id);
        node.driver.pass(1);
    }
    assert_eq!(["t1", "t2", "t3", "t4"].map(|id| node.is_live(id)), [false, false, true, true]);
    let census = node.driver.core.census();
    assert_eq!(census.paged_out, 2);
    assert_eq!(census.by_status[&Status::Confirming].0, 4);
    // The rows say what memory knew: the attempt that found no room is none.
    assert_eq!(
        node.rows[&gid("t1")].branch_records[0].last_error.as_deref(),
        Some("no room at its destination")
    );
}

/// Keeps P9.
#[test]
fn bytes_are_a_bound_too() {
    let settings = EngineSettings { in_memory_waiting_bytes: 5_000, ..EngineSettings::default() };
    let mut node = Node::with(settings);
    for id in ["t1", "t2", "t3", "t4"] {
        node.stuck(id);
    }
    let census = node.driver.core.census();
    assert!(census.paged_out >= 2 && census.live_bytes <= 5_000, "{census:?}");
}

#[test]
fn a_transaction_stays_while_undecided_or_waited_for() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    let begun = node.driver.begin(&spec("waited", false, vec![branch("a", 0)]), Until::Finished);
    let tries = node.advance(begun).calls;
    let tried = node.driver.answer(&tries[0], 200);
    let confirm = node.advance(tried).calls.remove(0);
    node.input(Input::NotSent(confirm.ticket.clone(), Some(destination(&confirm))));
    let begun = node.driver.begin(&spec("trying", false, vec![branch("a", 0)]), Until::Accepted);
    let tries = node.advance(begun).calls;
    node.input(Input::NotSent(tries[0].ticket.clone(), Some(destination(&tries[0]))));
    assert!(node.is_live("waited") && node.is_live("trying"));
    // Once its initiator has been told 202 it may go.
    let told = node.driver.pass(10_000);
    assert_eq!(replies(&told), ["1 202 confirming"]);
    node.advance(told);
    assert!(!node.is_live("waited"));
}

#[test]
fn a_request_finds_what_is_paged_out() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    node.stuck("t1");
    assert!(!node.is_live("t1"));
    // Its page is being read already; who asks meanwhile waits for the same load.
    node.driver.ask(&gid("t1"), Ask::Confirm, Until::Decided);
    let rows = Box::new(node.rows[&gid("t1")].clone());
    let found = node.input(Input::Loaded(gid("t1"), Load::Found(rows)));
    assert_eq!(replies(&found), ["2 200 confirming"]);
    assert_eq!(calls(&found), ["a confirm 1"], "and it is offered again");
    assert_eq!(node.driver.core.census().paged_out, 0);
}

#[test]
fn a_failed_load_does_not_forget_what_is_paged_out() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    node.stuck("t1");
    node.input(Input::Loaded(gid("t1"), Load::Failed));
    node.driver.ask(&gid("t1"), Ask::Read, Until::Accepted);
    for _ in 0..6 {
        let passed = node.driver.pass(500);
        node.advance(passed);
    }
    node.input(Input::Loaded(gid("t1"), Load::Failed));
    assert_eq!(node.driver.core.census().paged_out, 1);
    assert!(node.driver.next_in_ms().is_some(), "it is looked for again");
}

#[test]
fn while_a_load_hangs_the_journal_is_not_swept_without_a_pause() {
    let mut node = Node::with(two_may_wait());
    let stuck = ["t1", "t2", "t3"].map(|id| {
        node.driver.pass(1);
        node.stuck(id).0
    });
    node.input(Input::Loaded(gid("t1"), Load::Failed));
    let mut asked = node.driver.ask(&gid("t1"), Ask::Read, Until::Accepted).page_requests;
    // The others finish, so that there is room.
    let freed = CapacityFreed { destination: destination(&stuck[0]), places: 64, healed: false };
    let capacity_freed = node.driver.input(Input::CapacityFreed(freed));
    asked.extend(capacity_freed.page_requests);
    for call in capacity_freed.calls {
        asked.extend(node.driver.answer(&call, 200).page_requests);
    }
    asked.extend(node.driver.pass(500).page_requests);
    let mut page_requests = 0;
    while let (Some(sweep), true) = (asked.pop(), page_requests < 10) {
        page_requests += 1;
        let mut page = node.page(sweep.after.as_ref());
        page.retain(|resting| *resting == gid("t1"));
        asked.extend(node.driver.input(Input::PageOfGids(page)).page_requests);
    }
    assert!(page_requests <= 3, "the end of one round, and one more; not {page_requests}");
}

#[test]
fn everything_paged_out_finishes_once_there_is_room() {
    let mut node = Node::with(two_may_wait());
    let ids: Vec<String> = (10..40).map(|n| format!("t{n}")).collect();
    for id in &ids {
        node.stuck(id);
        node.driver.pass(1);
    }
    assert_eq!(node.driver.core.census().paged_out, 28);
    let some = node.stuck("t40").0;
    // The participant is back: it tells that it has room, and takes what it is offered.
    node.answers_loads = true;
    let freed = CapacityFreed { destination: destination(&some), places: 64, healed: true };
    let mut commands = node.input(Input::CapacityFreed(freed));
    for _ in 0..1_000 {
        let Some(call) = commands.calls.pop() else {
            let Some(pause) = node.driver.next_in_ms() else { break };
            let passed = node.driver.pass(pause);
            commands = node.advance(passed);
            continue;
        };
        let answered = node.driver.answer(&call, 200);
        commands.calls.extend(node.advance(answered).calls);
    }
    let unfinished = node.rows.values().filter(|rows| !rows.status.is_finished()).count();
    assert_eq!((unfinished, node.driver.core.census().paged_out), (0, 0));
    assert_eq!(node.driver.next_in_ms(), None, "nothing is looked for any more");
}

#[test]
fn memory_takes_its_bound_and_everything_undecided_at_start() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 100, ..two_may_wait() });
    for id in ["t1", "t2", "t3", "t4"] {
        node.stuck(id);
    }
    let begun = node.driver.begin(&spec("trying", false, vec![branch("a", 0)]), Until::Accepted);
    node.advance(begun);
    let mut again = Driver::with(two_may_wait());
    let mut page_requests = 0;
    for stored in node.rows.values().cloned() {
        page_requests += again.input(Input::Adopt(Box::new(stored))).page_requests.len();
    }
    let census = again.core.census();
    assert_eq!((census.paged_out, page_requests), (2, 1));
    assert!(again.core.engine().transaction(&gid("trying")).is_some());
}

#[test]
fn a_branch_is_shown_when_it_fails_after_a_minute_paged_out() {
    let rules = Rules::default();
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, rules, ..two_may_wait() });
    node.stuck("t1");
    node.driver.pass(61_000);
    node.answers_loads = true;
    let asked = node.driver.ask(&gid("t1"), Ask::Read, Until::Accepted);
    let found = node.advance(asked);
    node.driver.answer(&found.calls[0], 503);
    let transaction = node.driver.core.engine().transaction(&gid("t1")).expect("read");
    assert!(transaction.is_parked());
}

/// Keeps P9.
#[test]
fn begin_is_refused_when_as_many_rest_as_may() {
    let settings = EngineSettings {
        in_memory_waiting_transactions: 0,
        paged_out_transactions: 1,
        ..two_may_wait()
    };
    let mut node = Node::with(settings);
    node.stuck("t1");
    let refused = node.driver.begin(&spec("t2", false, vec![branch("a", 0)]), Until::Accepted);
    assert_eq!(replies(&refused), ["2 TooManyPagedOut { limit: 1 }"]);
}

/// Keeps P5.
#[test]
fn an_unexpected_load_brings_nothing_back_to_life() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    node.stuck("t1");
    let old = Box::new(node.rows[&gid("t1")].clone());
    // The page's load takes too long, and so does whoever asks: who asks again waits for the
    // same answer.
    node.driver.ask(&gid("t1"), Ask::Read, Until::Accepted);
    let passed = node.driver.pass(5_000);
    assert_eq!(replies(&passed), ["2 JournalUnavailable"]);
    node.advance(passed);
    let again = node.driver.ask(&gid("t1"), Ask::Read, Until::Accepted);
    assert!(again.loads.is_empty(), "it is asked for already");
    let found = node.input(Input::Loaded(gid("t1"), Load::Found(old.clone())));
    assert_eq!(replies(&found), ["3 200 confirming"]);
    let acknowledged = node.driver.answer(&found.calls[0], 200);
    node.advance(acknowledged);
    assert!(node.rows[&gid("t1")].status.is_finished() && !node.is_live("t1"));
    // What comes unasked for tells of a time that is over.
    let stale = node.input(Input::Loaded(gid("t1"), Load::Found(old)));
    assert_eq!(stale, Commands::default());
    assert!(!node.is_live("t1"));
}

#[test]
fn mended_rows_do_not_make_what_is_paged_out_be_forgotten() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    let mut elsewhere = Node::with(EngineSettings::default());
    elsewhere.stuck("damaged");
    let mended = Box::new(elsewhere.rows[&gid("damaged")].clone());
    let damaged = Load::Unreadable { why: "damaged".to_owned() };
    node.input(Input::Loaded(gid("damaged"), damaged));
    node.stuck("t1");
    node.input(Input::Loaded(gid("t1"), Load::Failed));
    node.driver.read(&gid("damaged"));
    let found = node.input(Input::Loaded(gid("damaged"), Load::Found(mended)));
    assert_eq!(calls(&found), ["a confirm 1"]);
    assert_eq!(node.driver.core.census().paged_out, 1, "it was never counted");
    assert!(node.is_looked_for(&gid("t1")));
}

#[test]
fn pages_are_read_until_a_whole_round_finds_nothing() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    node.stuck("t1");
    node.input(Input::Loaded(gid("t1"), Load::Failed));
    // Somebody asks for one that is paged out and was never counted.
    let mut elsewhere = Node::with(EngineSettings::default());
    elsewhere.stuck("t2");
    node.driver.read(&gid("t2"));
    let stranger = Box::new(elsewhere.rows[&gid("t2")].clone());
    node.input(Input::Loaded(gid("t2"), Load::Found(stranger)));
    assert!(node.is_looked_for(&gid("t1")));
}

/// Keeps P4, P9.
#[test]
fn what_is_paged_out_while_a_page_is_read_is_not_forgotten() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    node.answers_pages = false;
    node.stuck("t1");
    // While the first page is read the one that it would find is finished, and another leaves.
    let read = node.driver.read(&gid("t1"));
    node.advance(read);
    let rows = Box::new(node.rows[&gid("t1")].clone());
    let found = node.input(Input::Loaded(gid("t1"), Load::Found(rows)));
    let acknowledged = node.driver.answer(&found.calls[0], 200);
    node.advance(acknowledged);
    node.stuck("t2");
    node.answers_pages = true;
    node.input(Input::PageOfGids(Vec::new()));
    assert_eq!(node.driver.core.census().paged_out, 1);
    assert!(node.is_looked_for(&gid("t2")));
}

/// Keeps P9.
#[test]
fn the_words_of_participants_and_operators_count_as_bytes() {
    let mut node = Node::with(EngineSettings::default());
    let (call, _) = node.stuck("t");
    let bytes = |node: &Node| node.driver.core.census().live_bytes;
    let before = bytes(&node);
    let retry =
        node.driver.ask(&gid("t"), Ask::Retry { by: operator("somebody") }, Until::Accepted);
    let confirm = node.advance(retry).calls.remove(0);
    let excerpt = "w".repeat(1_024);
    let answer = Answer::Status { code: 503, retry_after: None, excerpt };
    let answered = node.input(Input::Answered(confirm.ticket, answer));
    let told = bytes(&node);
    assert!((1_000..1_100).contains(&(told - before)), "{before} {told}");
    // It is called again, and an operator says something meanwhile.
    assert_eq!(calls(&answered), ["a confirm 2"]);
    let note: std::sync::Arc<str> = "n".repeat(500).into();
    let (branch, as_) = (call.ticket.branch.clone(), ResolvedAs::Confirmed);
    let word = Resolution { branch, as_, note: Some(note), by: operator("somebody") };
    let resolve = node.driver.ask(&gid("t"), Ask::Resolve(Box::new(word)), Until::Accepted);
    node.advance(resolve);
    let said = bytes(&node);
    assert!((500..600).contains(&(said - told)), "{told} {said}");
    // They are counted as well when its rows are read.
    let rows = node.rows[&gid("t")].clone();
    let mut again = Driver::with(EngineSettings::default());
    again.input(Input::Adopt(Box::new(rows)));
    assert!(again.core.census().live_bytes > before + 1_000);
}

/// Keeps P6.
#[test]
fn a_healed_destination_is_served_before_those_still_away() {
    let mut node = Node::with(two_may_wait());
    for n in 100..400 {
        node.stuck_at(&format!("d{n}"), "dead");
    }
    let back: Vec<Call> = (0..3).map(|n| node.stuck_at(&format!("z{n}"), "back").0).collect();
    node.driver.pass(1);
    for n in 400..410 {
        node.stuck_at(&format!("d{n}"), "dead");
    }
    assert!(!node.is_live("z0") && !node.is_live("z2"));
    node.answers_loads = true;
    let freed = CapacityFreed { destination: destination(&back[0]), places: 64, healed: true };
    let mut commands = node.input(Input::CapacityFreed(freed));
    let mut woken = Vec::new();
    // Three turns: the present page, the end of its round, and the beginning of the next.
    for _ in 0..3 {
        while let Some(call) = commands.calls.pop() {
            let further = match call.ticket.branch.as_str() {
                "back" => {
                    woken.push(call.ticket.gid.to_string());
                    node.driver.answer(&call, 200)
                }
                _ => {
                    let at = Some(destination(&call));
                    node.driver.input(Input::NotSent(call.ticket, at))
                }
            };
            commands.calls.extend(node.advance(further).calls);
        }
        let passed = node.driver.pass(500);
        commands = node.advance(passed);
    }
    woken.sort();
    assert_eq!(woken, ["z0", "z1", "z2"], "not one of them waits for the turn of 300 others");
    assert_eq!(node.driver.core.census().by_status[&Status::Confirming].0, 310);
}

/// Keeps P9.
#[test]
fn no_call_is_made_before_the_pause_asked_for_while_paged_out() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    node.answers_loads = true;
    let begun = node.driver.begin(&spec("t1", false, vec![branch("a", 0)]), Until::Accepted);
    let tries = node.advance(begun).calls;
    let tried = node.driver.answer(&tries[0], 200);
    let confirm = node.advance(tried).calls.remove(0);
    let retry_after = Some(std::time::Duration::from_secs(20));
    let busy = Answer::Status { code: 429, retry_after, excerpt: String::new() };
    node.input(Input::Answered(confirm.ticket, busy));
    assert!(!node.is_live("t1"));
    // Also not by somebody who only looks at it.
    let read = node.driver.read(&gid("t1"));
    assert!(node.advance(read).calls.is_empty());
    for _ in 0..38 {
        let passed = node.driver.pass(500);
        assert!(node.advance(passed).calls.is_empty());
    }
    let mut passed = node.driver.pass(1_000);
    let mut called = node.advance(passed).calls;
    passed = node.driver.pass(1_000);
    called.extend(node.advance(passed).calls);
    assert_eq!(called.len(), 1);
    // Who asks for it is heard at once.
    let busy = Answer::Status { code: 429, retry_after, excerpt: String::new() };
    node.input(Input::Answered(called[0].ticket.clone(), busy));
    let retried =
        node.driver.ask(&gid("t1"), Ask::Retry { by: operator("somebody") }, Until::Accepted);
    assert_eq!(calls(&node.advance(retried)), ["a confirm 3"]);
}

#[test]
fn an_acknowledgement_is_not_forgotten_while_it_leaves() {
    let mut node =
        Node::with(EngineSettings { in_memory_waiting_transactions: 0, ..two_may_wait() });
    let branches = vec![branch("a", 0), branch("b", 1)];
    let begun = node.driver.begin(&spec("t1", false, branches), Until::Accepted);
    let mut confirms = Vec::new();
    for call in node.advance(begun).calls {
        let tried = node.driver.answer(&call, 200);
        confirms = node.advance(tried).calls;
    }
    node.driver.now.entropy = u64::MAX;
    let mut written = node.driver.answer(&confirms[0], 503);
    written.append.extend(node.driver.answer(&confirms[1], 503).append);
    // It leaves once this is durable. Its first call is answered again, by chance or twice.
    written.append.extend(node.driver.answer(&confirms[0], 200).append);
    node.advance(written);
    let acknowledged =
        |row: &BranchRecord| row.branch.as_str() == "a" && row.acknowledged_at.is_some();
    assert!(node.rows[&gid("t1")].branch_records.iter().any(acknowledged));
    assert!(!node.is_live("t1"));
}
