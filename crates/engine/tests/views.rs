//! What is shown of a transaction is the same before and after a restart.

mod world;

use std::sync::Arc;

use tercet_engine::{
    Ask, Change, Commands, Input, PausedNames, Record, Reply, Snapshot, StoredTransaction,
    Transaction, Until,
};
use tercet_wire::{BranchStatus, Wall};
use world::content::{CREATED_AT, branch, gid, spec};
use world::driver::Driver;

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
fn a_try_is_not_counted_if_it_was_never_made() {
    let mut driver = Driver::new();
    let mut records = driver.begin(&spec("t", false, vec![branch("a", 0)]), Until::Finished).append;
    let tries = driver.durable().calls;
    driver.input(Input::NotSent(tries[0].ticket.clone(), None));
    let cancel = Ask::Cancel { detail: None, if_unknown: None };
    records.extend(driver.ask(&gid("t"), cancel, Until::Decided).append);
    driver.durable();
    let live = driver.core.engine().transaction(&gid("t")).expect("live");
    assert_eq!(live.branches()[0].attempts().try_, 0);
    let restored = Transaction::restore(&rows(&records), driver.now);
    assert_eq!(restored.branches()[0].attempts().try_, 0);
}

/// Where the branches stand and when each has finished, as whoever is answered is shown it.
fn shown(mut told: Commands) -> Vec<(BranchStatus, Option<Wall>)> {
    let Reply::Transaction { snapshot, .. } = told.replies.remove(0).1 else { panic!("{told:?}") };
    of_each(&snapshot)
}

fn of_each(snapshot: &Snapshot) -> Vec<(BranchStatus, Option<Wall>)> {
    snapshot.view().branches.into_iter().map(|it| (it.status, it.finished_at)).collect()
}

#[test]
fn when_a_branch_has_finished_never_moves() {
    let confirmed = |ms: i64| (BranchStatus::Confirmed, Some(Wall(CREATED_AT.0 + ms)));
    // What its sibling follows soon is written with the end; else it is written by itself.
    for (alone_ms, then_ms, expected) in [(500, 0, [500, 500]), (1_000, 8_000, [0, 9_000])] {
        let mut driver = Driver::new();
        assert_eq!(driver.now.wall, CREATED_AT);
        let two = spec("t", false, vec![branch("a", 0), branch("b", 1)]);
        let mut written = driver.begin(&two, Until::Finished).append;
        for call in driver.durable().calls {
            written.extend(driver.answer(&call, 200).append);
        }
        let confirms = driver.durable().calls;
        written.extend(driver.answer(&confirms[0], 200).append);
        // A crash may yet forget that.
        assert_eq!(shown(driver.read(&gid("t")))[0], (BranchStatus::Confirmed, None));
        written.extend(driver.pass(alone_ms).append);
        if then_ms > 0 {
            driver.durable();
            assert_eq!(shown(driver.read(&gid("t")))[0], confirmed(expected[0]));
            driver.pass(then_ms);
        }
        let end = driver.answer(&confirms[1], 200);
        written.extend(end.append.clone());
        assert_eq!(shown(end), expected.map(confirmed));
        let transaction = Transaction::restore(&rows(&written), driver.now);
        let paused = PausedNames::default();
        let restored = Snapshot { transaction, at: driver.now, paused };
        assert_eq!(of_each(&restored), expected.map(confirmed));
    }
}
