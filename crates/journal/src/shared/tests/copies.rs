//! Everything is moved to another database, and nobody is left behind who could still write.

use std::sync::Arc;

use tercet_engine::{Change, StoredTransaction};
use tercet_wire::{Gid, Incarnation, JobStage, Wall};

use super::{number, on_each_server};
use crate::conformance::{
    Rig, Script, act, finished, open_transaction, patiently, pause, puts, record, releases,
    revision, tick, trying,
};
use crate::copy::copy_all;
use crate::store::CommitError;
use crate::{CopiedTable, JournalError, copy};

on_each_server!(
    what_is_copied_there_and_back_is_the_same_and_is_taken_over,
    a_target_with_rows_is_refused_and_left_as_it_was,
    a_source_that_is_used_is_refused_by_name,
    who_has_only_stood_still_writes_nothing_after_the_copy,
    a_life_that_begins_on_the_source_meanwhile_is_found,
    nobody_else_begins_on_a_target_while_it_is_filled,
    who_may_not_fill_any_more_commits_nothing,
    a_target_whose_copy_has_died_is_used_again,
);

/// Transactions of every kind; all that there is of them afterwards, with their histories.
async fn fill(rig: &Rig) -> Vec<StoredTransaction> {
    let mut running = rig.open().await;
    let script = Script::of(7, 30, 400);
    running.write(script.records.clone()).await;
    let mut seq = 400;
    let mut gids: Vec<Gid> = script.after(400).into_keys().collect();
    // In the order of keys, capitals and signs are where they are in bytes.
    for (life, name) in (1_000..).zip(["Z", "a", "B", "a_1", "a-1", "aZ", "big"]) {
        let mut spec = Arc::unwrap_or_clone(trying(name, life, 5));
        if name == "big" {
            spec.metadata = Some("\u{1F600}é\\'\"%".repeat(100_000).into());
            let branch = Arc::make_mut(&mut spec.branches[0]);
            branch.payload = format!("{{\"all\":\"{}\"}}", "\u{1F600}".repeat(300_000)).into();
        }
        let spec = Arc::new(spec);
        let take = if name == "a" { 3 } else { 1 };
        for change in finished(&spec, 6, 7).into_iter().take(take) {
            seq += 1;
            running.write(vec![record(seq, &spec, change)]).await;
        }
        gids.push(spec.gid.clone());
    }
    let open = open_transaction("open", 2_000, 5);
    running.write(vec![record(seq + 1, &open, Change::Begun(open.clone()))]).await;
    gids.push(open.gid.clone());
    running.journal.act(act(900_000, Wall(9), None)).await.unwrap();
    running.journal.revise(act(900_001, Wall(9), None), puts("trip", 1, 1)).await.unwrap();
    running.journal.pause(act(900_002, Wall(9), None), pause("pay:80", true, 9)).await.unwrap();
    running.journal.revise_job(None, revision(1, 1, JobStage::Queued)).await.unwrap();
    running.journal.tick(vec![tick(1, &open.gid, 1, None)]).await.unwrap();
    running.journal.release(act(900_003, Wall(9), None), releases(1)).await.unwrap();
    // More than one page of rows.
    let many: Vec<_> = (0..450).map(|life| trying(&format!("m-{life}"), 3_000 + life, 5)).collect();
    let begun = (seq + 2..).zip(&many);
    running
        .write(begun.map(|(seq, spec)| record(seq, spec, Change::Begun(spec.clone()))).collect())
        .await;
    let all = stored(&mut running, &gids).await;
    patiently(running.journal.close(std::time::Duration::from_secs(60))).await.unwrap();
    all
}

async fn stored(running: &mut crate::conformance::Running, gids: &[Gid]) -> Vec<StoredTransaction> {
    let mut all = Vec::new();
    for gid in gids {
        all.push(running.stored(gid).await.expect("it is there"));
    }
    all
}

fn rows(copied: &[CopiedTable]) -> Vec<(&'static str, bool)> {
    copied.iter().map(|table| (table.name, table.rows > 0)).collect()
}

async fn copied(from: &Rig, to: &Rig) -> Result<Vec<CopiedTable>, JournalError> {
    patiently(copy(&from.settings.database_url, &to.settings.database_url)).await
}

async fn what_is_copied_there_and_back_is_the_same_and_is_taken_over(rig: Rig) {
    let (sqlite, back) = (Rig::on_sqlite(), Rig::on_sqlite());
    let all = fill(&sqlite).await;
    let gids: Vec<Gid> = all.iter().map(|stored| stored.spec.gid.clone()).collect();
    rig.server().make().await;
    let there = copied(&sqlite, &rig).await.unwrap();
    let of_all = [
        "global_transactions",
        "global_details",
        "transaction_options",
        "branch_transactions",
        "branch_options",
        "branch_outcomes",
        "branch_results",
        "transaction_events",
        "audit",
        "sagas",
        "participant_pauses",
        "jobs",
        "job_ticks",
        "holds",
    ];
    assert_eq!(rows(&there), of_all.map(|name| (name, true)));
    let shell = rig.server().outsider().await;
    let transactions = number(&shell, "SELECT COUNT(*) FROM global_transactions").await;
    assert_eq!(u64::try_from(transactions), Ok(there[0].rows));
    assert!(there[0].rows > 450 + u64::try_from(gids.len()).unwrap() - 1);
    // Whoever drove it there has left: it is found under that life, and taken from it.
    assert_eq!(number(&shell, "SELECT COUNT(*) FROM nodes WHERE state <> 'left'").await, 0);
    let unfinished =
        number(&shell, "SELECT COUNT(*) FROM global_transactions WHERE owner = 1").await;
    let again = copied(&rig, &back).await.unwrap();
    assert_eq!(again, there);
    for _ in 0..2 {
        // The numbers of lives that are taken already.
        rig.next_life();
        back.next_life();
    }
    let mut running = rig.open().await;
    assert_eq!(running.journal.driven_by(Incarnation(1), false, None, 10).await.unwrap(), []);
    let own = number(&shell, "SELECT COUNT(*) FROM global_transactions WHERE owner = 3").await;
    assert!(own == unfinished && own > 450, "{own} of {unfinished}");
    assert_eq!(stored(&mut running, &gids).await, all);
    running.crash().await;
    let mut running = back.open().await;
    assert_eq!(stored(&mut running, &gids).await, all);
    assert_eq!(i64::try_from(running.unfinished(100).await.len()), Ok(unfinished));
    running.crash().await;
}

async fn a_target_with_rows_is_refused_and_left_as_it_was(rig: Rig) {
    let sqlite = Rig::on_sqlite();
    sqlite.only_store().await.close().await;
    rig.only_store().await.close().await;
    let shell = rig.server().outsider().await;
    let refused = copied(&sqlite, &rig).await;
    assert!(matches!(refused, Err(JournalError::NotEmpty)), "{refused:?}");
    // Nor is anybody fenced there.
    assert_eq!(number(&shell, "SELECT COUNT(*) FROM nodes WHERE state = 'live'").await, 1);
    let refused = copied(&rig, &sqlite).await;
    assert!(matches!(refused, Err(JournalError::NotEmpty)), "{refused:?}");
}

async fn a_source_that_is_used_is_refused_by_name(mut rig: Rig) {
    rig.settings.node_url = "http://10.0.0.7:7300".to_owned();
    rig.settings.longest_silence = std::time::Duration::from_millis(100);
    rig.settings.heartbeat = std::time::Duration::from_millis(100);
    let running = rig.open().await;
    let to = Rig::on_sqlite();
    let refused = copied(&rig, &to).await;
    assert!(
        matches!(&refused, Err(JournalError::NotOffline { url }) if url == "http://10.0.0.7:7300"),
        "{refused:?}"
    );
    running.crash().await;
}

/// Keeps P2.
async fn who_has_only_stood_still_writes_nothing_after_the_copy(rig: Rig) {
    let frozen = rig.only_store().await;
    let batch = super::nodes::begin(1, &["a"]);
    super::nodes::settled(&frozen, &batch).await.unwrap();
    let to = Rig::on_sqlite();
    copied(&rig, &to).await.unwrap();
    let woken = super::nodes::settled(&frozen, &super::nodes::begin(2, &["b"])).await;
    assert!(matches!(woken, Err(CommitError::Fenced(_))), "{woken:?}");
    to.next_life();
    let mut running = to.open().await;
    assert!(running.stored(&"a".parse().unwrap()).await.is_some());
    running.crash().await;
}

async fn a_life_that_begins_on_the_source_meanwhile_is_found(rig: Rig) {
    let rig = rig.of_several_nodes();
    rig.only_store().await.close().await;
    let source = crate::database::at(&rig.settings.database_url).unwrap();
    let offline = source.offline().await.unwrap();
    let ended = source.end_lives(&offline.lives).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!(source.end_lives(&ended).await.unwrap(), ended);
    let other = rig.only_store().await;
    let found = source.end_lives(&ended).await;
    assert!(matches!(found, Err(JournalError::NotOffline { .. })), "{found:?}");
    // It was not seen to stand still, and so nobody has ended it.
    super::nodes::settled(&other, &super::nodes::begin(1, &["b"])).await.unwrap();
    crate::sql::discard(offline.connection).await;
}

/// Opens the target as a node does that starts.
async fn begun_on(rig: &Rig) -> Result<(), JournalError> {
    let life = rig.next_life().incarnation;
    let settings = crate::JournalSettings::new(&rig.settings.database_url, "n", life);
    let database = crate::database::at(&rig.settings.database_url)?;
    let here = tokio::runtime::Handle::current();
    patiently(database.open(&settings, Wall(0), &here)).await?.close().await;
    Ok(())
}

/// Keeps P2.
async fn nobody_else_begins_on_a_target_while_it_is_filled(rig: Rig) {
    let sqlite = Rig::on_sqlite();
    sqlite.only_store().await.close().await;
    rig.server().make().await;
    let target = crate::database::at(&rig.settings.database_url).unwrap();
    target.migrate_up().await.unwrap();
    let mut filling = target.fill().await.unwrap().unwrap();
    let (done, told) = tokio::sync::oneshot::channel();
    let keeps = tokio::spawn(async move {
        tokio::select! {
            lost = filling.keep() => panic!("{lost}"),
            _ = told => filling.release().await,
        }
    });
    let refused = begun_on(&rig).await;
    assert!(matches!(refused, Err(JournalError::BeingFilled)), "{refused:?}");
    let refused = copied(&sqlite, &rig).await;
    assert!(matches!(refused, Err(JournalError::BeingFilled)), "{refused:?}");
    let shell = rig.server().outsider().await;
    assert_eq!(number(&shell, "SELECT COUNT(*) FROM nodes").await, 0);
    done.send(()).unwrap();
    keeps.await.unwrap();
    copied(&sqlite, &rig).await.unwrap();
    begun_on(&rig).await.unwrap();
}

/// Keeps P2. It slept for so long that another has taken its place.
async fn who_may_not_fill_any_more_commits_nothing(rig: Rig) {
    let sqlite = Rig::on_sqlite();
    let store = sqlite.only_store().await;
    super::nodes::settled(&store, &super::nodes::begin(1, &["a"])).await.unwrap();
    store.close().await;
    rig.server().make().await;
    let source = crate::database::at(&sqlite.settings.database_url).unwrap();
    let target = crate::database::at(&rig.settings.database_url).unwrap();
    let (from, to) = (source.offline().await.unwrap(), target.offline().await.unwrap());
    let shell = rig.server().outsider().await;
    for (is_taken, rows) in [(true, 0), (false, 1)] {
        let filling = target.fill().await.unwrap().unwrap();
        if is_taken {
            super::run(&shell, "UPDATE schema_lock SET holder = 0").await;
        }
        let copied = copy_all(&*source, &from, &to.connection, Some(filling.proof())).await;
        let is_lost = matches!(copied, Err(JournalError::SchemaLockLost));
        assert_eq!((is_lost, copied.is_ok()), (is_taken, !is_taken), "{copied:?}");
        assert_eq!(number(&shell, "SELECT COUNT(*) FROM global_transactions").await, rows);
        filling.release().await;
    }
    crate::sql::discard(from.connection).await;
    crate::sql::discard(to.connection).await;
}

async fn a_target_whose_copy_has_died_is_used_again(rig: Rig) {
    rig.server().make().await;
    crate::migrate_up(&rig.settings.database_url).await.unwrap();
    let shell = rig.server().outsider().await;
    super::run(&shell, "UPDATE schema_lock SET holder = -7, beat = 3").await;
    begun_on(&rig).await.unwrap();
    assert_eq!(number(&shell, "SELECT holder FROM schema_lock").await, 0);
}
