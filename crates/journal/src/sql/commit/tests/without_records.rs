//! What is written without records: a chunk of a dead life's transactions, and a life's end.

use std::fmt::Debug;

use tercet_engine::{Chunk, Leave};
use tercet_wire::{Gid, Incarnation, Wall};

use super::super::{Answer, ChunkMachine, Fault, LeaveMachine, Machine, Row, Step};
use super::script::{Names, OWN, node, text};
use crate::store::CommitError;

const TAKE: &str = "take a+b from 3 for 7";

fn gids(names: &[&str]) -> Vec<Gid> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn chunk() -> Chunk {
    let dead = Incarnation(3);
    Chunk { number: 10, written_at: Wall(1), dead, gids: gids(&["a", "b"]) }
}

const LEAVE: Leave = Leave { number: 10, written_at: Wall(1) };

/// What the machine has said until it was done, or the answers were all given.
fn run<M: Machine>(mut machine: M, answers: Vec<Answer>) -> (Vec<String>, Step<M::Done>) {
    let mut sent = Vec::new();
    let mut step = machine.start();
    for answer in answers {
        sent.push(match &step {
            Step::Begin(statement) => format!("begin with {}", statement.sql),
            Step::Execute(statement) | Step::Query(statement) => statement.sql.clone(),
            Step::Commit => "COMMIT".to_owned(),
            Step::Rollback => "ROLLBACK".to_owned(),
            Step::Done(_) => break,
        });
        step = machine.next(answer);
    }
    (sent, step)
}

fn found(names: &[&str]) -> Answer {
    let row = |name: &&str| -> Row { vec![text(name)] };
    Answer::Found(names.iter().map(row).collect())
}

#[test]
fn a_chunk_is_fenced_taken_and_asked_for_in_one_transaction() {
    let chunk = chunk();
    // However many change hands: others may have been first.
    for taken in [0, 1, 2] {
        let answers =
            vec![Answer::Changed(1), Answer::Changed(taken), found(&["b", "a"]), Answer::Ended];
        let (sent, done) = run(ChunkMachine::new(Names, OWN, &chunk), answers);
        assert_eq!(sent, ["begin with fence 7 10", TAKE, "taken 2 by 7", "COMMIT"]);
        assert_eq!(done, Step::Done(Ok(gids(&["a", "b"]))));
    }
}

#[test]
fn a_chunk_that_had_happened_is_only_asked_for() {
    let chunk = chunk();
    let looked = Answer::Found(node("live", 10));
    let answers = vec![Answer::Changed(0), looked, found(&["a"]), Answer::Ended];
    let (sent, done) = run(ChunkMachine::new(Names, OWN, &chunk), answers);
    assert_eq!(sent, ["begin with fence 7 10", "look", "taken 2 by 7", "ROLLBACK"]);
    assert_eq!(done, Step::Done(Ok(gids(&["a"]))));
}

#[test]
fn a_life_leaves_in_its_fence_itself() {
    let answers = vec![Answer::Changed(1), Answer::Ended];
    let (sent, done) = run(LeaveMachine::new(Names, OWN, &LEAVE), answers);
    assert_eq!(sent, ["begin with leave 7 10", "COMMIT"]);
    assert_eq!(done, Step::Done(Ok(())));
    let looked = Answer::Found(node("left", 10));
    let answers = vec![Answer::Changed(0), looked, Answer::Ended];
    let (sent, done) = run(LeaveMachine::new(Names, OWN, &LEAVE), answers);
    assert_eq!(sent, ["begin with leave 7 10", "look", "ROLLBACK"]);
    assert_eq!(done, Step::Done(Ok(())));
}

fn kind<T: Debug>(step: &Step<T>) -> &'static str {
    match step {
        Step::Done(Err(CommitError::Again(_) | CommitError::Conflict(_))) => "again",
        Step::Done(Err(CommitError::Fenced(why))) if why.contains("ALARM") => "fenced, ALARM",
        Step::Done(Err(CommitError::Fenced(_))) => "fenced",
        Step::Done(_) => "done",
        _ => "goes on",
    }
}

#[test]
fn whoever_takes_over_or_leaves_is_fenced_only_for_cause() {
    let chunk = chunk();
    let table = [
        // What the row says, what becomes of the chunk, and of the life's end.
        (node("live", 10), "goes on", "fenced"),
        (node("left", 10), "fenced", "goes on"),
        (node("live", 9), "again", "again"),
        (node("live", 8), "fenced, ALARM", "fenced, ALARM"),
        (node("fenced", 9), "fenced", "fenced"),
        (Vec::new(), "fenced", "fenced"),
    ];
    for (row, of_chunk, of_leave) in table {
        let answers = || vec![Answer::Changed(0), Answer::Found(row.clone())];
        let (_, step) = run(ChunkMachine::new(Names, OWN, &chunk), answers());
        assert_eq!(kind(&step), of_chunk, "{row:?}");
        let (_, step) = run(LeaveMachine::new(Names, OWN, &LEAVE), answers());
        assert_eq!(kind(&step), of_leave, "{row:?}");
    }
}

#[test]
fn what_fails_at_any_step_is_submitted_again() {
    let chunk = chunk();
    let good = [Answer::Changed(1), Answer::Changed(2), found(&["a"])];
    for fault in [Fault::Again("x".into()), Fault::Rejected("x".into()), Fault::Taken("x".into())] {
        for steps in 0..=good.len() {
            let mut answers = good[..steps].to_vec();
            answers.push(Answer::Failed(fault.clone()));
            let (_, step) = run(ChunkMachine::new(Names, OWN, &chunk), answers);
            assert_eq!(step, Step::Done(Err(CommitError::Again("x".into()))), "{steps}");
        }
        for steps in 0..=1 {
            let mut answers = good[..steps].to_vec();
            answers.push(Answer::Failed(fault.clone()));
            let (_, step) = run(LeaveMachine::new(Names, OWN, &LEAVE), answers);
            assert_eq!(step, Step::Done(Err(CommitError::Again("x".into()))), "{steps}");
        }
    }
}
