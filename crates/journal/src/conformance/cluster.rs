//! Two lives at once on the same rows: what each may write, and how what one drove becomes the
//! other's.

use std::time::Duration;

use tercet_engine::{Change, LifeRow, LifeState, Load, Urgency};
use tercet_wire::{Gid, Incarnation, Seq, Wall};

use super::{Fault, Rig, Running, finished, on_each_shared_store, patiently, record, trying};
use crate::{JournalEvent, Retention};

on_each_shared_store!(
    two_lives_write_beside_each_other,
    two_lives_that_begin_one_gid_have_one_winner,
    a_marker_changes_nothing_once_a_batch_has_come,
    a_chunk_takes_what_is_still_the_dead_lifes,
    a_chunk_of_unknown_outcome_is_done_once,
    a_fenced_life_takes_nothing_over,
    undecided_transactions_of_a_life_are_found_first,
    a_row_stays_while_a_transaction_points_to_it,
    a_life_that_leaves_says_so_after_all_it_wrote,
    a_node_with_nothing_to_write_shows_that_it_is_there,
    a_node_deletes_only_while_it_is_told_to,
);

const FIRST: Incarnation = Incarnation(1);
const SECOND: Incarnation = Incarnation(2);

/// Begins these, from this record on.
async fn begin(running: &mut Running, from: u64, names: &[&str]) {
    let specs = (from..).zip(names).map(|(number, name)| (number, trying(name, number, 0)));
    let begun = |(number, spec)| {
        let change = Change::Begun(std::sync::Arc::clone(&spec));
        record(number, &spec, change)
    };
    running.write(specs.map(begun).collect()).await;
}

fn gids(names: &[&str]) -> Vec<Gid> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

async fn row(running: &Running, life: Incarnation) -> Option<(LifeState, i64)> {
    let rows = running.journal.lives().await.unwrap();
    let row = rows.into_iter().find(|row: &LifeRow| row.incarnation == life);
    row.map(|row| (row.state, row.batch_no))
}

/// Takes these over, and says which it got.
async fn take_over(running: &mut Running, names: &[&str]) -> Vec<Gid> {
    running.journal.take_over(FIRST, gids(names));
    let mut announced = false;
    loop {
        match running.event().await {
            JournalEvent::TakingOver { dead, .. } => announced = dead == FIRST,
            JournalEvent::TakenOver { gids, .. } => {
                assert!(announced, "taken over before it was announced");
                return gids;
            }
            _ => {}
        }
    }
}

async fn is_mine(running: &mut Running, name: &str) -> bool {
    match running.load(&gids(&[name])[0]).await {
        Load::Found(_) => true,
        Load::Elsewhere(owner) => {
            let gid = &gids(&[name])[0];
            let stored = running.journal.look_at(gid).await.unwrap().unwrap();
            assert_eq!(stored.owner, Some(owner), "it is not said whose it is");
            false
        }
        other => panic!("{other:?}"),
    }
}

async fn two_lives_write_beside_each_other(rig: Rig) {
    let (mut first, mut second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a"]).await;
    begin(&mut second, 1, &["b"]).await;
    begin(&mut first, 2, &["c"]).await;
    assert_eq!(row(&second, FIRST).await, Some((LifeState::Live, 2)));
    assert_eq!(row(&first, SECOND).await, Some((LifeState::Live, 1)));
    assert!(is_mine(&mut first, "a").await && !is_mine(&mut second, "a").await);
    assert!(is_mine(&mut second, "b").await && !is_mine(&mut first, "b").await);
    assert_eq!((first.unfinished(10).await.len(), second.unfinished(10).await.len()), (2, 1));
    // Nor does the one write of what the other drives.
    let spec = trying("a", 1, 0);
    second.write(vec![record(2, &spec, Change::Parked(true))]).await;
    assert!(!first.stored(&spec.gid).await.unwrap().parked);
}

async fn two_lives_that_begin_one_gid_have_one_winner(rig: Rig) {
    let (mut first, mut second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a"]).await;
    let (own, other) = (trying("b", 7, 0), trying("a", 8, 0));
    let records = [
        record(1, &own, Change::Begun(own.clone())),
        record(2, &other, Change::Begun(other.clone())),
    ];
    let told = second.write(records.to_vec()).await;
    assert_eq!(told, [JournalEvent::Exists(other.gid.clone()), JournalEvent::Durable(Seq(2))]);
    assert!(is_mine(&mut second, "b").await && !is_mine(&mut second, "a").await);
}

async fn a_marker_changes_nothing_once_a_batch_has_come(rig: Rig) {
    let (mut first, second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a"]).await;
    assert!(!second.journal.mark_fenced(FIRST, 0).await.unwrap());
    begin(&mut first, 2, &["b"]).await;
    assert!(!second.journal.mark_fenced(FIRST, 1).await.unwrap());
    assert!(second.journal.mark_fenced(FIRST, 2).await.unwrap());
    assert!(!second.journal.mark_fenced(FIRST, 2).await.unwrap());
    assert_eq!(row(&second, FIRST).await, Some((LifeState::Fenced, 2)));
    let spec = trying("c", 3, 0);
    first.journal.append(vec![record(3, &spec, Change::Begun(spec.clone()))], Urgency::Now);
    assert_eq!(first.event().await, JournalEvent::Fenced);
}

async fn a_chunk_takes_what_is_still_the_dead_lifes(rig: Rig) {
    let (mut first, mut second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a", "b", "c"]).await;
    let over = trying("d", 4, 0);
    let ended = (4..).zip(finished(&over, 1, 2)).map(|(seq, change)| record(seq, &over, change));
    first.write(ended.collect()).await;
    begin(&mut second, 1, &["e"]).await;
    assert!(second.journal.mark_fenced(FIRST, 2).await.unwrap());
    let mut third = rig.open().await;
    assert_eq!(take_over(&mut second, &["c", "d", "a", "none"]).await, gids(&["a", "c"]));
    // Whoever comes second takes what is left.
    assert_eq!(take_over(&mut third, &["a", "b", "c"]).await, gids(&["b"]));
    let mut mine = [false; 3];
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        mine[place] = is_mine(&mut second, name).await;
    }
    assert_eq!(mine, [true, false, true]);
    // The chunk has a number among the batches', and what is taken is driven on.
    assert_eq!(row(&second, SECOND).await, Some((LifeState::Live, 2)));
    let spec = trying("a", 1, 0);
    second.write(vec![record(2, &spec, Change::Parked(true))]).await;
    assert!(second.stored(&spec.gid).await.unwrap().parked);
}

async fn a_chunk_of_unknown_outcome_is_done_once(rig: Rig) {
    let (mut first, mut second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a", "b"]).await;
    assert!(second.journal.mark_fenced(FIRST, 1).await.unwrap());
    second.faults.then(&[Fault::Before, Fault::After, Fault::CutAfter(0)]);
    assert_eq!(take_over(&mut second, &["a", "b"]).await, gids(&["a", "b"]));
    assert_eq!(row(&second, SECOND).await, Some((LifeState::Live, 1)));
    begin(&mut second, 1, &["c"]).await;
    assert_eq!(row(&second, SECOND).await, Some((LifeState::Live, 2)));
}

async fn a_fenced_life_takes_nothing_over(rig: Rig) {
    let (mut first, mut second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a"]).await;
    begin(&mut second, 1, &["b"]).await;
    assert!(second.journal.mark_fenced(FIRST, 1).await.unwrap());
    assert!(first.journal.mark_fenced(SECOND, 1).await.unwrap());
    second.journal.take_over(FIRST, gids(&["a"]));
    let announced = JournalEvent::TakingOver { dead: FIRST, gids: gids(&["a"]) };
    assert_eq!(second.event().await, announced);
    assert_eq!(second.event().await, JournalEvent::Fenced);
    assert!(is_mine(&mut first, "a").await);
}

async fn undecided_transactions_of_a_life_are_found_first(rig: Rig) {
    let (mut first, second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a", "b", "c"]).await;
    let decided = trying("b", 2, 0);
    let [_, confirm, _] = finished(&decided, 1, 2).try_into().unwrap();
    first.write(vec![record(4, &decided, confirm)]).await;
    let found = async |undecided: bool, after: Option<&str>, limit: u32| {
        let after: Option<Gid> = after.map(|name| name.parse().unwrap());
        second.journal.driven_by(FIRST, undecided, after.as_ref(), limit).await.unwrap()
    };
    assert_eq!(found(true, None, 10).await, gids(&["a", "c"]));
    assert_eq!(found(false, None, 2).await, gids(&["a", "b"]));
    assert_eq!(found(false, Some("b"), 2).await, gids(&["c"]));
    assert_eq!(found(false, Some("c"), 2).await, gids(&[]));
}

async fn a_row_stays_while_a_transaction_points_to_it(rig: Rig) {
    let (mut first, mut second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a"]).await;
    assert!(!second.journal.remove_life(FIRST).await.unwrap(), "it lives");
    assert!(second.journal.mark_fenced(FIRST, 1).await.unwrap());
    assert!(!second.journal.remove_life(FIRST).await.unwrap(), "it drives one");
    assert_eq!(row(&second, FIRST).await, Some((LifeState::Fenced, 1)));
    assert_eq!(take_over(&mut second, &["a"]).await, gids(&["a"]));
    assert!(second.journal.remove_life(FIRST).await.unwrap());
    assert_eq!(row(&second, FIRST).await, None);
}

async fn a_life_that_leaves_says_so_after_all_it_wrote(rig: Rig) {
    let (mut first, mut second) = (rig.open().await, rig.open().await);
    begin(&mut first, 1, &["a"]).await;
    let spec = trying("b", 2, 0);
    first.journal.append(vec![record(2, &spec, Change::Begun(spec.clone()))], Urgency::Linger);
    // Nobody knows, the first time, whether it has left.
    first.faults.then(&[Fault::None, Fault::After]);
    first.journal.leave(Duration::from_secs(60)).await.unwrap();
    assert_eq!(row(&second, FIRST).await, Some((LifeState::Left, 3)));
    assert!(!second.journal.mark_fenced(FIRST, 3).await.unwrap());
    assert_eq!(take_over(&mut second, &["a", "b"]).await, gids(&["a", "b"]));
}

async fn a_node_with_nothing_to_write_shows_that_it_is_there(mut rig: Rig) {
    rig.settings.heartbeat = Duration::from_millis(1);
    let first = rig.open().await;
    patiently(first.faults.until_submitted(3)).await;
    assert!(first.faults.submitted().iter().all(|batch| batch.records.is_empty()));
    let second = rig.open().await;
    assert!(row(&second, FIRST).await.is_some_and(|(_, number)| number >= 2));
}

async fn a_node_deletes_only_while_it_is_told_to(mut rig: Rig) {
    rig.settings.retention = Retention {
        transactions: Duration::ZERO,
        branches: Duration::ZERO,
        audit: Duration::ZERO,
        jobs: Duration::ZERO,
        every: Duration::from_millis(1),
        max_finished: 0,
    };
    let mut first = rig.open().await;
    let write = async |running: &mut Running, number: u64| {
        let spec = trying(&format!("tx-{number}"), number, 0);
        let records = (number * 3..).zip(finished(&spec, 1, 2));
        running.write(records.map(|(seq, change)| record(seq, &spec, change)).collect()).await;
    };
    rig.clock.set(Wall(1_000));
    for number in 1..=20 {
        write(&mut first, number).await;
    }
    assert!(first.faults.forgotten().is_empty(), "nobody has said so");
    first.journal.set_sweeping(true);
    patiently(first.faults.until_forgotten(1)).await;
    while first.stored(&gids(&["tx-1"])[0]).await.is_some() {}
    first.journal.set_sweeping(false);
    // Its turn may have come once more before it was told.
    write(&mut first, 21).await;
    let before = first.faults.forgotten().len();
    for number in 22..=40 {
        write(&mut first, number).await;
    }
    assert_eq!(first.faults.forgotten().len(), before);
}
