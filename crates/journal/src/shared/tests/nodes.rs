//! Several lives at once on one database, and what one does while another is in its middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use tercet_engine::{Batch, Change, Chunk, LifeState, Load};
use tercet_wire::{Gid, Incarnation, Wall};

use super::{last_batch, loaded, on_each_server, rows, run};
use crate::conformance::{
    Rig, finished, patiently, record, trying, until_known, until_somebody_waits,
};
use crate::shared::Server;
use crate::sql::{Dialect, SharedDialect};
use crate::store::{CommitError, NOBODY, Store};
use crate::{JournalError, JournalSettings};

on_each_server!(
    a_marker_waits_for_a_batch_under_way_and_changes_nothing,
    a_batch_that_waits_for_its_marker_writes_nothing,
    a_batch_that_waits_for_the_end_of_its_row_writes_nothing,
    a_name_at_work_is_refused_to_another_node,
    a_new_life_ends_a_silent_one_of_its_node_and_takes_nothing,
    a_life_knows_when_anybody_wrote_last,
    what_has_lost_its_owner_is_nobodys_until_it_is_taken_over,
    an_owner_without_a_row_is_an_orphan,
    a_look_waits_for_nothing_else_that_is_read,
);

const FIRST: Incarnation = Incarnation(1);

fn empty(number: i64) -> Batch {
    Batch { number, written_at: Wall(number), records: Vec::new(), acts: Vec::new() }
}

pub(super) fn begin(number: i64, names: &[&str]) -> Batch {
    let begun = |(seq, name): (u64, &&str)| {
        let spec = trying(name, seq, 0);
        record(seq, &spec, Change::Begun(spec.clone()))
    };
    let records = (1..).zip(names).map(begun).collect();
    Batch { number, written_at: Wall(number), records, acts: Vec::new() }
}

fn gid(name: &str) -> Gid {
    name.parse().unwrap()
}

/// The fence of the first life's batch, and the marker of the first life.
fn fence(on: &DatabaseConnection, number: i64) -> Statement {
    match on.get_database_backend() {
        DbBackend::Postgres => crate::postgres::Postgres::DIALECT.fence(FIRST, number, Wall(1)),
        _ => crate::mysql::MySql::DIALECT.fence(FIRST, number, Wall(1)),
    }
}

fn mark(on: &DatabaseConnection, seen: i64) -> Statement {
    match on.get_database_backend() {
        DbBackend::Postgres => crate::postgres::Postgres::DIALECT.mark(FIRST, seen),
        _ => crate::mysql::MySql::DIALECT.mark(FIRST, seen),
    }
}

fn remove(on: &DatabaseConnection) -> Statement {
    match on.get_database_backend() {
        DbBackend::Postgres => crate::postgres::Postgres::DIALECT.remove(FIRST),
        _ => crate::mysql::MySql::DIALECT.remove(FIRST),
    }
}

async fn changed(on: &impl ConnectionTrait, statement: Statement) -> u64 {
    on.execute_raw(statement).await.unwrap().rows_affected()
}

async fn row(store: &Arc<dyn Store>) -> Option<(LifeState, i64)> {
    let rows = store.cluster().unwrap().lives().await.unwrap();
    let row = rows.into_iter().find(|row| row.incarnation == FIRST);
    row.map(|row| (row.state, row.batch_no))
}

/// Submits a batch until its outcome is known.
pub(super) async fn settled(store: &Arc<dyn Store>, batch: &Batch) -> Result<(), CommitError> {
    until_known(store, batch).await.map(|_| ())
}

/// Keeps P8.
async fn a_marker_waits_for_a_batch_under_way_and_changes_nothing(rig: Rig) {
    let rig = rig.of_several_nodes();
    let (first, second) = (rig.only_store().await, rig.only_store().await);
    settled(&first, &empty(1)).await.unwrap();
    // Batch 2 is under way on a connection that is slow.
    let (slow, looking) = (rig.server().outsider().await, rig.server().outsider().await);
    let batch = slow.begin().await.unwrap();
    assert_eq!(changed(&batch, fence(&slow, 2)).await, 1);
    let marker = Arc::clone(&second);
    let marker = tokio::spawn(async move { marker.cluster().unwrap().mark_fenced(FIRST, 1).await });
    until_somebody_waits(&looking).await;
    batch.commit().await.unwrap();
    match patiently(marker).await.unwrap() {
        Ok(marked) => assert!(!marked, "a life that writes is fenced"),
        // The server has not let it wait so long; whoever asked asks again.
        Err(_) => assert!(!second.cluster().unwrap().mark_fenced(FIRST, 1).await.unwrap()),
    }
    assert_eq!(row(&second).await, Some((LifeState::Live, 2)));
    // It was written, and the life goes on.
    assert_eq!(settled(&first, &empty(2)).await, Ok(()));
    assert_eq!(settled(&first, &begin(3, &["a"])).await, Ok(()));
}

/// Keeps P8.
async fn a_batch_that_waits_for_its_marker_writes_nothing(rig: Rig) {
    waits_for(rig, false).await;
}

/// Keeps P8. The marker and the end of the row, as if whoever was to write had been frozen in the
/// middle of its first statement.
async fn a_batch_that_waits_for_the_end_of_its_row_writes_nothing(rig: Rig) {
    waits_for(rig, true).await;
}

async fn waits_for(rig: Rig, the_end: bool) {
    let rig = rig.of_several_nodes();
    let (first, second) = (rig.only_store().await, rig.only_store().await);
    settled(&first, &empty(1)).await.unwrap();
    let (marker, looking) = (rig.server().outsider().await, rig.server().outsider().await);
    let marked = marker.begin().await.unwrap();
    assert_eq!(changed(&marked, mark(&marker, 1)).await, 1);
    if the_end {
        assert!(changed(&marked, remove(&marker)).await > 0);
    }
    let writer = Arc::clone(&first);
    let written = tokio::spawn(async move { settled(&writer, &begin(2, &["a"])).await });
    until_somebody_waits(&looking).await;
    marked.commit().await.unwrap();
    let refused = patiently(written).await.unwrap();
    assert!(matches!(refused, Err(CommitError::Fenced(_))), "{refused:?}");
    assert_eq!(rows(&looking).await, [0; 14]);
    let expected = (!the_end).then_some((LifeState::Fenced, 1));
    assert_eq!(row(&second).await, expected);
}

async fn open(settings: &JournalSettings) -> Result<Arc<dyn Store>, JournalError> {
    let at = crate::database::at(&settings.database_url).unwrap();
    at.open(settings, Wall(0), &tokio::runtime::Handle::current()).await
}

async fn a_name_at_work_is_refused_to_another_node(rig: Rig) {
    let mut settings = JournalSettings { node_url: "http://one".to_owned(), ..rig.next_life() };
    settings.heartbeat = Duration::from_millis(500);
    rig.server().make().await;
    let first = open(&settings).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (at_work, stopped) = (Arc::clone(&first), Arc::clone(&stop));
    let at_work = tokio::spawn(async move {
        let mut number = 1;
        while !stopped.load(Ordering::Relaxed) {
            settled(&at_work, &empty(number)).await.unwrap();
            number += 1;
        }
        number
    });
    let other = JournalSettings {
        incarnation: Incarnation(2),
        node_url: "http://two".to_owned(),
        ..settings.clone()
    };
    let Err(refused) = open(&other).await else { panic!("two nodes have one name") };
    let said = refused.to_string();
    assert!(said.contains(&settings.node_id) && said.contains("http://one"), "{said}");
    assert!(matches!(refused, JournalError::NodeIdTaken { .. }), "{refused:?}");
    stop.store(true, Ordering::Relaxed);
    let next = patiently(at_work).await.unwrap();
    assert_eq!(settled(&first, &empty(next)).await, Ok(()), "it is let be");
    let lives = first.cluster().unwrap().lives().await.unwrap();
    assert_eq!(lives.len(), 1, "{lives:?}");
}

async fn a_new_life_ends_a_silent_one_of_its_node_and_takes_nothing(rig: Rig) {
    let first = rig.only_store().await;
    settled(&first, &begin(1, &["a"])).await.unwrap();
    let second = rig.only_store().await;
    assert_eq!(row(&second).await, Some((LifeState::Fenced, 1)));
    let refused = settled(&first, &begin(2, &["b"])).await;
    assert!(matches!(refused, Err(CommitError::Fenced(_))), "{refused:?}");
    let Load::Elsewhere(owner) = loaded(&second, &gid("a")).await else {
        panic!("it was taken over unasked")
    };
    assert_eq!(owner, FIRST);
}

async fn a_life_knows_when_anybody_wrote_last(rig: Rig) {
    let rig = rig.of_several_nodes();
    let (first, second) = (rig.only_store().await, rig.only_store().await);
    settled(&first, &empty(1)).await.unwrap();
    assert_eq!(rig.only_store().await.last_written(), Some(Wall(1)));
    for number in 1..=3 {
        settled(&second, &empty(number)).await.unwrap();
    }
    assert_eq!(rig.only_store().await.last_written(), Some(Wall(3)));
}

fn chunk(number: i64, dead: Incarnation, names: &[&str]) -> Chunk {
    let gids = names.iter().map(|name| gid(name)).collect();
    Chunk { number, written_at: Wall(number), dead, gids }
}

async fn what_has_lost_its_owner_is_nobodys_until_it_is_taken_over(rig: Rig) {
    let rig = rig.of_several_nodes();
    let (first, second) = (rig.only_store().await, rig.only_store().await);
    let shell = rig.server().outsider().await;
    let over = trying("c", 3, 0);
    let mut batch = begin(1, &["a", "b"]);
    let ended = (3..).zip(finished(&over, 1, 2)).map(|(seq, change)| record(seq, &over, change));
    batch.records.extend(ended);
    settled(&first, &batch).await.unwrap();
    let others = second.cluster().unwrap();
    assert_eq!(others.orphans(None).await.unwrap(), []);
    run(&shell, "UPDATE global_transactions SET owner = NULL WHERE gid = 'a'").await;
    // Not even whoever drove it writes of it, or two would who had both read it.
    let spec = trying("a", 1, 0);
    for change in [Change::Parked(true), finished(&spec, 1, 2)[1].clone()] {
        let records = vec![record(6, &spec, change)];
        let refused =
            settled(&first, &Batch { number: 2, written_at: Wall(2), records, acts: Vec::new() })
                .await;
        assert!(matches!(refused, Err(CommitError::Rejected(_))), "{refused:?}");
    }
    for store in [&first, &second] {
        let Load::Elsewhere(owner) = loaded(store, &spec.gid).await else {
            panic!("two would drive it")
        };
        assert_eq!(owner, NOBODY);
    }
    assert!(matches!(loaded(&second, &over.gid).await, Load::Found(_)), "it is everybody's");
    assert_eq!(others.orphans(None).await.unwrap(), [NOBODY]);
    assert_eq!(others.orphans(Some(NOBODY)).await.unwrap(), []);
    for undecided in [true, false] {
        let found = others.driven_by(NOBODY, undecided, None, 10).await.unwrap();
        assert_eq!(found, [gid("a")], "{undecided}");
    }
    let taken = others.take_over(&chunk(1, NOBODY, &["a", "b", "c"])).await.unwrap();
    assert_eq!(taken, [gid("a")]);
    assert!(matches!(loaded(&second, &spec.gid).await, Load::Found(_)));
    assert_eq!(others.orphans(None).await.unwrap(), []);
    let records = vec![record(1, &spec, Change::Parked(true))];
    let written = Batch { number: 2, written_at: Wall(2), records, acts: Vec::new() };
    assert_eq!(settled(&second, &written).await, Ok(()));
}

async fn an_owner_without_a_row_is_an_orphan(rig: Rig) {
    let rig = rig.of_several_nodes();
    let (first, second) = (rig.only_store().await, rig.only_store().await);
    let shell = rig.server().outsider().await;
    settled(&first, &begin(1, &["a", "b", "c"])).await.unwrap();
    settled(&second, &begin(1, &["d"])).await.unwrap();
    run(&shell, "UPDATE global_transactions SET owner = 77 WHERE gid = 'b'").await;
    run(&shell, "UPDATE global_transactions SET owner = 99 WHERE gid = 'c'").await;
    let others = second.cluster().unwrap();
    let (low, high) = (Incarnation(77), Incarnation(99));
    assert_eq!(others.orphans(None).await.unwrap(), [low, high]);
    assert_eq!(others.orphans(Some(low)).await.unwrap(), [high]);
    assert_eq!(others.orphans(Some(high)).await.unwrap(), []);
    assert_eq!(others.driven_by(low, false, None, 10).await.unwrap(), [gid("b")]);
    assert_eq!(others.take_over(&chunk(2, low, &["a", "b"])).await.unwrap(), [gid("b")]);
    assert_eq!(others.orphans(None).await.unwrap(), [high]);
    assert_eq!(last_batch(&shell).await, 2);
}

/// Keeps P8.
async fn a_look_waits_for_nothing_else_that_is_read(rig: Rig) {
    let store = rig.only_store().await;
    settled(&store, &empty(1)).await.unwrap();
    let (holder, looking) = (rig.server().outsider().await, rig.server().outsider().await);
    let (hold, let_go, waiting) = match holder.get_database_backend() {
        DbBackend::Postgres => (
            "BEGIN; LOCK TABLE global_transactions IN ACCESS EXCLUSIVE MODE",
            "COMMIT",
            "SELECT COUNT(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        ),
        _ => (
            "LOCK TABLES global_transactions WRITE",
            "UNLOCK TABLES",
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE db = DATABASE() AND state LIKE 'Waiting for table%'",
        ),
    };
    run(&holder, hold).await;
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(&store);
        reads.spawn(async move {
            store.cluster().unwrap().driven_by(Incarnation(90 + number), false, None, 10).await
        });
    }
    // All of the node's connections that read have one.
    patiently(async {
        while super::number(&looking, waiting).await < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(row(&store).await, Some((LifeState::Live, 1)));
    run(&holder, let_go).await;
    patiently(reads.join_all()).await;
}
