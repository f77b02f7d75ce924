//! The file is moved or deleted while it is open.

use std::fs;
use std::path::PathBuf;

use tercet_engine::{Change, Urgency};
use tercet_wire::Seq;

use super::open;
use crate::JournalEvent;
use crate::conformance::{Rig, Running, record, trying};

/// A journal in a directory of its own, which holds `tx-1`, and the directory.
async fn running() -> (Rig, Running, PathBuf) {
    let rig = Rig::on_sqlite();
    let directory = PathBuf::from(rig.settings.database_url.strip_prefix("sqlite://").unwrap());
    let directory = directory.parent().unwrap().to_owned();
    let mut running = open(&rig, rig.next_life()).await.unwrap();
    let first = trying("tx-1", 1, 0);
    running.write(vec![record(1, &first, Change::Begun(first.clone()))]).await;
    (rig, running, directory)
}

/// Keeps exactly-once.
#[tokio::test]
async fn what_is_written_into_a_file_that_was_moved_away_is_told_only_once_it_is_back() {
    let (_rig, mut running, directory) = running().await;
    let away = directory.with_extension("away");
    fs::rename(&directory, &away).unwrap();
    let second = trying("tx-2", 2, 0);
    running.journal.append(vec![record(2, &second, Change::Begun(second.clone()))], Urgency::Now);
    let JournalEvent::Failing { why } = running.event().await else { panic!("not failing") };
    assert!(why.contains("tercet.db is gone"), "{why}");
    fs::rename(&away, &directory).unwrap();
    assert_eq!(
        running.until_durable(Seq(2)).await,
        [JournalEvent::Healed, JournalEvent::Durable(Seq(2))]
    );
    assert_eq!(running.stored(&second.gid).await.unwrap().spec, second);
}

#[tokio::test]
async fn what_is_written_into_a_file_that_another_has_replaced_is_not_told() {
    let (_rig, mut running, directory) = running().await;
    let (file, copy) = (directory.join("tercet.db"), directory.join("copy.db"));
    let kept = directory.join("kept.db");
    fs::copy(&file, &copy).unwrap();
    fs::rename(&file, &kept).unwrap();
    fs::rename(&copy, &file).unwrap();
    let second = trying("tx-2", 2, 0);
    running.journal.append(vec![record(2, &second, Change::Begun(second.clone()))], Urgency::Now);
    let JournalEvent::Failing { why } = running.event().await else { panic!("not failing") };
    assert!(why.contains("another file lies in the place of "), "{why}");
    fs::rename(&kept, &file).unwrap();
    assert_eq!(running.until_durable(Seq(2)).await.len(), 2);
}
