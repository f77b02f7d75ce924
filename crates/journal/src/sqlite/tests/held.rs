//! Somebody from outside holds the file's write lock.

use tercet_engine::{Change, Urgency};
use tercet_wire::Seq;

use super::{open, outsider, run};
use crate::JournalEvent;
use crate::conformance::{Rig, record, trying};

/// Keeps exactly-once.
#[tokio::test]
async fn a_held_write_lock_stalls_the_journal_and_loses_nothing() {
    let rig = Rig::on_sqlite();
    let mut running = open(&rig, rig.next_life()).await.unwrap();
    let (first, second) = (trying("tx-1", 1, 0), trying("tx-2", 2, 0));
    let outsider = outsider(&rig).await;
    run(&outsider, "BEGIN IMMEDIATE").await;
    running.journal.append(vec![record(1, &first, Change::Begun(first.clone()))], Urgency::Now);
    let JournalEvent::Failing { why } = running.event().await else { panic!("not failing") };
    assert!(why.contains("locked"), "{why}");
    running.journal.append(vec![record(2, &second, Change::Begun(second.clone()))], Urgency::Now);
    // Reading goes on.
    assert_eq!(running.stored(&first.gid).await, None);
    run(&outsider, "ROLLBACK").await;
    let told = running.until_durable(Seq(2)).await;
    assert_eq!(told[..2], [JournalEvent::Healed, JournalEvent::Durable(Seq(1))]);
    assert_eq!(running.stored(&first.gid).await.unwrap().spec, first);
    assert_eq!(running.stored(&second.gid).await.unwrap().spec, second);
}
