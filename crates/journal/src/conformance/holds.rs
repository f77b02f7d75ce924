//! What is held since a restore: released once, with its act, by whoever was first.

use std::sync::Arc;

use tercet_engine::HoldChange;
use tercet_wire::{AuditQuery, Wall};

use super::{Rig, act, on_each_store, patiently};
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

async fn what_is_held_is_counted(rig: Rig) {
    let mut running = rig.open().await;
    let (old, new) = (super::trying("old", 1, 0), super::trying("new", 2, 0));
    let decided = super::trying("decided", 3, 0);
    let begun = [&old, &new].map(|spec| tercet_engine::Change::Begun(Arc::clone(spec)));
    let [old_begun, new_begun] = begun;
    let mut records = vec![super::record(1, &old, old_begun), super::record(2, &new, new_begun)];
    let finished = super::finished(&decided, 1, 2).into_iter().take(2);
    records.extend((3..).zip(finished).map(|(seq, change)| super::record(seq, &decided, change)));
    running.write(records).await;
    let to = old.created_at;
    let hold = HoldChange { held_to: Some(to), ..releases(1) };
    patiently(running.journal.release(act(1, Wall(1), None), hold)).await.unwrap();
    let of_that_time = [&old, &new].iter().filter(|spec| spec.created_at <= to).count();
    let expected = Held { since: Wall(7), transactions: u64::try_from(of_that_time).unwrap() };
    assert_eq!(running.journal.summary().await.unwrap().held, Some(expected));
    patiently(running.journal.release(act(2, Wall(1), None), releases(2))).await.unwrap();
    assert_eq!(running.journal.summary().await.unwrap().held, None);
    running.crash().await;
}
