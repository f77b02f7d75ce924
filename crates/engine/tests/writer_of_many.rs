//! What the writer of one of several nodes puts between its batches: chunks of a dead life's
//! transactions, and at last that its own life is over.

mod world;

use std::time::Duration;

use tercet_engine::{
    Caps, Change, Committed, GroupCommit, GroupCommitSettings, JournalEvent, Record, Submitted,
    Urgency,
};
use tercet_wire::{Backoff, Gid, Incarnation, Mono, Now, Seq, Wall};
use world::content::{gid, spec};

const DEAD: Incarnation = Incarnation(7);

fn writer() -> GroupCommit {
    let settings = GroupCommitSettings {
        caps: Caps { records: 2, binds: 100_000, bytes: 1_000_000 },
        linger: Duration::from_millis(10),
        resubmit: Backoff { first: Duration::from_millis(50), cap: Duration::from_millis(500) },
        longest_silence: Duration::from_millis(500),
    };
    GroupCommit::new(settings, Mono(0))
}

fn at(ms: u64) -> Now {
    Now { mono: Mono(ms), wall: Wall(i64::try_from(ms).expect("soon")), entropy: 40 }
}

fn append(writer: &mut GroupCommit, numbers: std::ops::RangeInclusive<u64>) {
    let begun = |number: u64| {
        let spec = spec(&format!("tx-{number:02}"), true, Vec::new());
        let (gid, instance) = (spec.gid.clone(), spec.instance);
        Record { seq: Seq(number), gid, instance, change: Change::Begun(spec) }
    };
    writer.append(numbers.map(begun).collect(), Urgency::Now);
}

fn gids(names: &[&str]) -> Vec<Gid> {
    names.iter().map(|name| gid(name)).collect()
}

/// What is submitted now, in a word.
fn submitted(writer: &mut GroupCommit, ms: u64) -> String {
    match writer.submit(at(ms)) {
        None => "nothing".to_owned(),
        Some(Submitted::Batch(batch)) => {
            let records: Vec<u64> = batch.records.iter().map(|record| record.seq.0).collect();
            format!("{} {records:?}", batch.number)
        }
        Some(Submitted::Chunk(chunk)) => {
            assert_eq!(chunk.dead, DEAD);
            let gids: Vec<&str> = chunk.gids.iter().map(Gid::as_str).collect();
            format!("{} takes {}", chunk.number, gids.join(" "))
        }
        Some(Submitted::Leave(leave)) => format!("{} leaves", leave.number),
    }
}

fn durable(writer: &mut GroupCommit) {
    writer.committed(Committed::Durable { taken: Vec::new() }, at(0));
}

fn taken_over(writer: &mut GroupCommit, names: &[&str]) {
    writer.committed(Committed::TakenOver { gids: gids(names) }, at(0));
}

fn again(writer: &mut GroupCommit, ms: u64) {
    writer.committed(Committed::Again { why: "gone".to_owned() }, at(ms));
}

fn told(writer: &mut GroupCommit) -> Vec<JournalEvent> {
    std::iter::from_fn(|| writer.take_event()).collect()
}

fn taking(names: &[&str]) -> JournalEvent {
    JournalEvent::TakingOver { dead: DEAD, gids: gids(names) }
}

fn took(names: &[&str]) -> JournalEvent {
    JournalEvent::TakenOver { dead: DEAD, gids: gids(names) }
}

#[test]
fn chunks_and_batches_take_turns_in_one_row_of_numbers() {
    let mut writer = writer();
    append(&mut writer, 1..=5);
    writer.take_over(DEAD, gids(&["b", "a"]));
    writer.take_over(DEAD, gids(&["c"]));
    let expected = ["1 takes a b", "2 [1, 2]", "3 takes c", "4 [3, 4]", "5 [5]", "nothing"];
    for expected in expected {
        assert_eq!(submitted(&mut writer, 0), expected);
        match expected.contains("takes") {
            true => taken_over(&mut writer, &["a"]),
            false => durable(&mut writer),
        }
    }
    let expected = [
        taking(&["a", "b"]),
        taking(&["c"]),
        took(&["a"]),
        JournalEvent::Durable(Seq(2)),
        took(&["a"]),
        JournalEvent::Durable(Seq(4)),
        JournalEvent::Durable(Seq(5)),
    ];
    assert_eq!(told(&mut writer), expected);
}

#[test]
fn a_chunk_does_not_divide_a_batch_that_is_halved() {
    let mut writer = writer();
    append(&mut writer, 1..=2);
    assert_eq!(submitted(&mut writer, 0), "1 [1, 2]");
    writer.take_over(DEAD, gids(&["a"]));
    writer.committed(Committed::Rejected, at(0));
    for expected in ["1 [1]", "2 [2]", "3 takes a"] {
        assert_eq!(submitted(&mut writer, 0), expected);
        durable(&mut writer);
    }
}

/// Keeps P2.
#[test]
fn a_chunk_of_unknown_outcome_is_told_of_once_it_is_known() {
    let mut writer = writer();
    writer.take_over(DEAD, gids(&["a", "b"]));
    assert_eq!(submitted(&mut writer, 0), "1 takes a b");
    again(&mut writer, 0);
    // What comes meanwhile waits, and nothing is told to be taken over.
    append(&mut writer, 1..=1);
    writer.take_over(DEAD, gids(&["c"]));
    let failing = JournalEvent::Failing { why: "gone".to_owned() };
    assert_eq!(told(&mut writer), [taking(&["a", "b"]), failing, taking(&["c"])]);
    assert_eq!(submitted(&mut writer, 39), "nothing");
    assert_eq!(submitted(&mut writer, 40), "1 takes a b");
    taken_over(&mut writer, &["b"]);
    assert_eq!(told(&mut writer), [JournalEvent::Healed, took(&["b"])]);
    assert_eq!(submitted(&mut writer, 41), "2 [1]");
}

#[test]
fn what_cannot_be_taken_over_is_told_as_nothing() {
    let mut writer = writer();
    writer.take_over(DEAD, Vec::new());
    assert_eq!(told(&mut writer), [taking(&[]), took(&[])]);
    writer.take_over(DEAD, gids(&["a"]));
    assert_eq!(submitted(&mut writer, 0), "1 takes a");
    writer.committed(Committed::Rejected, at(0));
    assert_eq!(told(&mut writer), [taking(&["a"]), took(&[])]);
    writer.take_over(DEAD, gids(&["a"]));
    writer.close();
    writer.take_over(DEAD, gids(&["b"]));
    assert_eq!(told(&mut writer), [taking(&["a"]), took(&[]), taking(&["b"]), took(&[])]);
    assert!(writer.is_over());
}

#[test]
fn a_chunk_is_a_sign_of_life_and_what_lingers_does_not_hold_it_back() {
    let mut writer = writer();
    append(&mut writer, 1..=1);
    assert_eq!(submitted(&mut writer, 0), "1 [1]");
    durable(&mut writer);
    writer.append(Vec::new(), Urgency::Linger);
    writer.take_over(DEAD, gids(&["a"]));
    assert!(!writer.is_idle());
    assert_eq!(submitted(&mut writer, 400), "2 takes a");
    writer.committed(Committed::TakenOver { gids: Vec::new() }, at(410));
    assert_eq!(writer.next_deadline(), Some(Mono(910)));
    assert_eq!(submitted(&mut writer, 909), "nothing");
    assert_eq!(submitted(&mut writer, 910), "3 []");
}

#[test]
fn a_life_leaves_once_all_is_written() {
    let mut writer = writer();
    append(&mut writer, 1..=3);
    assert_eq!(submitted(&mut writer, 0), "1 [1, 2]");
    writer.leave();
    for expected in ["2 [3]", "3 leaves"] {
        durable(&mut writer);
        assert!(!writer.is_over(), "before {expected}");
        assert_eq!(submitted(&mut writer, 0), expected);
    }
    // Nobody knows whether it has left: it says so again.
    again(&mut writer, 0);
    assert!(!writer.is_over());
    assert_eq!(submitted(&mut writer, 40), "3 leaves");
    durable(&mut writer);
    assert!(writer.is_over());
    assert_eq!(submitted(&mut writer, 50), "nothing");
}
