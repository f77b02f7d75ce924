//! What is shown of a transaction is the same before and after a restart.

mod world;

use std::sync::Arc;

use tercet_engine::{Ask, Change, Input, Record, StoredTransaction, Transaction, Until};
use world::content::{branch, gid, spec};
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
