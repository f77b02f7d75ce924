//! A sweep finds every decided transaction that waits, and nothing else, whatever happens.

use tercet_engine::{Change, Record};
use tercet_wire::{Gid, Status, Wall};

use super::rig::Running;
use super::{Rig, finished, on_each_store, record, trying};
use crate::JournalEvent;

on_each_store!(
    a_sweep_goes_through_what_is_decided_and_unfinished_by_gid,
    a_sweep_that_cannot_be_read_is_answered_all_the_same,
    another_life_sweeps_what_the_earlier_one_left,
);

/// `tx-0000` and on: each third is undecided, each third decided, each third finished.
async fn populated(rig: &Rig, transactions: u64) -> (Running, Vec<Gid>) {
    let mut running = rig.open().await;
    let (mut records, mut decided): (Vec<Record>, Vec<Gid>) = (Vec::new(), Vec::new());
    for number in 0..transactions {
        let spec = trying(&format!("tx-{number:04}"), number, 0);
        let changes = usize::try_from(number % 3).unwrap() + 1;
        if changes == 2 {
            decided.push(spec.gid.clone());
        }
        for change in finished(&spec, 1, 2).into_iter().take(changes) {
            let seq = u64::try_from(records.len()).unwrap() + 1;
            records.push(record(seq, &spec, change));
        }
    }
    running.write(records).await;
    (running, decided)
}

async fn sweep(running: &mut Running, after: Option<Gid>) -> Vec<Gid> {
    running.journal.sweep(after);
    loop {
        if let JournalEvent::PageOfGids(gids) = running.event().await {
            return gids;
        }
    }
}

async fn a_sweep_goes_through_what_is_decided_and_unfinished_by_gid(rig: Rig) {
    let (mut running, decided) = populated(&rig, 603).await;
    let mut found = Vec::new();
    for page in [100, 100, 1, 0] {
        let gids = sweep(&mut running, found.last().cloned()).await;
        assert_eq!(gids.len(), page);
        found.extend(gids);
    }
    assert_eq!(found, decided);
    // What finishes meanwhile is passed over, and what is decided is met.
    let second = trying("tx-0000", 0, 0);
    let fourth = trying("tx-0004", 4, 0);
    let [_, confirm, finish] = finished(&second, 1, 2).try_into().unwrap();
    assert!(matches!(finish, Change::Finished { status: Status::Confirmed, at: Wall(2) }));
    running.write(vec![record(9_001, &second, confirm), record(9_002, &fourth, finish)]).await;
    let gids = sweep(&mut running, None).await;
    assert_eq!(
        (gids[0].as_str(), gids[1].as_str(), gids[2].as_str()),
        ("tx-0000", "tx-0001", "tx-0007")
    );
}

async fn a_sweep_that_cannot_be_read_is_answered_all_the_same(rig: Rig) {
    let (mut running, decided) = populated(&rig, 9).await;
    running.faults.fail_sweeps(3);
    running.journal.sweep(None);
    running.journal.sweep(decided.first().cloned());
    // Loads do not wait for it.
    assert!(running.stored(&decided[0]).await.is_some());
    let mut page_of_gids = Vec::new();
    while page_of_gids.len() < 2 {
        if let JournalEvent::PageOfGids(gids) = running.event().await {
            page_of_gids.push(gids);
        }
    }
    assert_eq!(page_of_gids, [decided.clone(), decided[1..].to_vec()]);
    assert_eq!(running.told(), []);
}

async fn another_life_sweeps_what_the_earlier_one_left(rig: Rig) {
    let (mut old, decided) = populated(&rig, 9).await;
    let mut new = rig.open().await;
    assert_eq!(sweep(&mut new, None).await, decided);
    // The one it replaced owns nothing any more.
    assert_eq!(sweep(&mut old, None).await, []);
}
