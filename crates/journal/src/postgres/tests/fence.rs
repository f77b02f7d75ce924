//! The rows of batches as a fence: against whoever fences this life, whoever freezes, and
//! whoever reads an old moment.

use sea_orm::{ConnectionTrait, TransactionTrait};
use tercet_engine::{Batch, Change};
use tercet_wire::{Incarnation, Wall};

use super::super::dialect::PostgresDialect;
use super::super::session::PostgresSession;
use super::writer;
use crate::conformance::{Rig, record, trying, until_known, until_somebody_waits};
use crate::shared::Session;
use crate::sql::{Dialect, Field, SharedDialect};
use crate::store::CommitError;

/// Fences a life that was seen at batch `seen`; how many rows that changed.
async fn mark(session: &mut PostgresSession, dead: Incarnation, seen: i64) -> u64 {
    session.execute(&PostgresDialect.mark(dead, seen)).await.unwrap()
}

/// A session as the writer's, which the server lets be in the middle of a batch, or wait for one, for as
/// long as the test takes.
async fn patient_writer(rig: &Rig) -> PostgresSession {
    let mut session = writer(rig).await;
    for setting in ["idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"] {
        session.batch(format!("SET {setting} = 0")).await.unwrap();
    }
    session
}

fn empty(number: i64) -> Batch {
    Batch { number, written_at: Wall(number), records: Vec::new(), acts: Vec::new() }
}

fn begin(own: Incarnation, number: i64) -> String {
    format!("BEGIN; {}", PostgresDialect.fence(own, number, Wall(1)).sql)
}

/// Keeps P8.
#[tokio::test]
async fn a_life_whose_batch_is_under_way_is_not_fenced_and_one_that_is_writes_nothing() {
    let rig = Rig::on_postgres();
    let settings = rig.next_life();
    let own = settings.incarnation;
    let store = crate::database::at(&settings.database_url).unwrap();
    rig.server().make().await;
    let here = tokio::runtime::Handle::current();
    let store = store.open(&settings, Wall(0), &here).await.unwrap();
    for number in 1..=3 {
        assert_eq!(store.commit(&empty(number)).await, Ok(Vec::new()));
    }
    // Batch 4 is under way: whoever saw 3 waits for its end, and then has come too late.
    let (mut slow, mut marker) = (patient_writer(&rig).await, patient_writer(&rig).await);
    let looking = rig.server().outsider().await;
    assert_eq!(slow.batch(begin(own, 4)).await.unwrap(), 1);
    let (marked, _) = tokio::join!(mark(&mut marker, own, 3), async {
        until_somebody_waits(&looking).await;
        slow.batch("COMMIT".to_owned()).await.unwrap();
    });
    assert_eq!(marked, 0);
    assert_eq!(store.commit(&empty(4)).await, Ok(Vec::new()), "it was written");
    assert_eq!(store.commit(&empty(5)).await, Ok(Vec::new()));
    // What was seen long ago fences nobody, although that row has gone.
    for seen in 0..=4 {
        assert_eq!(mark(&mut marker, own, seen).await, 0, "{seen}");
    }
    // The mark is being made: the batch waits for it, and then is refused.
    marker.batch("BEGIN".to_owned()).await.unwrap();
    assert_eq!(mark(&mut marker, own, 5).await, 1);
    let sixth = empty(6);
    let (refused, _) = tokio::join!(until_known(&store, &sixth), async {
        until_somebody_waits(&looking).await;
        marker.batch("COMMIT".to_owned()).await.unwrap();
    });
    assert!(matches!(refused, Err(CommitError::Fenced(_))), "{refused:?}");
    let refused = store.commit(&sixth).await;
    assert!(matches!(refused, Err(CommitError::Fenced(_))), "{refused:?}");
}

/// Keeps P8.
#[tokio::test]
async fn two_submissions_of_one_batch_at_once_write_it_once() {
    let rig = Rig::on_postgres();
    let store = rig.only_store().await;
    let own = Incarnation(1);
    assert_eq!(store.commit(&empty(1)).await, Ok(Vec::new()));
    // The answer to this one's COMMIT is lost, say; its transaction is still there.
    let mut first = patient_writer(&rig).await;
    let looking = rig.server().outsider().await;
    assert_eq!(first.batch(begin(own, 2)).await.unwrap(), 1);
    let second = empty(2);
    let (again, _) = tokio::join!(until_known(&store, &second), async {
        until_somebody_waits(&looking).await;
        first.batch("COMMIT".to_owned()).await.unwrap();
    });
    assert_eq!(again, Ok(Vec::new()));
    assert_eq!(store.commit(&empty(3)).await, Ok(Vec::new()));
}

/// Keeps P6. Whoever freezes in the middle of a batch holds its gids; the server ends that.
#[tokio::test]
async fn a_frozen_session_stops_nobody_for_long() {
    let rig = Rig::on_postgres();
    let store = rig.only_store().await;
    let mut frozen = writer(&rig).await;
    let taken = "INSERT INTO global_transactions (gid, instance, pattern, status, open, parked, \
                 created_at, deadline_at) VALUES ('tx-1', 'x', 'tcc', 'trying', FALSE, FALSE, 0, 0)";
    frozen.batch(format!("BEGIN; {taken}")).await.unwrap();
    let spec = trying("tx-1", 1, 0);
    let records = vec![record(1, &spec, Change::Begun(spec.clone()))];
    let batch = Batch { number: 1, written_at: Wall(1), records, acts: Vec::new() };
    assert_eq!(until_known(&store, &batch).await, Ok(Vec::new()));
    let refused = frozen.batch("COMMIT".to_owned()).await;
    assert!(refused.is_err(), "what was frozen is written: {refused:?}");
}

/// Each batch leaves a dead row, and none may walk those of the others. Counted in pages, which no
/// other work on the machine makes more.
#[tokio::test]
#[ignore = "it takes a minute"]
async fn a_batch_is_no_slower_beside_a_long_snapshot() {
    const BATCHES: i64 = 20_000;
    let rig = Rig::on_postgres();
    let store = rig.only_store().await;
    let outsider = rig.server().outsider().await;
    let snapshot = outsider.begin().await.unwrap();
    let hold = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT COUNT(*) FROM node_batches";
    snapshot.execute_unprepared(hold).await.unwrap();
    let mut session = writer(&rig).await;
    let mut pages = Vec::new();
    for number in 1..=BATCHES {
        if number == 1_000 || number == BATCHES {
            pages.push(pages_of_fence(&mut session, number).await);
        }
        store.commit(&empty(number)).await.unwrap();
    }
    assert!(pages[0] > 0 && pages[1] <= pages[0] * 2, "{pages:?}");
    snapshot.rollback().await.unwrap();
}

/// How many pages the fence of this batch looks at. It is rolled back.
async fn pages_of_fence(session: &mut PostgresSession, number: i64) -> u64 {
    session.batch("BEGIN".to_owned()).await.unwrap();
    let mut fence = PostgresDialect.fence(Incarnation(1), number, Wall(1));
    fence.sql = format!("EXPLAIN (ANALYZE, BUFFERS) {}", fence.sql);
    let plan = session.query(&fence).await.unwrap();
    session.batch("ROLLBACK".to_owned()).await.unwrap();
    let buffers = plan.iter().find_map(|line| match line.first() {
        Some(Field::Text(line)) => line.trim().strip_prefix("Buffers: shared "),
        _ => None,
    });
    let parts = buffers.unwrap_or_else(|| panic!("{plan:?}")).split(' ');
    let looked_at = parts.filter_map(|part| {
        let (what, count) = part.split_once('=')?;
        matches!(what, "hit" | "read").then(|| count.parse::<u64>().unwrap())
    });
    looked_at.sum()
}
