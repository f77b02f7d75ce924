//! Reads side by side.

use std::sync::Arc;

use sea_orm::TransactionTrait;
use tercet_engine::{Change, Load, StoredTransaction};
use tercet_wire::{BranchSpec, Gid, Wall};
use tokio::runtime::Handle;

use super::super::SqliteStore;
use super::{open, outsider, run};
use crate::conformance::{Rig, Running, patiently, record, trying};
use crate::store::{Purge, PurgeLimits, Read, Store};
use crate::{JournalError, JournalEvent, Unreadable};

/// Keeps P9.
#[tokio::test]
async fn the_nodes_own_reads_wait_for_no_list() {
    let mut rig = Rig::on_sqlite();
    rig.settings.read_connections = 1;
    let database = rig.sqlite_store(&rig.next_life()).await;
    // As long as it lasts, a list that is slow has this connection.
    let list = database.pools.query_pool.begin().await.unwrap();
    let gid = trying("tx-1", 1, 0).gid.clone();
    let loaded = patiently(database.load(std::slice::from_ref(&gid))).await.unwrap();
    assert_eq!(loaded, [(gid, Load::Nothing)]);
    assert!(patiently(database.sweep(None, 1)).await.unwrap().is_empty());
    assert!(patiently(database.unfinished(None, 1)).await.unwrap().is_empty());
    let most = PurgeLimits { transactions: 1, rows: 1 };
    let due = patiently(database.due_for_purging(Wall::MAX, most)).await.unwrap();
    assert!(due.gids.is_empty());
    assert_eq!(patiently(database.count_finished()).await.unwrap(), 0);
    list.rollback().await.unwrap();
}

/// Keeps P9.
#[tokio::test]
async fn a_page_ends_by_its_bytes_too() {
    let of_branch = |branch: &Arc<BranchSpec>| {
        branch.payload.len() + serde_json::to_string(&branch.headers).unwrap().len()
    };
    let two: usize = 2 * trying("tx-1", 1, 0).branches.iter().map(of_branch).sum::<usize>();
    let table = [
        (1, vec![1, 1, 1, 1, 1], vec![2, 1, 1, 1]),
        // Once they are read, headers have fewer bytes than as text.
        (u64::try_from(two).unwrap(), vec![2, 2, 1], vec![4, 1]),
        (1 << 20, vec![5], vec![5]),
    ];
    for (bytes, sound, damaged) in table {
        let mut rig = Rig::on_sqlite();
        rig.settings.page_bytes = bytes;
        let mut running = open(&rig, rig.next_life()).await.unwrap();
        let specs: Vec<_> = (1..=5).map(|n| trying(&format!("tx-{n}"), n, 0)).collect();
        let begins =
            (1..).zip(&specs).map(|(seq, spec)| record(seq, spec, Change::Begun(spec.clone())));
        running.write(begins.collect()).await;
        assert_eq!(pages(&running).await, sound, "{bytes}");
        // Who asked for all is told all.
        let gids: Vec<Gid> = specs.iter().map(|spec| spec.gid.clone()).collect();
        running.journal.load(gids.clone());
        for gid in &gids {
            let told = running.event().await;
            assert!(matches!(&told, JournalEvent::Loaded(of, Load::Found(_)) if of == gid));
        }
        // Where one is damaged they are read one by one, and it adds nothing itself.
        let damage = "UPDATE branch_transactions SET position = 'junk' WHERE gid = 'tx-1'";
        run(&outsider(&rig).await, damage).await;
        assert_eq!(pages(&running).await, damaged, "{bytes}");
    }
}

/// How many unfinished transactions each page has.
async fn pages(running: &Running) -> Vec<usize> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = running.journal.unfinished(after.as_ref(), 10).await.unwrap();
        let gid = |found: &Result<StoredTransaction, Unreadable>| match found {
            Ok(stored) => stored.spec.gid.clone(),
            Err(unreadable) => unreadable.gid.clone(),
        };
        after = page.last().map(gid);
        if after.is_none() {
            return pages;
        }
        pages.push(page.len());
    }
}

async fn locked(rig: &Rig) -> SqliteStore {
    let (file, readers) = (rig.sqlite_file(), Handle::current());
    SqliteStore::open(&file, &rig.next_life(), Wall(0), &readers).await.unwrap()
}

/// Keeps P9.
#[tokio::test]
async fn closing_waits_for_no_read_without_end() {
    let rig = Rig::on_sqlite();
    let database = locked(&rig).await;
    let list = database.pools.query_pool.begin().await.unwrap();
    let load = database.pools.recovery_pool.begin().await.unwrap();
    patiently(database.close()).await;
    // The file is free for the next process.
    locked(&rig).await;
    drop((list, load));
}

#[tokio::test]
async fn pools_are_opened_on_the_runtime_that_reads() {
    let rig = Rig::on_sqlite();
    let runtime = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.handle().clone()
    });
    // It has gone, and nobody can read on it.
    let gone = runtime.join().unwrap();
    let (file, life) = (rig.sqlite_file(), rig.next_life());
    let opened = SqliteStore::open_unlocked(&file, &life, Wall(0), &gone).await;
    assert!(matches!(opened.err(), Some(JournalError::Closed)));
}
