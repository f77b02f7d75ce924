//! A row that another incarnation owns, although this one's fence holds: it cannot be, and if it
//! is, the row is left alone.

use tercet_engine::{Change, Decided, Decision, HistoryEvent};
use tercet_wire::{EventKind, Seq, Status, Wall};

use super::{open, outsider, run};
use crate::JournalEvent;
use crate::conformance::{Rig, finished, record, trying};

fn happened() -> Change {
    Change::History(HistoryEvent {
        number: 1,
        at: Wall(9),
        kind: EventKind::CallFailed,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    })
}

#[tokio::test]
async fn a_row_of_another_incarnation_is_not_changed() {
    let confirm = || Change::Decided(Decided { at: Wall(9), decision: Decision::Confirm });
    for change in [confirm(), Change::Parked(true), happened()] {
        let rig = Rig::on_sqlite();
        let mut running = open(&rig, rig.next_life()).await.unwrap();
        let spec = trying("tx-1", 1, 0);
        running.write(vec![record(1, &spec, Change::Begun(spec.clone()))]).await;
        let outsider = outsider(&rig).await;
        run(&outsider, "UPDATE global_transactions SET owner = 99").await;
        let told = running.write(vec![record(2, &spec, change.clone())]).await;
        let aside = JournalEvent::Quarantined(spec.gid.clone());
        assert_eq!(told, [aside, JournalEvent::Durable(Seq(2))], "{change:?}");
        run(&outsider, "UPDATE global_transactions SET owner = 1").await;
        let stored = running.stored(&spec.gid).await.unwrap();
        let stored = (stored.status, stored.parked, stored.history_len);
        assert_eq!(stored, (Status::Trying, false, 0), "{change:?}");
    }
}

#[tokio::test]
async fn a_row_without_an_owner_takes_its_history() {
    let rig = Rig::on_sqlite();
    let mut running = open(&rig, rig.next_life()).await.unwrap();
    let spec = trying("tx-1", 1, 0);
    for (seq, change) in (1..).zip(finished(&spec, 1, 2)) {
        running.write(vec![record(seq, &spec, change)]).await;
    }
    let told = running.write(vec![record(4, &spec, happened())]).await;
    assert_eq!(told, [JournalEvent::Durable(Seq(4))]);
    assert_eq!(running.stored(&spec.gid).await.unwrap().history_len, 1);
}
