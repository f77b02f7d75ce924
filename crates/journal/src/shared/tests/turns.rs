//! A turn of the writer's that takes too long, and what others finish meanwhile.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::TransactionTrait;
use tercet_engine::{Batch, Record};
use tercet_wire::{Mono, Now, Wall};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::nodes::begin;
use super::{on_each_server, run};
use crate::JournalError;
use crate::conformance::{Rig, finished, record, trying};
use crate::meters::Meters;
use crate::retention::Sweeper;
use crate::settings::Retention;
use crate::store::{CommitError, PurgeLimits, Store};

on_each_server!(
    a_connection_on_which_nothing_is_heard_is_given_up_at_the_first_message,
    deleting_that_takes_too_long_is_given_up_and_done_later,
    what_other_nodes_finish_is_counted,
);

/// Leads to a server, until it is told to swallow what goes over the connections there are.
async fn proxy(to: String, swallow: watch::Receiver<u32>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (to, mut swallow) = (to.clone(), swallow.clone());
            swallow.mark_unchanged();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    // Nobody is told.
                    _ = swallow.changed() => std::future::pending().await,
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                }
            });
        }
    });
    port
}

/// Keeps exactly-once.
async fn a_connection_on_which_nothing_is_heard_is_given_up_at_the_first_message(mut rig: Rig) {
    rig.server().make().await;
    let mut url: url::Url = rig.settings.database_url.parse().unwrap();
    let (tell, swallow) = watch::channel(0);
    let to = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    url.set_port(Some(proxy(to, swallow).await)).unwrap();
    rig.settings.database_url = url.into();
    let store = rig.only_store().await;
    assert_eq!(store.commit(&begin(1, &["a"])).await, Ok(Vec::new()));
    tell.send(1).unwrap();
    let second = begin(2, &["b"]);
    let Err(CommitError::Again(why)) = store.commit(&second).await else { panic!("who heard?") };
    assert!(why.contains("within 2s"), "{why}");
    super::nodes::settled(&store, &second).await.unwrap();
}

fn ended(number: i64, lives: std::ops::Range<u64>) -> Batch {
    let mut records: Vec<Record> = Vec::new();
    for life in lives {
        let spec = trying(&format!("tx-{life:04}"), life, 0);
        records.extend(finished(&spec, 1, 2).into_iter().map(|change| record(1, &spec, change)));
    }
    Batch { number, written_at: Wall(number), records, acts: Vec::new() }
}

/// Keeps P8.
async fn deleting_that_takes_too_long_is_given_up_and_done_later(rig: Rig) {
    let store = rig.only_store().await;
    let shell = rig.server().outsider().await;
    store.commit(&ended(1, 0..10)).await.unwrap();
    let most = PurgeLimits { transactions: 10, rows: 100 };
    let due = store.due_for_purging(Wall(9), most).await.unwrap();
    assert_eq!(due.gids.len(), 10);
    let held = shell.begin().await.unwrap();
    run(&held, "UPDATE branch_transactions SET stage = 7 WHERE gid = 'tx-0004'").await;
    let refused = store.purge(&due).await.unwrap_err();
    let said = refused.to_string()
        + &std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
    let is_bounded = matches!(refused, JournalError::TooSlow { .. })
        || ["statement timeout", "max_statement_time"].iter().any(|word| said.contains(word));
    assert!(is_bounded, "{said}");
    super::nodes::settled(&store, &begin(2, &["a"])).await.unwrap();
    held.rollback().await.unwrap();
    assert_eq!(store.purge(&due).await.unwrap(), 10);
    store.commit(&begin(3, &["b"])).await.unwrap();
}

/// Keeps P9.
async fn what_other_nodes_finish_is_counted(rig: Rig) {
    let rig = rig.of_several_nodes();
    let (own, other) = (rig.only_store().await, rig.only_store().await);
    let retention = Retention { max_finished: 7, ..Retention::default() };
    let at = |mono| Now { mono: Mono(mono), wall: Wall(3), entropy: 0 };
    let mut sweeper = Sweeper::new(Arc::clone(&own) as Arc<dyn Store>, retention, at(0));
    let meters = Meters::register();
    for (number, minutes) in [(1, 2), (2, 8)] {
        other.commit(&ended(number, 10 * minutes..10 * minutes + 10)).await.unwrap();
        let mut now = at(minutes * 60_000);
        for _ in 0..100 {
            sweeper.step(now, &meters).await;
            if sweeper.is_looking() {
                sweeper.answered(|| now, &meters).await;
            }
            let pause = sweeper.pause(now);
            if pause > Duration::ZERO && !sweeper.is_put_off() {
                break;
            }
            now.mono = now.mono.after(pause);
        }
        assert_eq!(own.count_finished().await.unwrap(), 7, "after {minutes} minutes");
    }
}
