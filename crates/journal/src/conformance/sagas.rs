//! Definitions of sagas: each revision of a name is written once, with its act, by whoever was first.

use std::sync::Arc;

use tercet_engine::{ActAlone, SagaRevision};
use tercet_wire::{AuditQuery, SagaName, Wall};

use super::{Fault, Rig, Running, act, on_each_shared_store, on_each_store, patiently};
use crate::{JournalError, ListedSaga};

on_each_store!(
    a_revision_is_written_once_with_its_act,
    a_revision_that_somebody_has_written_is_nobody_elses,
    a_revision_whose_answer_was_lost_is_written_once,
    a_version_is_found_as_it_was_put_and_retired,
    names_are_listed_in_their_order_with_what_is_newest,
);

mod by_two_nodes {
    use super::{on_each_shared_store, two_nodes_that_put_at_once_make_two_versions};

    on_each_shared_store!(two_nodes_that_put_at_once_make_two_versions,);
}

pub(crate) fn name(name: &str) -> SagaName {
    name.parse().unwrap()
}

/// A revision that puts this version of a name.
pub(crate) fn puts(of: &str, revision: u32, version: u32) -> SagaRevision {
    let document = format!("{{\"steps\":[\"{of} {version} \u{1F600}\"]}}");
    SagaRevision {
        name: name(of),
        revision,
        version,
        document: Some(Arc::from(document)),
        at: Wall(i64::from(revision) * 10),
        who: Arc::from("ann"),
    }
}

fn retires(of: &str, revision: u32, version: u32) -> SagaRevision {
    SagaRevision { document: None, ..puts(of, revision, version) }
}

/// An act of no single transaction, by which a definition is put.
pub(crate) fn act_that_puts(number: u64, revision: SagaRevision) -> ActAlone {
    ActAlone { revision: Some(revision), ..ActAlone::from(act(number, Wall(1), None)) }
}

async fn revise(
    running: &Running,
    number: u64,
    revision: SagaRevision,
) -> Result<(), JournalError> {
    patiently(running.journal.revise(act(number, Wall(1), None), revision)).await
}

async fn acts(running: &Running) -> usize {
    let all =
        AuditQuery { who: None, gid: None, action: None, since: None, limit: 500, after: None };
    running.journal.audit(&all).await.unwrap().items.len()
}

async fn newest(running: &Running, of: &str) -> Option<SagaRevision> {
    running.journal.saga(&name(of), None).await.unwrap().map(|stored| stored.newest)
}

/// Keeps exactly-once.
async fn a_revision_is_written_once_with_its_act(rig: Rig) {
    let running = rig.open().await;
    assert_eq!(newest(&running, "trip").await, None);
    revise(&running, 1, puts("trip", 1, 1)).await.unwrap();
    assert_eq!(newest(&running, "trip").await, Some(puts("trip", 1, 1)));
    assert_eq!(acts(&running).await, 1);
    running.crash().await;
    // Whoever comes next finds it.
    let running = rig.open().await;
    assert_eq!(newest(&running, "trip").await, Some(puts("trip", 1, 1)));
    assert_eq!(acts(&running).await, 1);
    running.crash().await;
}

/// Keeps exactly-once.
async fn a_revision_that_somebody_has_written_is_nobody_elses(rig: Rig) {
    let running = rig.open().await;
    revise(&running, 1, puts("trip", 1, 1)).await.unwrap();
    let other = SagaRevision { document: Some("{}".into()), ..puts("trip", 1, 1) };
    for revision in [other, retires("trip", 1, 1)] {
        let refused = revise(&running, 2, revision).await;
        assert!(matches!(refused, Err(JournalError::Overtaken)), "{refused:?}");
    }
    assert_eq!(newest(&running, "trip").await, Some(puts("trip", 1, 1)));
    assert_eq!(acts(&running).await, 1, "what was not done is not in the audit");
    // The journal goes on, and so does the name.
    revise(&running, 3, puts("trip", 2, 2)).await.unwrap();
    revise(&running, 4, puts("sale", 1, 1)).await.unwrap();
    assert_eq!(newest(&running, "trip").await, Some(puts("trip", 2, 2)));
    assert_eq!(acts(&running).await, 3);
    running.crash().await;
}

/// Keeps exactly-once.
async fn a_revision_whose_answer_was_lost_is_written_once(rig: Rig) {
    let running = rig.open().await;
    running.faults.then(&[Fault::After, Fault::After, Fault::Before]);
    revise(&running, 1, puts("trip", 1, 1)).await.unwrap();
    revise(&running, 2, puts("trip", 2, 2)).await.unwrap();
    assert_eq!(newest(&running, "trip").await, Some(puts("trip", 2, 2)));
    assert_eq!(acts(&running).await, 2);
    running.crash().await;
}

async fn a_version_is_found_as_it_was_put_and_retired(rig: Rig) {
    let running = rig.open().await;
    let revisions = [
        puts("trip", 1, 1),
        puts("trip", 2, 2),
        retires("trip", 3, 2),
        puts("trip", 4, 3),
        puts("Trip", 1, 1),
    ];
    for (number, revision) in (1..).zip(&revisions) {
        revise(&running, number, revision.clone()).await.unwrap();
    }
    let found = async |version| {
        let stored = running.journal.saga(&name("trip"), version).await.unwrap().unwrap();
        assert_eq!(stored.newest, revisions[3]);
        (stored.found, stored.retired_at)
    };
    assert_eq!(found(None).await, (Some(revisions[3].clone()), None));
    assert_eq!(found(Some(3)).await, (Some(revisions[3].clone()), None));
    assert_eq!(found(Some(2)).await, (Some(revisions[1].clone()), Some(Wall(30))));
    assert_eq!(found(Some(1)).await, (Some(revisions[0].clone()), Some(Wall(30))));
    assert_eq!(found(Some(4)).await, (None, None));
    revise(&running, 9, retires("trip", 5, 3)).await.unwrap();
    let stored = running.journal.saga(&name("trip"), None).await.unwrap().unwrap();
    assert_eq!((stored.found, stored.retired_at), (Some(revisions[3].clone()), Some(Wall(50))));
    let stored = running.journal.saga(&name("Trip"), None).await.unwrap().unwrap();
    assert_eq!(stored.newest, revisions[4], "names are told apart by the case of their letters");
    assert_eq!(running.journal.saga(&name("trips"), None).await.unwrap(), None);
    running.crash().await;
}

async fn names_are_listed_in_their_order_with_what_is_newest(rig: Rig) {
    let running = rig.open().await;
    assert_eq!(running.journal.sagas(None, 5).await.unwrap(), []);
    let revisions = [
        puts("b", 1, 1),
        puts("a", 1, 1),
        puts("B", 1, 1),
        puts("a", 2, 2),
        puts("c", 1, 1),
        retires("b", 2, 1),
    ];
    for (number, revision) in (1..).zip(revisions) {
        revise(&running, number, revision).await.unwrap();
    }
    let listed = async |after: Option<&str>, limit| {
        let after = after.map(name);
        let listed = running.journal.sagas(after.as_ref(), limit).await.unwrap();
        let shown = |saga: ListedSaga| {
            format!("{} {} {} {}", saga.name, saga.version, saga.at.0, saga.retired)
        };
        listed.into_iter().map(shown).collect::<Vec<String>>()
    };
    let all = ["B 1 10 false", "a 2 20 false", "b 1 20 true", "c 1 10 false"];
    assert_eq!(listed(None, 5).await, all);
    assert_eq!(listed(None, 2).await, all[..2]);
    assert_eq!(listed(Some("a"), 1).await, all[2..3]);
    assert_eq!(listed(Some("c"), 5).await, [""; 0]);
    assert_eq!(running.journal.count_sagas().await.unwrap(), 4);
    running.crash().await;
}

/// Keeps exactly-once.
async fn two_nodes_that_put_at_once_make_two_versions(rig: Rig) {
    let (first, second) = (rig.open().await, rig.open().await);
    for revision in 1..=10 {
        let by = |who: &str| SagaRevision { who: who.into(), ..puts("trip", revision, revision) };
        let number = u64::from(revision) * 2;
        let (one, other) = tokio::join!(
            revise(&first, number, by("first")),
            revise(&second, number + 1, by("second")),
        );
        let won = match (&one, &other) {
            (Ok(()), Err(JournalError::Overtaken)) => "first",
            (Err(JournalError::Overtaken), Ok(())) => "second",
            both => panic!("{both:?}"),
        };
        // Both know it at once.
        for node in [&first, &second] {
            assert_eq!(newest(node, "trip").await, Some(by(won)));
        }
    }
    assert_eq!(acts(&first).await, 10);
    first.crash().await;
    second.crash().await;
}
