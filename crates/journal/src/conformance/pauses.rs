//! Participants that are paused: whoever reads them knows what was said last, with its act.

use std::sync::Arc;

use tercet_engine::{ActAlone, ParticipantPause};
use tercet_wire::{AuditQuery, Wall};
use tokio::task::JoinSet;

use super::{Fault, Rig, Running, act, on_each_store, patiently};

on_each_store!(
    what_was_said_last_of_a_participant_holds,
    a_pause_whose_answer_was_lost_is_written_once,
    of_words_in_one_batch_about_a_participant_the_last_holds,
);

pub(crate) fn pause(of: &str, paused: bool, at: i64) -> ParticipantPause {
    let note = (at % 2 == 0).then(|| Arc::from("their database \u{1F600}"));
    ParticipantPause {
        participant: of.parse().unwrap(),
        paused,
        at: Wall(at),
        who: "ann".into(),
        note,
    }
}

/// An act of no single transaction, by which a participant is paused.
pub(crate) fn act_that_pauses(number: u64, of: &str) -> ActAlone {
    ActAlone { pause: Some(pause(of, true, 1)), ..ActAlone::from(act(number, Wall(1), None)) }
}

async fn say(running: &Running, number: u64, pause: &ParticipantPause) {
    patiently(running.journal.pause(act(number, Wall(1), None), pause.clone())).await.unwrap();
}

async fn acts(running: &Running) -> usize {
    let all =
        AuditQuery { who: None, gid: None, action: None, since: None, limit: 500, after: None };
    running.journal.audit(&all).await.unwrap().items.len()
}

async fn what_was_said_last_of_a_participant_holds(rig: Rig) {
    let running = rig.open().await;
    assert_eq!(running.journal.pauses().await.unwrap(), []);
    let [stock, pay, again] =
        [pause("stock:80", true, 1), pause("pay:80", true, 2), pause("pay:80", true, 3)];
    say(&running, 1, &stock).await;
    say(&running, 2, &pay).await;
    assert_eq!(running.journal.pauses().await.unwrap(), [pay, stock.clone()], "by name");
    say(&running, 3, &again).await;
    say(&running, 4, &pause("stock:80", false, 4)).await;
    assert_eq!(running.journal.pauses().await.unwrap(), [again.clone()]);
    // To resume what is not paused is no mistake.
    say(&running, 5, &pause("mail:80", false, 5)).await;
    assert_eq!(acts(&running).await, 5);
    running.crash().await;
    let running = rig.open().await;
    assert_eq!(running.journal.pauses().await.unwrap(), [again]);
    say(&running, 6, &stock).await;
    assert_eq!(running.journal.pauses().await.unwrap().len(), 2);
    running.crash().await;
}

/// Keeps exactly-once.
async fn a_pause_whose_answer_was_lost_is_written_once(rig: Rig) {
    let running = rig.open().await;
    running.faults.then(&[Fault::After, Fault::After, Fault::Before]);
    say(&running, 1, &pause("pay:80", true, 1)).await;
    say(&running, 2, &pause("pay:80", false, 2)).await;
    assert_eq!(running.journal.pauses().await.unwrap(), []);
    assert_eq!(acts(&running).await, 2);
    running.crash().await;
}

async fn of_words_in_one_batch_about_a_participant_the_last_holds(rig: Rig) {
    let running = rig.open().await;
    // While the first is written the others wait for one batch.
    let mut said = JoinSet::new();
    for at in 1..=9_i64 {
        let (journal, act) = (running.journal.clone(), act(at.unsigned_abs(), Wall(1), None));
        said.spawn(async move { journal.pause(act, pause("pay:80", at % 2 == 1, at)).await });
    }
    for done in patiently(said.join_all()).await {
        done.unwrap();
    }
    assert_eq!(running.journal.pauses().await.unwrap(), [pause("pay:80", true, 9)]);
    assert_eq!(acts(&running).await, 9);
    running.crash().await;
}
