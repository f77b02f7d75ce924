//! Sagas that are long, and sagas that are many.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;
use tokio::task::JoinSet;

use crate::bodies::with;
use crate::expected::transaction;
use crate::saga_definitions::{definition, put, run};
use crate::sagas::{saga, step};

/// The calls of each gid in the order in which they came in, as `branch op`.
fn calls_by_gid(at: &Participant) -> BTreeMap<String, Vec<String>> {
    let mut by_gid: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for call in at.calls() {
        by_gid.entry(call.gid).or_default().push(format!("{} {}", call.branch, call.op));
    }
    by_gid
}

/// Keeps P4.
#[tokio::test]
async fn a_chain_of_sixty_four_steps_is_done_and_undone_in_order() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let ids: Vec<String> = (0..64).map(|number| format!("s{number:02}")).collect();
    let steps: Vec<Value> = ids.iter().map(|id| step(&participant, id, None)).collect();
    let in_time = "?wait=finished&wait_ms=60000";
    transaction(&client.begin(in_time, &saga("there", &steps)).await, 201, "confirmed");
    participant.always("s63", Op::Try, Reaction::status(409));
    transaction(&client.begin(in_time, &saga("back", &steps)).await, 201, "cancelled");
    let there: Vec<String> = ids.iter().map(|id| format!("{id} try")).collect();
    let mut back = there.clone();
    back.extend(ids.iter().rev().map(|id| format!("{id} cancel")));
    let calls = calls_by_gid(&participant);
    assert_eq!((&calls["there"], &calls["back"]), (&there, &back));
}

/// Keeps P4, P6.
#[tokio::test]
async fn a_thousand_sagas_at_once_keep_their_order_each() {
    const SAGAS: usize = 1_000;
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let ids = ["a", "b", "c", "d", "e"];
    // Patient: the first are held until the last has begun.
    let patient = |id: &str| with(step(&participant, id, None), json!({ "timeout_ms": 60_000 }));
    let steps = ids.map(patient);
    // Nobody's first step is answered before all have begun.
    let gate = Gate::closed();
    participant.always("a", Op::Try, Reaction::status(200).behind(&gate));
    // Every tenth is refused at its end.
    let refused = [&steps[..4], &[patient("no")]].concat();
    participant.always("no", Op::Try, Reaction::status(409));
    let is_refused = |number: usize| number.is_multiple_of(10);
    let mut beginning = JoinSet::new();
    for first in 0..8 {
        let client = tercet.client();
        let numbers = (first..SAGAS).step_by(8).map(|number| {
            let steps = if is_refused(number) { &refused[..] } else { &steps };
            saga(&format!("saga-{number}"), steps)
        });
        let bodies: Vec<String> = numbers.collect();
        beginning.spawn(async move {
            for body in bodies {
                transaction(&client.begin("?wait=accepted", &body).await, 201, "trying");
            }
        });
    }
    beginning.join_all().await;
    let client = tercet.client();
    let live = client.send(http::Method::GET, "/v1/stats", None).await;
    assert_eq!(live.json["by_status"]["trying"], SAGAS, "{}", live.text);
    gate.open();
    for number in 0..SAGAS {
        let ended = client.finished(&format!("saga-{number}")).await;
        let status = if is_refused(number) { "cancelled" } else { "confirmed" };
        transaction(&ended, 200, status);
    }
    let calls = calls_by_gid(&participant);
    let there = ids.map(|id| format!("{id} try"));
    let forth = ["a", "b", "c", "d", "no"].map(|id| format!("{id} try"));
    let back = ["no", "d", "c", "b", "a"].map(|id| format!("{id} cancel"));
    let back = [forth, back].concat();
    for number in 0..SAGAS {
        let expected = if is_refused(number) { &back[..] } else { &there };
        assert_eq!(calls[&format!("saga-{number}")], expected, "saga-{number}");
    }
}

/// Keeps P2, P5.
#[tokio::test]
async fn runs_keep_their_version_while_the_definition_changes() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    let client = tercet.client();
    let versions =
        [&["flight", "hotel", "pay"][..], &["hotel", "flight", "pay"], &["car", "pay"], &["pay"]];
    // No run gets past its end until all versions have come, and the last is retired.
    let gate = Gate::closed();
    participant.always("pay", Op::Try, Reaction::status(200).behind(&gate));
    let mut begun = Vec::new();
    for (number, steps) in (1_u64..).zip(versions) {
        let told = put(&client, "trip", &definition(&participant, steps)).await;
        assert_eq!(told.field("version").as_u64(), Some(number), "{}", told.text);
        // Of the newest, and of each that came before.
        for version in 1..=number {
            let gid = format!("run-{number}-{version}");
            let body = json!({ "gid": gid, "version": version });
            let body = if version == number { json!({ "gid": gid }) } else { body };
            let told = run(&client, "trip", "?wait=accepted", &body.to_string()).await;
            transaction(&told, 201, "trying");
            begun.push((gid, version, steps_of(&versions, version)));
        }
    }
    let retired = client.send(http::Method::DELETE, "/v1/sagas/trip", None).await;
    assert_eq!(retired.status, 204, "{}", retired.text);
    eventually("every run has come to its last step", async || {
        (participant.calls_of("pay", Op::Try).len() == begun.len()).then_some(())
    })
    .await;
    tercet.kill().await;
    gate.open();
    tercet.restart().await;
    let client = tercet.client();
    for (gid, version, _) in &begun {
        let ended = client.finished(gid).await;
        transaction(&ended, 200, "confirmed");
        assert_eq!(ended.field("saga"), &json!({ "name": "trip", "version": version }));
    }
    let calls = calls_by_gid(&participant);
    for (gid, version, mut expected) in begun {
        // It was under way when the daemon died.
        expected.push("pay try".to_owned());
        assert_eq!(calls[&gid], expected, "{gid} of version {version}");
    }
}

fn steps_of(versions: &[&[&str]], version: u64) -> Vec<String> {
    let at = usize::try_from(version).expect("few") - 1;
    versions[at].iter().map(|id| format!("{id} try")).collect()
}
