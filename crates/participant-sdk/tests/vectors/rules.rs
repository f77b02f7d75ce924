//! The guard's table, and what answers mean to whoever calls.

use std::time::Duration;

use serde::Deserialize;
use tercet_participant::{
    Action, Arrival, Instance, Legs, Op, Recorded, State, Verdict, Wall, decide, is_long_past,
};
use tercet_wire::{Answer, parse_retry_after, verdict};

use crate::cases;

#[derive(Debug, Deserialize)]
struct Row {
    instance: Instance,
    state: String,
}

#[derive(Debug, Deserialize)]
struct Then {
    #[serde(rename = "do")]
    do_: String,
    status: u16,
    code: Option<String>,
}

#[derive(Debug, Deserialize)]
struct GuardCase {
    op: String,
    legs: String,
    instance: Instance,
    deadline: Option<String>,
    now: String,
    recorded: Option<Row>,
    then: Then,
    leaves: Option<Row>,
}

fn state(word: &str) -> State {
    let all = [State::Tried, State::Confirmed, State::Cancelled];
    all.into_iter().find(|state| state.as_str() == word).expect("a state")
}

#[test]
fn the_guard_does_what_its_table_says() {
    for case in cases::<GuardCase>("guard.json") {
        let op: Op = case.op.parse().expect("an op");
        let legs: Legs = case.legs.parse().expect("legs");
        let wall = |text: &String| text.parse::<Wall>().expect("a time");
        let arrival = Arrival {
            op,
            legs,
            instance: case.instance,
            long_past: op == Op::Try
                && is_long_past(case.deadline.as_ref().map(wall), wall(&case.now)),
        };
        let row = |row: &Row| Recorded { instance: row.instance, state: state(&row.state) };
        let recorded = case.recorded.as_ref().map(row);
        let written = Some(Recorded { instance: case.instance, state: State::after(op) });
        let (done, status, code, leaves) = match decide(recorded, arrival) {
            Action::Run => ("run", 200, None, written),
            Action::Record => ("record", 200, None, written),
            Action::Repeat => ("repeat", 200, None, recorded),
            Action::Refuse(why) => ("refuse", why.status().as_u16(), Some(why.code()), recorded),
        };
        let expected = (case.then.do_.as_str(), case.then.status, case.then.code.as_deref());
        assert_eq!((done, status, code), expected, "{case:?}");
        assert_eq!(leaves, case.leaves.as_ref().map(row), "{case:?}");
    }
}

#[derive(Debug, Deserialize)]
struct VerdictCase {
    op: String,
    status: Option<u16>,
    retry_after: Option<String>,
    verdict: String,
    pause_ms: Option<u64>,
}

#[test]
fn answers_mean_what_the_contract_says() {
    for case in cases::<VerdictCase>("verdicts.json") {
        let op: Op = case.op.parse().expect("an op");
        let asked = case.retry_after.as_deref().and_then(|text| parse_retry_after(text, Wall(0)));
        let answer = match case.status {
            Some(code) => Answer::Status { code, retry_after: asked, excerpt: String::new() },
            None => Answer::Nothing { why: "none".to_owned() },
        };
        let read = match verdict(op, &answer) {
            Verdict::Done => ("done", None),
            Verdict::Refused => ("refused", None),
            Verdict::InProgress(pause) => ("in-progress", Some(pause)),
            Verdict::Again { pause, .. } => ("again", pause),
        };
        let pause = case.pause_ms.map(Duration::from_millis);
        assert_eq!(read, (case.verdict.as_str(), pause), "{case:?}");
    }
}
