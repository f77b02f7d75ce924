//! What rows in memory alone can do.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{Change, Urgency};
use tercet_wire::Seq;

use super::MemoryRows;
use crate::Journal;
use crate::conformance::{Rig, Running, finished, record, trying};

async fn open(rig: &Rig, rows: &MemoryRows) -> Running {
    let (tell, events) = tokio::sync::mpsc::unbounded_channel();
    let clock = Arc::clone(&rig.clock) as Arc<dyn Clock>;
    let journal = Journal::in_memory(rows, rig.next_life(), tell, clock).await.unwrap();
    Running::with(journal, events)
}

#[tokio::test]
async fn rows_of_live_transactions_alone_keep_none_that_finished() {
    let (rig, rows) = (Rig::in_memory(), MemoryRows::of_live_transactions_alone());
    let mut running = open(&rig, &rows).await;
    let (live, over) = (trying("tx-1", 1, 0), trying("tx-2", 2, 0));
    running.write(vec![record(1, &live, Change::Begun(live.clone()))]).await;
    for (seq, change) in (2..).zip(finished(&over, 8, 9)) {
        assert!(seq == 2 || running.stored(&over.gid).await.is_some(), "forgotten too early");
        running.write(vec![record(seq, &over, change)]).await;
    }
    assert!(running.stored(&live.gid).await.is_some());
    assert_eq!(running.stored(&over.gid).await, None);
}

#[tokio::test]
async fn what_stalls_goes_on_when_released_and_is_forgotten_when_closed_in_no_time() {
    let (rig, rows) = (Rig::in_memory(), MemoryRows::new());
    let (first, second) = (trying("tx-1", 1, 0), trying("tx-2", 2, 0));
    let mut running = open(&rig, &rows).await;
    rows.stall();
    running.journal.append(vec![record(1, &first, Change::Begun(first.clone()))], Urgency::Now);
    assert_eq!(running.stored(&first.gid).await, None);
    rows.release();
    running.until_durable(Seq(1)).await;
    rows.stall();
    running.journal.append(vec![record(2, &second, Change::Begun(second.clone()))], Urgency::Now);
    running.journal.close(Duration::ZERO).await.unwrap_err();
    rows.release();
    let mut running = open(&rig, &rows).await;
    assert!(running.stored(&first.gid).await.is_some());
    assert_eq!(running.stored(&second.gid).await, None);
}
