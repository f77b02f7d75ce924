//! What is held since a restore: released once, with its act, by whoever was first.

use std::collections::BTreeSet;
use std::sync::Arc;

use tercet_engine::{Change, HoldChange};
use tercet_wire::{AuditQuery, Gid, ListQuery, Spec, Wall};

use super::{Rig, act, on_each_store, open_transaction, patiently, trying, with_options};
use crate::{Held, JournalError};

on_each_store!(a_hold_is_released_once_with_its_act, what_is_held_is_counted);

/// What releases all that was held before.
pub(crate) fn releases(number: u32) -> HoldChange {
    HoldChange { number, held_to: None, at: Wall(7), who: Arc::from("ann") }
}

async fn acts(running: &super::Running) -> usize {
    let all =
        AuditQuery { who: None, gid: None, action: None, since: None, limit: 500, after: None };
    running.journal.audit(&all).await.unwrap().items.len()
}

/// Keeps exactly-once.
async fn a_hold_is_released_once_with_its_act(rig: Rig) {
    let running = rig.open().await;
    assert_eq!(running.journal.hold().await.unwrap(), None);
    let held = HoldChange { held_to: Some(Wall(5)), ..releases(1) };
    let release = async |number: u64, change: HoldChange| {
        patiently(running.journal.release(act(number, Wall(1), None), change)).await
    };
    release(1, held.clone()).await.unwrap();
    assert_eq!(running.journal.hold().await.unwrap(), Some(held));
    release(2, releases(2)).await.unwrap();
    let second = release(3, releases(2)).await;
    assert!(matches!(second, Err(JournalError::Overtaken)), "{second:?}");
    assert_eq!(acts(&running).await, 2, "what was not done is not in the audit");
    running.crash().await;
    let running = rig.open().await;
    assert_eq!(running.journal.hold().await.unwrap(), Some(releases(2)));
    running.crash().await;
}

/// One that is not open and six that are, all past their deadline, one that is not, one whose initiator is asked,
/// one that was begun since, and one that is decided.
async fn what_is_held_is_counted(rig: Rig) {
    let mut running = rig.open().await;
    let late = (1..=6).map(|number| open_transaction(&format!("late-{number}"), 10 + number, 0));
    let mut held: Vec<Arc<Spec>> = late.collect();
    held.push(trying("driven", 1, 0));
    held.push(open_transaction("waits", 2, 5));
    held.push(with_options(&trying("asked", 3, 0)));
    let (new, decided) = (trying("new", 4, 6), trying("decided", 5, 0));
    let begun = held.iter().chain([&new]).map(|spec| (spec, Change::Begun(Arc::clone(spec))));
    let finished = super::finished(&decided, 1, 2).into_iter().take(2);
    let changes = begun.chain(finished.map(|change| (&decided, change)));
    let records = (1..).zip(changes).map(|(seq, (spec, change))| super::record(seq, spec, change));
    running.write(records.collect()).await;
    let hold = HoldChange { held_to: Some(Wall(5)), ..releases(1) };
    patiently(running.journal.release(act(1, Wall(1), None), hold)).await.unwrap();
    let expected = Held {
        since: Wall(7),
        transactions: 9,
        open: 8,
        past_deadline: 8,
        release_cancels: 6,
        sample: (1..=5).map(|number| format!("late-{number}").parse().unwrap()).collect(),
    };
    let summary = async |now: i64| running.journal.summary(Wall(now)).await.unwrap().held;
    assert_eq!(summary(30_004).await, Some(expected));
    let nobody = Some((9, 0, 0, Vec::new()));
    let counts = |it: Held| (it.transactions, it.past_deadline, it.release_cancels, it.sample);
    assert_eq!(summary(29_999).await.map(counts), nobody);
    let listed = async || {
        let items = running.journal.list(&ListQuery::all(50)).await.unwrap().items;
        let held = items.into_iter().filter(|item| item.held);
        held.map(|item| item.gid).collect::<BTreeSet<Gid>>()
    };
    assert_eq!(listed().await, held.iter().map(|spec| spec.gid.clone()).collect());
    patiently(running.journal.release(act(2, Wall(1), None), releases(2))).await.unwrap();
    assert_eq!(summary(30_004).await, None);
    assert_eq!(listed().await, BTreeSet::new());
    running.crash().await;
}
