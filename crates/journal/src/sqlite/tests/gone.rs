//! The file is moved or deleted while it is open.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tercet_engine::{Change, Urgency};
use tercet_wire::Seq;

use super::open;
use crate::conformance::{Rig, Running, record, trying};
use crate::{JournalError, JournalEvent};

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

/// What a copy of the database holds without its log.
fn without_its_log(directory: &Path) -> Vec<String> {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(directory.join("tercet.db"), copy.path().join("t.db")).unwrap();
    let copy = rusqlite::Connection::open(copy.path().join("t.db")).unwrap();
    let ask = "SELECT gid FROM global_transactions ORDER BY gid";
    // The table itself may lie in the log alone.
    let Ok(mut gids) = copy.prepare(ask) else { return Vec::new() };
    gids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Keeps exactly-once.
#[tokio::test]
async fn what_is_written_into_a_log_that_was_moved_is_told_only_once_it_is_back() {
    let (_rig, mut running, directory) = running().await;
    let (log, away) = (directory.join("tercet.db-wal"), directory.join("away"));
    for (number, replaced) in [(2, false), (3, true)] {
        fs::rename(&log, &away).unwrap();
        if replaced {
            fs::write(&log, "another").unwrap();
        }
        let spec = trying(&format!("tx-{number}"), number, 0);
        let begun = record(number, &spec, Change::Begun(spec.clone()));
        running.journal.append(vec![begun], Urgency::Now);
        let JournalEvent::Failing { why } = running.event().await else { panic!("not failing") };
        assert!(why.contains("tercet.db-wal, the database's log"), "{why}");
        fs::rename(&away, &log).unwrap();
        let told = running.until_durable(Seq(number)).await;
        assert_eq!(told, [JournalEvent::Healed, JournalEvent::Durable(Seq(number))]);
        assert_eq!(running.stored(&spec.gid).await.unwrap().spec, spec);
    }
}

#[tokio::test]
async fn a_log_that_was_emptied_is_noticed_and_spoils_nothing_else() {
    for writes in [false, true] {
        let (_rig, mut running, directory) = running().await;
        // What it holds is in the database too.
        let outsider = rusqlite::Connection::open(directory.join("tercet.db")).unwrap();
        outsider.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
        drop(outsider);
        let second = trying("tx-2", 2, 0);
        running.write(vec![record(2, &second, Change::Begun(second.clone()))]).await;
        fs::write(directory.join("tercet.db-wal"), "").unwrap();
        if writes {
            let third = trying("tx-3", 3, 0);
            let begun = record(3, &third, Change::Begun(third.clone()));
            running.journal.append(vec![begun], Urgency::Now);
        }
        let JournalEvent::Failing { .. } = running.event().await else { panic!("not failing") };
        let _ = running.journal.close(Duration::from_millis(700)).await;
        assert_eq!(without_its_log(&directory), ["tx-1"]);
    }
}

#[tokio::test]
async fn a_log_that_sqlite_cuts_back_is_in_order() {
    let (_rig, mut running, directory) = running().await;
    let outsider = rusqlite::Connection::open(directory.join("tercet.db")).unwrap();
    for number in 2..5 {
        outsider.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        assert_eq!(fs::metadata(directory.join("tercet.db-wal")).unwrap().len(), 0);
        let spec = trying(&format!("tx-{number}"), number, 0);
        let told = running.write(vec![record(number, &spec, Change::Begun(spec.clone()))]).await;
        assert_eq!(told, [JournalEvent::Durable(Seq(number))]);
    }
}

/// Keeps exactly-once.
#[tokio::test]
async fn what_was_told_before_a_log_was_deleted_is_saved_into_the_database() {
    let (_rig, mut running, directory) = running().await;
    assert_eq!(without_its_log(&directory), Vec::<String>::new());
    fs::remove_file(directory.join("tercet.db-wal")).unwrap();
    // Nobody writes: it is noticed all the same.
    let JournalEvent::Failing { why } = running.event().await else { panic!("not failing") };
    assert!(why.contains("tercet.db-wal, the database's log"), "{why}");
    assert_eq!(without_its_log(&directory), ["tx-1"]);
    let second = trying("tx-2", 2, 0);
    running.journal.append(vec![record(2, &second, Change::Begun(second.clone()))], Urgency::Now);
    let closed = running.journal.close(Duration::from_millis(700)).await;
    assert!(matches!(closed, Err(JournalError::NotFlushed { records: 1 })), "{closed:?}");
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
