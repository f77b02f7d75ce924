//! What operators do: calls made at once, and branches ended by hand. P2, P4, P7.

mod world;

use std::sync::Arc;

use tercet_engine::{
    Act, Ask, Call, Change, Commands, Input, Load, Record, Rules, StoredTransaction, Transaction,
    Until,
};
use tercet_wire::{Action, Audited, BranchStatus, EventKind, Operator, ResolvedAs};
use world::content::{act, branch, gid, operator, resolution, spec};
use world::driver::{Driver, calls, names, records, replies};

const NOTHING: [&str; 0] = [];

/// Branches `a` and `b`, confirming; their Confirms are under way.
fn confirming(driver: &mut Driver) -> Vec<Call> {
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    for call in &tries {
        driver.answer(call, 200);
    }
    driver.durable().calls
}

fn resolve(id: &str, as_: ResolvedAs) -> Ask {
    Ask::Resolve(Box::new(resolution(id, as_)))
}

fn retry() -> Ask {
    Ask::Retry { by: operator("10.0.0.9") }
}

fn transaction(driver: &Driver) -> &Transaction {
    driver.core.engine().transaction(&gid("t")).expect("live")
}

/// The lines of history among these records, as `kind detail`.
fn lines(records: &[Record]) -> Vec<String> {
    let changes = records.iter().flat_map(|record| record.change.parts());
    let lines = changes.filter_map(|change| match change {
        Change::History(line) => {
            Some(format!("{} {}", line.kind, line.detail.as_deref().unwrap_or_default()))
        }
        _ => None,
    });
    lines.collect()
}

#[test]
fn a_resolution_is_durable_before_it_is_told_and_finishes() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let confirms = confirming(&mut driver);
    driver.answer(&confirms[0], 200);
    driver.answer(&confirms[1], 404);
    driver.durable();
    let commands = driver.ask(&gid("t"), resolve("b", ResolvedAs::Confirmed), Until::Accepted);
    assert_eq!(records(&commands), ["BranchRecord", "History", "Finished"]);
    assert_eq!(lines(&commands.append), ["resolved as confirmed by 10.0.0.9: seen in their books"]);
    // The end rests on the word too, so nobody hears of either before it is durable.
    assert_eq!(replies(&commands), NOTHING);
    let word = commands.append[0].seq;
    assert_eq!(replies(&driver.durable_to(word.0)), ["1 201 confirmed", "2 200 confirmed"]);
}

#[test]
fn a_resolution_waits_for_the_call_under_way() {
    let mut driver = Driver::new();
    let confirms = confirming(&mut driver);
    let commands = driver.ask(&gid("t"), resolve("b", ResolvedAs::Cancelled), Until::Accepted);
    // It is durable before anybody is told of it.
    assert_eq!((records(&commands), replies(&commands)), (vec!["BranchRecord".into()], vec![]));
    assert_eq!(calls(&driver.ask(&gid("t"), retry(), Until::Accepted)), NOTHING);
    driver.durable();
    // Luck is nothing here: without the word the branch would be called again at once.
    let commands = driver.answer(&confirms[1], 503);
    assert_eq!(records(&commands), ["History", "BranchRecord", "History"]);
    let commands = driver.durable();
    assert_eq!(calls(&commands), NOTHING);
    assert_eq!(replies(&commands), ["2 200 confirming"]);
    assert!(transaction(&driver).is_mixed());
    assert_eq!(replies(&driver.answer(&confirms[0], 200)), ["1 201 confirmed"]);
}

#[test]
fn an_acknowledgement_that_comes_first_wins_over_the_word() {
    let mut driver = Driver::new();
    let confirms = confirming(&mut driver);
    driver.ask(&gid("t"), resolve("b", ResolvedAs::Cancelled), Until::Accepted);
    let commands = driver.answer(&confirms[1], 200);
    // Also after a crash: what said that it will be resolved is overwritten at once.
    assert_eq!(records(&commands), ["BranchRecord"]);
    assert_eq!(replies(&driver.durable()), ["2 AlreadyFinished(b)"]);
    assert!(!transaction(&driver).is_mixed());
    assert_eq!(replies(&driver.answer(&confirms[0], 200)), ["1 201 confirmed"]);
}

#[test]
fn a_word_takes_effect_after_two_seconds_whatever_the_call_does() {
    for (code, mixed) in [(200, false), (503, false), (202, false), (404, true), (410, true)] {
        let mut driver = Driver::new();
        let confirms = confirming(&mut driver);
        driver.answer(&confirms[0], 200);
        driver.ask(&gid("t"), resolve("b", ResolvedAs::Confirmed), Until::Accepted);
        let pending = driver.durable();
        assert_eq!(replies(&pending), NOTHING, "it has not taken effect");
        let branch = &transaction(&driver).branches()[1];
        let said = branch.pending_resolution().expect("shown");
        assert_eq!((said.as_, &*said.by), (ResolvedAs::Confirmed, "10.0.0.9"));
        assert_eq!(driver.next_in_ms(), Some(1_000), "the first acknowledgement is written");
        driver.pass(1_999);
        assert_eq!(transaction(&driver).branches()[1].resolved_as(), None);
        driver.pass(1);
        let told = replies(&driver.durable());
        assert_eq!(told, ["1 201 confirmed", "2 200 confirmed"]);
        // What the call still says is compared, and until then it is waited for.
        assert!(transaction(&driver).branches()[1].pending_resolution().is_none());
        assert_eq!(driver.core.next_deadline(), None);
        let late = driver.answer(&confirms[1], code);
        let expected: &[&str] = if mixed { &["BranchRecord", "History"] } else { &[] };
        assert_eq!(records(&late), expected, "{code}");
        // What has nothing more to be written leaves memory at once.
        let left = driver.core.engine().transaction(&gid("t"));
        assert_eq!(left.is_some_and(Transaction::is_mixed), mixed, "{code}");
        driver.durable();
        assert!(driver.core.engine().transaction(&gid("t")).is_none(), "it leaves memory");
    }
}

#[test]
fn a_word_against_the_decision_stays_mixed_whatever_the_call_says() {
    for code in [200, 409, 503] {
        let mut driver = Driver::new();
        let confirms = confirming(&mut driver);
        driver.ask(&gid("t"), resolve("b", ResolvedAs::Cancelled), Until::Accepted);
        driver.pass(2_000);
        assert!(transaction(&driver).is_mixed());
        driver.answer(&confirms[1], code);
        let branch = &transaction(&driver).branches()[1];
        let contradicted = branch.is_contradicted();
        assert_eq!((transaction(&driver).is_mixed(), contradicted), (true, code == 200));
    }
}

#[test]
fn a_word_that_waits_for_a_call_goes_on_after_a_restart() {
    let mut first = Driver::new();
    let two = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
    let mut written = first.begin(&two, Until::Decided).append;
    for call in first.durable().calls {
        written.extend(first.answer(&call, 200).append);
    }
    first.durable();
    let word = resolve("b", ResolvedAs::Cancelled);
    written.extend(first.ask(&gid("t"), word, Until::Accepted).append);
    let stored = rows(&written);
    let shown = Transaction::restore(&stored, first.now);
    assert!(shown.branches()[1].pending_resolution().is_some(), "it was durable");
    let mut second = Driver::new();
    let commands = second.input(Input::Adopt(Box::new(stored)));
    assert_eq!(records(&commands), ["BranchRecord", "History"]);
    let told = ["resolved as cancelled by 10.0.0.9: seen in their books"];
    assert_eq!(lines(&commands.append), told);
    assert_eq!(calls(&second.durable()), ["a confirm 1"]);
}

#[test]
fn of_two_words_the_first_is_heard() {
    let mut driver = Driver::new();
    let confirms = confirming(&mut driver);
    for (as_, rows) in
        [(ResolvedAs::Confirmed, 1), (ResolvedAs::Cancelled, 0), (ResolvedAs::Confirmed, 0)]
    {
        let commands = driver.ask(&gid("t"), resolve("b", as_), Until::Accepted);
        assert_eq!((records(&commands).len(), replies(&commands)), (rows, vec![]), "{as_}");
    }
    // The other is told so as soon as the first is durable, however soon that takes effect.
    assert_eq!(replies(&driver.durable()), ["3 ResolvedOtherwise(b, Confirmed)"]);
    driver.answer(&confirms[1], 503);
    assert_eq!(replies(&driver.durable()), ["2 200 confirming", "4 200 confirming"]);
    assert_eq!(transaction(&driver).branches()[1].resolved_as(), Some(ResolvedAs::Confirmed));
}

#[test]
fn a_resolution_is_refused_by_name_where_it_cannot_be() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    let confirmed = ResolvedAs::Confirmed;
    let ask = |driver: &mut Driver, id| {
        replies(&driver.ask(&gid("t"), resolve(id, confirmed), Until::Accepted))
    };
    assert_eq!(ask(&mut driver, "x"), ["2 BranchNotFound(x)"]);
    assert_eq!(ask(&mut driver, "a"), ["3 NotDecided"]);
    driver.answer(&tries[0], 200);
    driver.answer(&tries[1], 200);
    let confirms = driver.durable().calls;
    driver.answer(&confirms[0], 200);
    assert_eq!(ask(&mut driver, "a"), ["4 AlreadyFinished(a)"]);
    driver.read(&gid("u"));
    driver.ask(&gid("u"), resolve("a", confirmed), Until::Accepted);
    driver.ask(&gid("u"), retry(), Until::Accepted);
    let commands = driver.input(Input::Loaded(gid("u"), Load::Nothing));
    assert_eq!(replies(&commands), ["5 NotFound"]);
    // These asked after the journal had begun to look.
    let commands = driver.input(Input::Loaded(gid("u"), Load::Nothing));
    assert_eq!(replies(&commands), ["6 NotFound", "7 NotFound"]);
}

#[test]
fn a_resolution_is_shown_across_a_restart_and_after_the_end() {
    let mut driver = Driver::new();
    let two = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
    let mut written = driver.begin(&two, Until::Decided).append;
    let tries = driver.durable().calls;
    for call in &tries {
        written.extend(driver.answer(call, 200).append);
    }
    let confirms = driver.durable().calls;
    let word = resolve("b", ResolvedAs::Cancelled);
    written.extend(driver.ask(&gid("t"), word, Until::Accepted).append);
    written.extend(driver.answer(&confirms[1], 410).append);
    let at = driver.now;
    let shown = |transaction: &Transaction| {
        let branch = &transaction.branches()[1];
        assert!(!branch.is_parked() && transaction.is_mixed() && branch.is_done());
        assert_eq!(branch.resolved_as(), Some(ResolvedAs::Cancelled));
        let summary = transaction.summary();
        assert!(summary.mixed && !summary.parked);
        let snapshot = tercet_engine::Snapshot {
            transaction: transaction.clone(),
            at,
            paused: tercet_engine::PausedNames::default(),
        };
        let view = snapshot.branch_view(branch.id()).expect("the branch");
        assert_eq!(view.status, BranchStatus::Cancelled);
        assert!(view.finished_at.is_some());
    };
    shown(transaction(&driver));
    shown(&Transaction::restore(&rows(&written), driver.now));
    // Its sibling ends it all; the row of the one resolved stays as it was written.
    let end = driver.answer(&confirms[0], 200);
    assert_eq!(records(&end), ["Finished"]);
    written.extend(end.append);
    let stored = rows(&written);
    assert_eq!(stored.status, tercet_wire::Status::Confirmed);
    shown(&Transaction::restore(&stored, driver.now));
}

#[test]
fn a_resolved_branch_is_not_called_again_after_a_restart() {
    let mut first = Driver::new();
    let two = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
    let mut written = first.begin(&two, Until::Decided).append;
    for call in first.durable().calls {
        written.extend(first.answer(&call, 200).append);
    }
    let confirms = first.durable().calls;
    first.now.entropy = u64::MAX;
    written.extend(first.answer(&confirms[1], 503).append);
    let word = resolve("b", ResolvedAs::Cancelled);
    written.extend(first.ask(&gid("t"), word, Until::Accepted).append);
    let mut second = Driver::new();
    second.core = tercet_engine::Core::new(
        tercet_engine::Engine::new(tercet_wire::Epoch(2), Default::default()),
        std::time::Duration::from_secs(5),
    );
    let commands = second.input(Input::Adopt(Box::new(rows(&written))));
    assert_eq!(calls(&commands), ["a confirm 1"]);
    // An answer that the first life was too short for.
    assert_eq!(records(&second.answer(&confirms[1], 200)), NOTHING);
    assert_eq!(transaction(&second).branches()[1].resolved_as(), Some(ResolvedAs::Cancelled));
}

/// The rows after these records.
fn rows(records: &[Record]) -> StoredTransaction {
    let Change::Begun(spec) = &records[0].change else { panic!("{records:?}") };
    let mut rows = StoredTransaction::begun(Arc::clone(spec));
    for record in &records[1..] {
        rows.apply(&record.change).expect("it fits");
    }
    rows
}

#[test]
fn a_retry_calls_what_waits_and_nothing_beside_a_call() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let confirms = confirming(&mut driver);
    driver.answer(&confirms[0], 503);
    assert_eq!(calls(&driver.durable()), NOTHING);
    let commands = driver.ask(&gid("t"), retry(), Until::Accepted);
    assert_eq!(lines(&commands.append), ["retried by 10.0.0.9"]);
    let commands = driver.durable();
    assert_eq!(calls(&commands), ["a confirm 2"]);
    assert_eq!(replies(&commands), ["2 200 confirming"]);
    // Both are under way now: nothing is left to hasten, and nothing to tell but who asked.
    let commands = driver.ask(&gid("t"), retry(), Until::Accepted);
    assert_eq!((records(&commands), calls(&commands)), (vec![], vec![]));
    let commands = driver.durable();
    assert_eq!((calls(&commands), replies(&commands)), (vec![], vec!["3 200 confirming".into()]));
}

/// The acts among these records, and what changed with each.
fn acts(commands: &Commands) -> Vec<(&Act, Vec<String>)> {
    let acted = commands.append.iter().filter_map(|record| match &record.change {
        Change::Acted(acted) => Some((&acted.act, names(&acted.changes))),
        _ => None,
    });
    acted.collect()
}

/// Keeps P3.
#[test]
fn what_an_operator_does_is_one_record_with_its_effect() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let confirms = confirming(&mut driver);
    driver.answer(&confirms[0], 503);
    driver.durable();
    let (at, of_t) = (driver.now.wall, Some(gid("t")));
    let did = |action, branch: Option<&str>, note: Option<&str>, detail: &str| Act {
        id: act(1),
        at,
        who: "10.0.0.9".into(),
        role: "operator".into(),
        action,
        gid: of_t.clone(),
        branch: branch.map(|id| id.parse().expect("an id")),
        note: note.map(Into::into),
        detail: detail.into(),
    };
    let commands = driver.ask(&gid("t"), retry(), Until::Accepted);
    let retried = did(Action::Retry, None, None, "{\"calls\":1}");
    assert_eq!(acts(&commands), [(&retried, vec!["History".to_owned()])]);
    assert_eq!((commands.append.len(), replies(&commands)), (1, vec![]));
    assert_eq!(replies(&driver.durable()), ["2 200 confirming"]);
    // The call that it made is under way: the word is written before it takes effect.
    let why = Some("seen in their books");
    let as_cancelled = did(Action::Resolve, Some("a"), why, "{\"as\":\"cancelled\"}");
    let commands = driver.ask(&gid("t"), resolve("a", ResolvedAs::Cancelled), Until::Accepted);
    assert_eq!(acts(&commands), [(&as_cancelled, vec!["BranchRecord".to_owned()])]);
    assert_eq!(commands.append.len(), 1);
    // What it comes to later is no second act, nor is a word that is not heard.
    driver.durable();
    for as_ in [ResolvedAs::Cancelled, ResolvedAs::Confirmed] {
        assert_eq!(acts(&driver.ask(&gid("t"), resolve("a", as_), Until::Accepted)), []);
    }
    let commands = driver.pass(2_000);
    assert_eq!((acts(&commands), records(&commands).len()), (vec![], 2));
    // One that takes effect at once is written with it.
    driver.answer(&confirms[1], 503);
    let commands = driver.ask(&gid("t"), resolve("b", ResolvedAs::Confirmed), Until::Accepted);
    let effect = vec!["BranchRecord".to_owned(), "History".to_owned()];
    assert_eq!(acts(&commands).pop().map(|(_, changes)| changes), Some(effect));
}

#[test]
fn what_is_refused_or_over_has_no_act() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0)]));
    for id in ["a", "x"] {
        let commands = driver.ask(&gid("t"), resolve(id, ResolvedAs::Confirmed), Until::Accepted);
        assert_eq!(commands.append, []);
    }
    // Its end is not durable, so that it is still here.
    driver.answer(&tries[0], 200);
    let confirms = driver.durable().calls;
    driver.answer(&confirms[0], 200);
    for ask in [retry(), resolve("a", ResolvedAs::Confirmed)] {
        assert_eq!(driver.ask(&gid("t"), ask, Until::Accepted).append, []);
    }
}

#[test]
fn a_part_of_a_larger_act_names_it_and_has_no_row() {
    let mut driver = Driver::new();
    driver.now.entropy = u64::MAX;
    let confirms = confirming(&mut driver);
    driver.answer(&confirms[0], 503);
    driver.durable();
    let by = Operator { audited: Audited::PartOf(act(7)), ..operator("10.0.0.9") };
    let commands = driver.ask(&gid("t"), Ask::Retry { by }, Until::Accepted);
    assert_eq!((acts(&commands), commands.append.len()), (vec![], 1));
    assert_eq!(lines(&commands.append), [format!("retried by 10.0.0.9 (act {})", act(7))]);
}

/// Keeps P9.
#[test]
fn a_full_history_still_says_what_people_did_within_bounds() {
    let rules = Rules { history_lines: 3, park_after_permanent_errors: 1_000, ..Rules::default() };
    let mut driver = Driver::rules(rules);
    driver.now.entropy = u64::MAX;
    let confirms = confirming(&mut driver);
    let mut told = Vec::new();
    let mut call = confirms[1].clone();
    for _ in 0..30 {
        told.extend(lines(&driver.answer(&call, 500).append));
        driver.durable();
        let retried = driver.ask(&gid("t"), retry(), Until::Accepted);
        told.extend(lines(&retried.append));
        // A retry that is not written down has nothing to wait for.
        let mut again = retried.calls;
        again.extend(driver.durable().calls);
        call = again.pop().expect("called again");
    }
    let ask = resolve("a", ResolvedAs::Confirmed);
    driver.ask(&gid("t"), ask, Until::Accepted);
    told.extend(lines(&driver.answer(&confirms[0], 500).append));
    let of = |kind: EventKind| told.iter().filter(|line| line.starts_with(kind.as_str())).count();
    assert_eq!(of(EventKind::CallFailed) + of(EventKind::Truncated), 3, "{told:?}");
    assert_eq!((of(EventKind::Retried), of(EventKind::Resolved)), (20, 1), "{told:?}");
    assert!(told.len() as u32 <= tercet_engine::history_bound(3, 2), "{told:?}");
}

#[test]
fn no_call_leaves_for_a_branch_resolved_while_it_was_held() {
    let mut driver = Driver::new();
    let tries = driver.begun(&spec("t", false, vec![branch("a", 0), branch("b", 1)]));
    for call in &tries {
        driver.answer(call, 200);
    }
    // The decision is taken and not durable: both Confirms wait for it.
    let resolved = driver.ask(&gid("t"), resolve("b", ResolvedAs::Confirmed), Until::Accepted);
    assert!(resolved.retract.is_empty(), "the dispatcher has not seen it");
    assert_eq!(records(&resolved), ["BranchRecord", "BranchRecord", "History"]);
    let durable = driver.durable();
    assert_eq!(calls(&durable), ["a confirm 1"]);
    assert_eq!(replies(&durable), ["2 200 confirming"]);
    assert_eq!(driver.core.held_effects(), 0);
}
