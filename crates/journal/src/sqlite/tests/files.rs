//! The file, its lock and its settings.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tempfile::TempDir;
use tercet_engine::Change;

use super::{open, outsider};
use crate::conformance::{Rig, record, trying};
use crate::{JournalError, JournalSettings, migrate_up, migration_status};

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused_until_the_first_has_gone() {
    let rig = Rig::on_sqlite();
    let first = open(&rig, rig.next_life()).await.unwrap();
    let refused = open(&rig, rig.next_life()).await.err().expect("refused");
    assert!(matches!(refused, JournalError::InUse { .. }), "{refused:?}");
    assert!(refused.to_string().starts_with("another process is using "), "{refused}");
    let migrating = migrate_up(&rig.settings.database_url).await;
    assert!(matches!(migrating, Err(JournalError::InUse { .. })), "{migrating:?}");
    first.journal.close(Duration::from_secs(60)).await.unwrap();
    open(&rig, rig.next_life()).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_file_leads_to_the_same_lock() {
    let rig = Rig::on_sqlite();
    let _first = open(&rig, rig.next_life()).await.unwrap();
    let dir = TempDir::new().unwrap();
    let link = dir.path().join("link.db");
    let path = rig.settings.database_url.strip_prefix("sqlite://").unwrap();
    std::os::unix::fs::symlink(path, &link).unwrap();
    let database_url = format!("sqlite://{}", link.display());
    let refused = open(&rig, JournalSettings { database_url, ..rig.next_life() }).await.err();
    assert!(matches!(refused, Some(JournalError::InUse { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_path_is_taken_as_it_stands() {
    let rig = Rig::on_sqlite();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a b%20#c.db");
    let database_url = format!("sqlite://{}", path.display());
    let running = open(&rig, JournalSettings { database_url, ..rig.next_life() }).await.unwrap();
    running.journal.close(Duration::from_secs(60)).await.unwrap();
    assert!(path.is_file());
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let rig = Rig::on_sqlite();
    let database_url = "sqlite:///nowhere/at/all/x.db".to_owned();
    let refused = open(&rig, JournalSettings { database_url, ..rig.next_life() }).await.err();
    let Some(error @ JournalError::File { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("/nowhere/at/all/x.db"), "{error}");
}

#[tokio::test]
async fn the_schema_is_made_once_and_its_status_can_be_asked_at_any_time() {
    let rig = Rig::on_sqlite();
    let url = &rig.settings.database_url;
    let applied = async || {
        let steps = migration_status(url).await.unwrap();
        steps.iter().map(|step| step.applied).collect::<Vec<_>>()
    };
    assert_eq!(applied().await, [false; 15]);
    assert!(!std::path::Path::new(url.strip_prefix("sqlite://").unwrap()).exists());
    migrate_up(url).await.unwrap();
    assert_eq!(applied().await, [true; 15]);
    migrate_up(url).await.unwrap();
    let _running = open(&rig, rig.next_life()).await.unwrap();
    assert_eq!(applied().await, [true; 15]);
}

#[tokio::test]
async fn a_step_of_the_schema_that_was_cut_short_is_done_again() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    super::run(&outsider, "DELETE FROM schema_steps").await;
    super::run(&outsider, "DROP TABLE transaction_events").await;
    super::run(&outsider, "DROP INDEX global_transactions_owner").await;
    migrate_up(&rig.settings.database_url).await.unwrap();
    let ask = "SELECT COUNT(*) FROM sqlite_schema WHERE name IN \
               ('transaction_events', 'global_transactions_owner')";
    let ask = Statement::from_string(DbBackend::Sqlite, ask);
    let row = outsider.query_one_raw(ask).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 2);
}

#[tokio::test]
async fn a_schema_that_a_newer_program_has_only_added_to_is_used() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    super::run(&outsider, "INSERT INTO schema_steps VALUES ('m9999_later', 0)").await;
    migrate_up(&rig.settings.database_url).await.unwrap();
    let shown = migration_status(&rig.settings.database_url).await.unwrap();
    let last = shown.last().map(|step| (step.name.as_str(), step.applied));
    assert_eq!(last, Some(("m9999_later", true)));
    open(&rig, rig.next_life()).await.unwrap().crash().await;
    // One that is changed so that this program cannot read it is not.
    super::run(&outsider, "UPDATE schema_compat SET reads_from = 99").await;
    let refused = open(&rig, rig.next_life()).await.err();
    let Some(JournalError::Migration(why)) = &refused else { panic!("{refused:?}") };
    assert!(why.to_string().contains("m9999_later"), "{why}");
    assert!(migrate_up(&rig.settings.database_url).await.is_err());
}

#[tokio::test]
async fn a_schema_of_a_newer_program_that_lacks_steps_of_ours_is_refused() {
    let rig = Rig::on_sqlite();
    migrate_up(&rig.settings.database_url).await.unwrap();
    let outsider = outsider(&rig).await;
    super::run(
        &outsider,
        "UPDATE schema_steps SET version = 'm9999_later' WHERE version LIKE 'm0003%'",
    )
    .await;
    let refused = open(&rig, rig.next_life()).await.err();
    assert!(matches!(refused, Some(JournalError::Migration(_))), "{refused:?}");
}

#[tokio::test]
async fn a_node_of_another_name_takes_over_what_the_file_holds() {
    let rig = Rig::on_sqlite();
    let mut first = open(&rig, rig.next_life()).await.unwrap();
    let spec = trying("tx-1", 1, 0);
    first.write(vec![record(1, &spec, Change::Begun(spec.clone()))]).await;
    first.crash().await;
    let renamed = JournalSettings { node_id: "renamed".to_owned(), ..rig.next_life() };
    let second = open(&rig, renamed).await.unwrap();
    assert_eq!(second.unfinished(10).await.len(), 1);
}

#[test]
fn a_database_that_would_forget_is_refused() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let refused = super::super::writer::expect(&connection);
    let Err(error @ JournalError::NotDurable { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("journal_mode = memory"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("x.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "NORMAL").unwrap();
    let refused = super::super::writer::expect(&connection);
    let Err(error @ JournalError::NotDurable { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("synchronous = 1"), "{error}");
}
