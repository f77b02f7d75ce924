//! Rows that make no sense, and values the database will not take.

use std::sync::Arc;

use tercet_protocol::{Change, EventKind, Happening, Load, Record, Seq, Spec, Stored, Wall};

use super::super::super::JournalEvent;
use super::super::super::conformance::{Rig, Running, record, trying};
use super::super::retention::due_for_stripping;
use super::{open, outsider, run};

async fn three(rig: &Rig) -> (Running, Vec<Arc<Spec>>) {
    let mut running = open(rig, rig.next_life()).await.unwrap();
    let specs: Vec<Arc<Spec>> =
        (1..=3).map(|number| trying(&format!("tx-{number}"), number, 0)).collect();
    let begins =
        (1..).zip(&specs).map(|(seq, spec)| record(seq, spec, Change::Begun(spec.clone())));
    running.write(begins.collect()).await;
    (running, specs)
}

#[tokio::test]
async fn a_row_that_makes_no_sense_does_not_keep_the_others_from_being_read() {
    let damages = [
        "UPDATE global_transactions SET status = 'exploded' WHERE gid = 'tx-2'",
        "UPDATE global_transactions SET instance = '?' WHERE gid = 'tx-2'",
        "UPDATE global_transactions SET created_at = 'noon' WHERE gid = 'tx-2'",
        "UPDATE global_transactions SET decided_at = 7 WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET confirm_url = 'no url' WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET headers = '[1]' WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET payload = x'ff' WHERE gid = 'tx-2'",
        "UPDATE branch_transactions SET position = -1 WHERE gid = 'tx-2'",
        "DELETE FROM global_details WHERE gid = 'tx-2'",
    ];
    for damage in damages {
        let rig = Rig::on_sqlite();
        let (mut running, specs) = three(&rig).await;
        run(&outsider(&rig).await, damage).await;
        let read = running.journal.unfinished(None, 10).await.unwrap();
        let expected = |spec: &Arc<Spec>| Stored::begun(spec.clone());
        assert_eq!(read.len(), 3, "{damage}");
        assert_eq!(read[0], Ok(expected(&specs[0])), "{damage}");
        assert_eq!(read[1].as_ref().unwrap_err().gid, specs[1].gid, "{damage}");
        assert_eq!(read[2], Ok(expected(&specs[2])), "{damage}");
        running.journal.load(specs.iter().map(|spec| spec.gid.clone()).collect());
        for spec in &specs {
            let loaded = match spec.gid.as_str() {
                "tx-2" => Load::Failed,
                _ => Load::Found(Box::new(expected(spec))),
            };
            assert_eq!(running.event().await, JournalEvent::Loaded(spec.gid.clone(), loaded));
        }
    }
}

#[tokio::test]
async fn a_row_without_a_gid_ends_no_page_early() {
    let rig = Rig::on_sqlite();
    let (running, specs) = three(&rig).await;
    let damage = "UPDATE global_transactions SET gid = '!' WHERE gid = 'tx-2'";
    run(&outsider(&rig).await, damage).await;
    let gids: Vec<_> =
        running.unfinished(1).await.into_iter().map(|stored| stored.spec.gid.clone()).collect();
    assert_eq!(gids, [specs[0].gid.clone(), specs[2].gid.clone()]);
}

#[tokio::test]
async fn a_row_without_a_gid_keeps_no_walk_of_the_retention_from_its_end() {
    let rig = Rig::on_sqlite();
    let (_running, _) = three(&rig).await;
    let connection = outsider(&rig).await;
    run(&connection, "UPDATE global_transactions SET gid = '!' WHERE gid = 'tx-3'").await;
    for rows in 1..=3 {
        let mut after = None;
        let mut steps = 0;
        loop {
            let due =
                due_for_stripping(&connection, after.as_ref(), Wall::MAX, rows).await.unwrap();
            let walked = due.nothing_deleted();
            steps += 1;
            if !walked.more {
                break;
            }
            assert!(steps < 10 && walked.reached > after, "{rows} at a time, from {after:?}");
            after = walked.reached;
        }
    }
}

#[tokio::test]
async fn what_the_database_will_never_take_is_set_aside_alone() {
    let rig = Rig::on_sqlite();
    let (mut running, specs) = three(&rig).await;
    let line = Happening {
        number: 1,
        at: Wall(1),
        kind: EventKind::Parked,
        branch: None,
        op: None,
        attempt: None,
        detail: None,
    };
    let happened = |seq, spec: &Arc<Spec>| record(seq, spec, Change::Happened(line.clone()));
    let mut records: Vec<Record> =
        (4..).zip(&specs).map(|(seq, spec)| happened(seq, spec)).collect();
    // The same line twice.
    records.push(happened(7, &specs[1]));
    let told = running.write(records).await;
    assert!(told.contains(&JournalEvent::SetAside(specs[1].gid.clone())), "{told:?}");
    assert_eq!(told.last(), Some(&JournalEvent::Durable(Seq(7))));
    for (place, lines) in [(0, 1), (1, 0), (2, 1)] {
        let stored = running.stored(&specs[place].gid).await.unwrap();
        // Of the one set aside the first line may have been written, if halving parted the two.
        assert!(stored.history.len() == lines || place == 1, "{stored:?}");
    }
}
