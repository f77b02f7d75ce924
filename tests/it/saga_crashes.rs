//! A saga of three steps whose coordinator is killed at each of its calls: before the answer, and right behind it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::expected::transaction;
use crate::sagas::saga;

/// When the coordinator is killed.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// The call has come in and is never answered.
    BeforeTheAnswer,
    /// The answer is on its way: whether it came in before the end is chance.
    BehindTheAnswer,
}

/// What a saga does, call by call.
type Course = [(&'static str, Op); 6];

const THERE: Course = [
    ("flight", Op::Try),
    ("hotel", Op::Try),
    ("pay", Op::Try),
    ("flight", Op::Confirm),
    ("hotel", Op::Confirm),
    ("pay", Op::Confirm),
];
const BACK: Course = [
    ("flight", Op::Try),
    ("hotel", Op::Try),
    ("void", Op::Try),
    ("void", Op::Cancel),
    ("hotel", Op::Cancel),
    ("flight", Op::Cancel),
];

/// A step with all three legs.
fn step(at: &Participant, id: &str) -> Value {
    json!({ "id": id, "endpoint": at.url(&format!("/{id}")), "timeout_ms": 25_000 })
}

/// The calls of a gid in the order in which they came in.
fn calls(at: &Participant, gid: &str) -> Vec<(String, Op)> {
    let of_it = at.calls().into_iter().filter(|call| call.gid == gid);
    of_it.map(|call| (call.branch, call.op)).collect()
}

/// Keeps P1, P4, P5.
#[tokio::test]
async fn killed_at_each_call_a_saga_goes_on_where_it_was() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    for (course, end) in [(THERE, "confirmed"), (BACK, "cancelled")] {
        for at in 0..course.len() {
            for kill in [Kill::BeforeTheAnswer, Kill::BehindTheAnswer] {
                let gid = format!("{end}-{at}-{kill:?}");
                killed(&mut tercet, &participant, (&gid, course, at), kill).await;
                transaction(&tercet.client().finished(&gid).await, 200, end);
                check(&calls(&participant, &gid), (&gid, course, at), kill);
            }
        }
    }
}

/// Runs a saga up to this call, and the coordinator with it; and starts that again.
async fn killed(
    tercet: &mut Tercet,
    participant: &Participant,
    (gid, course, at): (&str, Course, usize),
    kill: Kill,
) {
    let answer = |id: &str, op: Op| {
        let refuses = (id, op) == ("void", Op::Try);
        Reaction::status(if refuses { 409 } else { 200 })
    };
    participant.always("void", Op::Try, answer("void", Op::Try));
    let (id, op) = course[at];
    let gate = Gate::closed();
    participant.next(id, op, [answer(id, op).behind(&gate)]);
    let steps: Vec<Value> = course[..3].iter().map(|(id, _)| step(participant, id)).collect();
    tercet.client().begin("?wait=accepted", &saga(gid, &steps)).await;
    eventually(&format!("{op} of {id} in {gid}"), async || {
        calls(participant, gid).contains(&(id.to_owned(), op)).then_some(())
    })
    .await;
    match kill {
        Kill::BeforeTheAnswer => {}
        Kill::BehindTheAnswer => gate.open(),
    }
    tercet.kill().await;
    tercet.restart().await;
}

fn check(calls: &[(String, Op)], (gid, course, at): (&str, Course, usize), kill: Kill) {
    let mut first = Vec::new();
    let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (id, op) in calls {
        let seen = times.entry((id, op.as_str())).or_default();
        *seen += 1;
        if *seen == 1 {
            first.push((id.as_str(), *op));
        }
    }
    assert_eq!(first, course, "{gid}: each in its turn: {calls:?}");
    for (position, (id, op)) in course.iter().enumerate() {
        let times = times[&(*id, op.as_str())];
        let right = match kill {
            // What had been answered was durable before the next one was called.
            _ if position < at => times == 1,
            Kill::BeforeTheAnswer => times == if position == at { 2 } else { 1 },
            Kill::BehindTheAnswer => times <= 2,
        };
        assert!(right, "{gid}: {op} of {id} came {times} times: {calls:?}");
    }
}
