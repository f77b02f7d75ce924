//! Files that are not what they should be: other programs', with several names, readable by all,
//! or beside a log of another file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tercet_engine::Change;

use super::open;
use crate::conformance::{Rig, Running, record, trying};
use crate::{JournalError, JournalSettings, migrate_up, migration_status};

fn database(rig: &Rig) -> PathBuf {
    rig.settings.database_url.strip_prefix("sqlite://").unwrap().into()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

async fn open_at(rig: &Rig, path: &Path) -> Result<Running, JournalError> {
    let database_url = format!("sqlite://{}", path.display());
    open(rig, JournalSettings { database_url, ..rig.next_life() }).await
}

/// Everything that lies in a directory, byte for byte.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// Writes a database as another program would; what it left open lies there as after a crash.
fn foreign(directory: &Path, made_by: &[&str], crashed: bool) {
    let elsewhere = TempDir::new().unwrap();
    let path = elsewhere.path().join("t.db");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    for sql in made_by {
        connection.execute_batch(sql).unwrap();
    }
    if !crashed {
        drop(connection);
    }
    for ending in ["", "-wal", "-journal"] {
        if beside(&path, ending).exists() {
            fs::copy(beside(&path, ending), beside(&directory.join("t.db"), ending)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_left_as_it_was() {
    const TABLE: &str = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)";
    const ALIKE: &str = "CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT)";
    const STEPS: &str = "CREATE TABLE schema_steps (id INTEGER); CREATE TABLE nodes (id INTEGER)";
    const WAL: &str = "PRAGMA journal_mode = WAL";
    let table: [(&str, &[&str], bool); 7] = [
        ("plain", &[TABLE, "INSERT INTO customers VALUES (1, 'alice')"], false),
        ("with a table of a name of ours", &[ALIKE], false),
        ("with two", &[STEPS, TABLE], false),
        ("with a log, at rest", &[WAL, TABLE], false),
        ("with all of it in its log", &[WAL, TABLE, ALIKE], true),
        (
            "with a mark and no tables",
            &["PRAGMA application_id = 7", "PRAGMA user_version = 1"],
            false,
        ),
        ("with a mark in its log", &[WAL, "PRAGMA application_id = 7"], true),
    ];
    for (what, made_by, crashed) in table {
        let directory = TempDir::new().unwrap();
        foreign(directory.path(), made_by, crashed);
        refused_untouched(directory.path(), what).await;
    }
    for (what, bytes) in [("text", b"no database ".repeat(100)), ("a few bytes", b"x".to_vec())] {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("t.db"), bytes).unwrap();
        refused_untouched(directory.path(), what).await;
    }
}

async fn refused_untouched(directory: &Path, what: &str) {
    let before = contents(directory);
    let path = directory.join("t.db");
    let refused = open_at(&Rig::on_sqlite(), &path).await.err();
    assert!(matches!(refused, Some(JournalError::Foreign { .. })), "{what}: {refused:?}");
    let url = format!("sqlite://{}", path.display());
    for refused in [migrate_up(&url).await.err(), migration_status(&url).await.err()] {
        assert!(matches!(refused, Some(JournalError::Foreign { .. })), "{what}: {refused:?}");
    }
    assert!(contents(directory) == before, "{what}: something was changed");
}

#[tokio::test]
async fn what_is_nobodys_or_ours_without_a_mark_is_taken_and_marked() {
    let empty: [&[&str]; 3] = [&[], &["PRAGMA journal_mode = WAL"], &["VACUUM"]];
    for made_by in empty {
        let directory = TempDir::new().unwrap();
        foreign(directory.path(), made_by, false);
        marked(&Rig::on_sqlite(), &directory.path().join("t.db")).await;
    }
    // As the first release left it, at rest and after a crash with all of it in its log.
    for crashed in [false, true] {
        let rig = Rig::on_sqlite();
        let store = rig.sqlite_store(&rig.next_life()).await;
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("t.db");
        if !crashed {
            crate::store::Store::close(&store).await;
        }
        fs::copy(database(&rig), &path).unwrap();
        if crashed {
            fs::copy(beside(&database(&rig), "-wal"), beside(&path, "-wal")).unwrap();
        }
        marked(&rig, &path).await;
    }
}

async fn marked(rig: &Rig, path: &Path) {
    let running = open_at(rig, path).await.unwrap();
    running.journal.close(Duration::from_secs(60)).await.unwrap();
    assert_eq!(fs::read(path).unwrap()[68..72], *b"TRCT");
    // It is known by its mark alone from then on.
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("CREATE TABLE of_an_operator (id INTEGER)").unwrap();
    drop(connection);
    open_at(rig, path).await.unwrap();
}

#[tokio::test]
async fn only_its_owner_can_read_a_database_whatever_its_files_were() {
    let rig = Rig::on_sqlite();
    let path = database(&rig);
    let modes = || {
        let files = ["", "-wal", "-shm", ".lock"].map(|ending| beside(&path, ending));
        files.map(|file| fs::metadata(file).unwrap().mode() & 0o7777)
    };
    let first = open(&rig, rig.next_life()).await.unwrap();
    assert_eq!(modes(), [0o600; 4]);
    // As after a crash, with files that an earlier release left readable.
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join("t.db");
    for ending in ["", "-wal", "-shm", ".lock"] {
        fs::copy(beside(&path, ending), beside(&copy, ending)).unwrap();
        fs::set_permissions(beside(&copy, ending), fs::Permissions::from_mode(0o644)).unwrap();
    }
    first.crash().await;
    let _second = open_at(&rig, &copy).await.unwrap();
    let files = ["", "-wal", "-shm", ".lock"].map(|ending| beside(&copy, ending));
    assert_eq!(files.map(|file| fs::metadata(file).unwrap().mode() & 0o7777), [0o600; 4]);
}

#[tokio::test]
async fn a_file_of_several_names_is_refused() {
    let rig = Rig::on_sqlite();
    let path = database(&rig);
    let first = open(&rig, rig.next_life()).await.unwrap();
    let other = path.with_extension("other");
    fs::hard_link(&path, &other).unwrap();
    let refused = open_at(&rig, &other).await.err();
    assert!(matches!(refused, Some(JournalError::Linked { names: 2, .. })), "{refused:?}");
    first.crash().await;
    let refused = open(&rig, rig.next_life()).await.err();
    assert!(matches!(refused, Some(JournalError::Linked { names: 2, .. })), "{refused:?}");
    fs::remove_file(other).unwrap();
    open(&rig, rig.next_life()).await.unwrap();
}

#[tokio::test]
async fn what_lies_beside_a_database_is_a_file_of_its_own() {
    for ending in ["-wal", "-shm", "-journal", ".lock"] {
        let rig = Rig::on_sqlite();
        let path = database(&rig);
        let elsewhere = TempDir::new().unwrap();
        let target = elsewhere.path().join("target");
        symlink(&target, beside(&path, ending)).unwrap();
        let refused = open(&rig, rig.next_life()).await.err();
        assert!(matches!(refused, Some(JournalError::NoFile { .. })), "{ending}: {refused:?}");
        assert!(!target.exists() && !path.exists(), "{ending}");
        fs::remove_file(beside(&path, ending)).unwrap();
        fs::write(&target, "").unwrap();
        fs::hard_link(&target, beside(&path, ending)).unwrap();
        let refused = open(&rig, rig.next_life()).await.err();
        assert!(matches!(refused, Some(JournalError::Linked { .. })), "{ending}: {refused:?}");
    }
}

#[tokio::test]
async fn links_to_a_file_that_is_not_there_yet_lead_to_one_lock() {
    let rig = Rig::on_sqlite();
    let directory = TempDir::new().unwrap();
    let links = ["one.db", "two.db"].map(|name| directory.path().join(name));
    for link in &links {
        symlink(directory.path().join("real.db"), link).unwrap();
    }
    let _first = open_at(&rig, &links[0]).await.unwrap();
    let refused = open_at(&rig, &links[1]).await.err();
    assert!(matches!(refused, Some(JournalError::InUse { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_lock_that_was_deleted_lets_nobody_else_in() {
    let rig = Rig::on_sqlite();
    let _first = open(&rig, rig.next_life()).await.unwrap();
    fs::remove_file(beside(&database(&rig), ".lock")).unwrap();
    let refused = open(&rig, rig.next_life()).await.err();
    assert!(matches!(refused, Some(JournalError::InUse { .. })), "{refused:?}");
}

/// A database that ended as in a crash, with `tx-2` in its log alone; backups of it as it was
/// before that; and one of the life before.
struct Crashed {
    rig: Rig,
    _directory: TempDir,
    path: PathBuf,
    by_vacuum: PathBuf,
    by_backup: PathBuf,
    of_an_earlier_life: PathBuf,
}

async fn crashed() -> Crashed {
    let rig = Rig::on_sqlite();
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let begin = async |running: &mut Running, number: u64| {
        let spec = trying(&format!("tx-{number}"), number, 0);
        running.write(vec![record(number, &spec, Change::Begun(spec.clone()))]).await;
    };
    let mut first = open(&rig, rig.next_life()).await.unwrap();
    begin(&mut first, 1).await;
    first.journal.close(Duration::from_secs(60)).await.unwrap();
    let of_an_earlier_life = at("earlier.db");
    fs::copy(database(&rig), &of_an_earlier_life).unwrap();
    let mut second = open(&rig, rig.next_life()).await.unwrap();
    let by_vacuum = at("vacuumed.db");
    let outsider = Connection::open(database(&rig)).unwrap();
    outsider.execute("VACUUM INTO ?", [by_vacuum.to_str().unwrap()]).unwrap();
    // SQLite's backup copies page by page, and counts changes of the schema anew.
    let by_backup = at("backup.db");
    outsider.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
    fs::copy(database(&rig), &by_backup).unwrap();
    let copy = Connection::open(&by_backup).unwrap();
    copy.pragma_update(None, "schema_version", 1).unwrap();
    drop(copy);
    begin(&mut second, 2).await;
    for ending in ["", "-wal", ".lock"] {
        fs::copy(beside(&database(&rig), ending), beside(&at("t.db"), ending)).unwrap();
    }
    Crashed {
        rig,
        path: at("t.db"),
        _directory: directory,
        by_vacuum,
        by_backup,
        of_an_earlier_life,
    }
}

/// Whether each of these is there.
async fn holds(running: &mut Running, gids: [&str; 2]) -> [bool; 2] {
    let mut found = [false; 2];
    for (found, gid) in found.iter_mut().zip(gids) {
        *found = running.stored(&gid.parse().unwrap()).await.is_some();
    }
    found
}

#[tokio::test]
async fn a_log_is_taken_beside_its_own_database_wherever_both_were_moved() {
    let crashed = crashed().await;
    let mut running = open_at(&crashed.rig, &crashed.path).await.unwrap();
    assert_eq!(holds(&mut running, ["tx-1", "tx-2"]).await, [true, true]);
    drop(running);
    // Without the lock nobody knows, and nobody is kept out.
    let crashed = self::crashed().await;
    fs::remove_file(beside(&crashed.path, ".lock")).unwrap();
    let mut running = open_at(&crashed.rig, &crashed.path).await.unwrap();
    assert_eq!(holds(&mut running, ["tx-1", "tx-2"]).await, [true, true]);
}

#[tokio::test]
async fn a_backup_beside_the_log_of_what_was_there_before_is_refused() {
    for which in ["by vacuum", "by backup", "of an earlier life", "nothing", "an empty file"] {
        let crashed = crashed().await;
        let Crashed { rig, path, .. } = &crashed;
        let backup = match which {
            "by vacuum" => Some(&crashed.by_vacuum),
            "by backup" => Some(&crashed.by_backup),
            "of an earlier life" => Some(&crashed.of_an_earlier_life),
            _ => None,
        };
        match (backup, which) {
            (Some(backup), _) => drop(fs::copy(backup, path).unwrap()),
            (None, "nothing") => fs::remove_file(path).unwrap(),
            (None, _) => fs::write(path, "").unwrap(),
        }
        let log = fs::read(beside(path, "-wal")).unwrap();
        let refused = open_at(rig, path).await.err();
        assert!(matches!(refused, Some(JournalError::StrangeLog { .. })), "{which}: {refused:?}");
        assert!(fs::read(beside(path, "-wal")).unwrap() == log, "{which}: the log was changed");
        // As docs/operating.md says.
        fs::rename(beside(path, "-wal"), beside(path, "-wal.away")).unwrap();
        let mut running = open_at(rig, path).await.unwrap();
        let held = holds(&mut running, ["tx-1", "tx-2"]).await;
        assert_eq!(held, [backup.is_some(), false], "{which}");
    }
}
