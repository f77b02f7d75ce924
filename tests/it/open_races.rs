//! Requests that compete for the one decision: whoever wins, everybody is told the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Response, Tercet, soon};
use tercet_wire::Op;
use tokio::task::JoinSet;

use crate::bodies::begin_open;

/// Transactions that race side by side; each with a moment of its own.
const RACES: u64 = 20;

fn without_try(at: &Participant, id: &str) -> Value {
    json!({ "id": id, "confirm": at.url("/confirm"), "cancel": at.url("/cancel") })
}

/// The calls of the second phase that a transaction's branch got.
fn told(participant: &Participant, gid: &str, branch: &str) -> BTreeSet<Op> {
    let calls = participant.calls().into_iter();
    calls.filter(|call| call.gid == gid && call.branch == branch).map(|call| call.op).collect()
}

/// Checks what one of the racers was told of the decision against how it ended.
fn fits(asked: Op, answer: &Response, ended: &Response) {
    let (gid, text) = (ended.word("gid"), &answer.text);
    match (asked, ended.word("status")) {
        (Op::Confirm, "confirmed") | (Op::Cancel, "cancelled") => {
            assert_eq!(answer.status, 200, "{gid} {asked}: {text}");
        }
        (Op::Confirm, "cancelled") => {
            assert_eq!(answer.word("code"), "already-cancelled", "{gid}: {text}");
        }
        (Op::Cancel, "confirmed") => {
            assert_eq!(answer.word("code"), "already-confirmed", "{gid}: {text}");
        }
        (asked, ended) => panic!("{gid} ended {ended} after {asked}: {text}"),
    }
}

/// Keeps P2.
#[tokio::test]
async fn confirm_racing_the_deadline_leads_to_one_decision_that_everybody_is_told() {
    let (tercet, participant) = (Tercet::start().await, Arc::new(Participant::start().await));
    let mut races = JoinSet::new();
    for race in 0..RACES {
        let (client, participant) = (tercet.client(), Arc::clone(&participant));
        races.spawn(async move { one_deadline_race(race, &client, &participant).await });
    }
    let outcomes = races.join_all().await;
    assert_eq!(outcomes.len() as u64, RACES);
}

async fn one_deadline_race(race: u64, client: &Client, participant: &Participant) {
    let gid = format!("race-{race}");
    let body = json!({ "gid": gid, "open": true, "timeout_ms": 100,
        "branches": [without_try(participant, "stock"), without_try(participant, "payment")] });
    client.begin("", &body.to_string()).await;
    // Around the deadline, each a little later than the one before.
    tokio::time::sleep(Duration::from_millis(88 + race)).await;
    let query = format!("{gid}?wait=decided");
    let (confirm, decided, cancel) = tokio::join!(
        client.confirm(&gid, ""),
        client.get(&query),
        // Every other race has a third that competes.
        async {
            match race % 2 {
                0 => None,
                _ => Some(client.cancel(&gid, "", None).await),
            }
        },
    );
    let ended = client.finished(&gid).await;
    fits(Op::Confirm, &confirm, &ended);
    if let Some(cancel) = cancel {
        fits(Op::Cancel, &cancel, &ended);
    }
    let (op, statuses) = match ended.word("status") {
        "confirmed" => (Op::Confirm, ["confirming", "confirmed"]),
        _ => (Op::Cancel, ["cancelling", "cancelled"]),
    };
    assert!(statuses.contains(&decided.word("status")), "{gid}: {}", decided.text);
    for branch in ["stock", "payment"] {
        assert_eq!(told(participant, &gid, branch), BTreeSet::from([op]), "{gid} {branch}");
    }
}

/// Keeps P2.
#[tokio::test]
async fn confirm_racing_cancel_leads_to_one_decision_that_everybody_is_told() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    for race in 0..RACES {
        let gid = format!("race-{race}");
        client.begin("", &begin_open(&gid, &[without_try(&participant, "stock")])).await;
        let (one, two, three, four) = tokio::join!(
            client.confirm(&gid, ""),
            client.cancel(&gid, "", None),
            client.confirm(&gid, ""),
            client.cancel(&gid, "", None),
        );
        let ended = client.get(&gid).await;
        for (op, answer) in
            [(Op::Confirm, one), (Op::Cancel, two), (Op::Confirm, three), (Op::Cancel, four)]
        {
            fits(op, &answer, &ended);
        }
        assert_eq!(told(&participant, &gid, "stock").len(), 1, "{gid}");
    }
}

/// Keeps P4.
#[tokio::test]
async fn a_branch_registered_while_the_decision_is_taken_is_told_it_or_not_accepted() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    for race in 0..RACES {
        let gid = format!("race-{race}");
        client.begin("", &begin_open(&gid, &[without_try(&participant, "stock")])).await;
        let late = without_try(&participant, "late").to_string();
        let op = if race % 2 == 0 { Op::Confirm } else { Op::Cancel };
        let decide = async {
            match op {
                Op::Confirm => client.confirm(&gid, "").await,
                Op::Cancel | Op::Try => client.cancel(&gid, "", None).await,
            }
        };
        let (registered, decided) = tokio::join!(client.register(&gid, "", &late), decide);
        assert_eq!(decided.status, 200, "{gid}: {}", decided.text);
        let ended = client.get(&gid).await;
        let branches = ended.json["branches"].as_array().map_or(0, Vec::len);
        let expected = match registered.status {
            // Accepted, so it is told.
            201 => (2, BTreeSet::from([op])),
            // Not accepted, so it is not part of it.
            409 => (1, BTreeSet::new()),
            status => panic!("{gid}: {status} {}", registered.text),
        };
        assert_eq!((branches, told(&participant, &gid, "late")), expected, "{gid}");
    }
}

#[tokio::test]
async fn the_same_begin_from_many_at_once_is_one_transaction() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let url = participant.url("/stock");
    let body = json!({ "gid": "order-1", "branches": [{ "id": "stock", "endpoint": url }] });
    let mut begins = JoinSet::new();
    for _ in 0..RACES {
        let (client, body) = (tercet.client(), body.to_string());
        begins.spawn(async move { client.begin("", &body).await });
    }
    let answers = begins.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let repeats = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, repeats as u64), (1, RACES - 1));
    let instances: BTreeSet<&str> = answers.iter().map(|a| a.word("instance")).collect();
    assert_eq!(instances.len(), 1);
    assert_eq!(participant.calls().len(), 2, "one Try and one Confirm");
}

#[tokio::test]
async fn of_two_contents_begun_at_once_under_one_gid_one_wins_and_the_other_is_told() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let mut begins = JoinSet::new();
    for n in 0..RACES {
        let client = tercet.client();
        let endpoint = participant.url(if n % 2 == 0 { "/even" } else { "/odd" });
        let branches = [json!({ "id": "stock", "endpoint": endpoint })];
        let body = json!({ "gid": "order-1", "branches": branches }).to_string();
        begins.spawn(async move { (n % 2, client.begin("", &body).await) });
    }
    let answers = begins.join_all().await;
    let created = answers.iter().find(|(_, answer)| answer.status == 201);
    let winner = created.map(|(parity, _)| *parity).expect("one of them was first");
    for (parity, answer) in &answers {
        if *parity == winner {
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        } else {
            assert_eq!(answer.word("code"), "gid-reused", "{}", answer.text);
        }
    }
    assert_eq!(participant.calls().len(), 2, "one Try and one Confirm");
}

#[tokio::test]
async fn a_process_that_was_paused_past_the_deadline_decides_once_when_it_goes_on() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let body = json!({ "gid": "order-1", "open": true, "timeout_ms": 100,
        "branches": [without_try(&participant, "stock")] });
    client.begin("", &body.to_string()).await;
    tercet.signal("STOP").await;
    let asked = tokio::spawn({
        let client = client.clone();
        async move { client.confirm("order-1", "").await }
    });
    tokio::time::sleep(Duration::from_millis(120)).await;
    tercet.signal("CONT").await;
    let confirm = soon("the answer", asked).await.expect("no panic");
    let ended = client.finished("order-1").await;
    fits(Op::Confirm, &confirm, &ended);
    assert_eq!(told(&participant, "order-1", "stock").len(), 1);
}
