//! A full disk: nothing is told that is not durable, and all goes on once there is room.

use http::Method;
use serde_json::json;
use tercet_testing::{Participant, SmallDisk, Tercet, soon};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch, with};
use crate::expected::{problem, transaction};
use crate::journal_hold::until_ready_is;

/// Keeps exactly-once.
#[tokio::test]
async fn a_full_disk_is_told_to_all_and_once_there_is_room_everything_finishes() {
    fill_and_free(SmallDisk::mounted()).await;
}

#[tokio::test]
async fn files_that_may_not_grow_are_told_to_all_and_once_they_may_everything_finishes() {
    fill_and_free(SmallDisk::limited()).await;
}

async fn fill_and_free(disk: SmallDisk) {
    let settings = [("JOURNAL__REQUEST_TIMEOUT_MS", "3000")];
    let mut tercet = Tercet::start_on(&disk, &settings).await;
    let participant = Participant::start().await;
    let client = tercet.client();
    let stock = [branch(&participant, "stock")];
    transaction(&client.begin("", &begin("before", &stock)).await, 201, "confirmed");
    transaction(&client.begin("", &begin_open("live", &[])).await, 201, "trying");
    transaction(&client.begin("", &begin_open("reserved", &[])).await, 201, "trying");
    let held = branch(&participant, "held").to_string();
    assert_eq!(client.register("reserved", "", &held).await.word("status"), "tried");

    disk.fill(&tercet);
    // What is left of the files' present length is used up first.
    let payload = "x".repeat(200_000);
    let large = [with(branch(&participant, "large"), json!({ "payload": payload }))];
    let mut accepted = Vec::new();
    let unknown = loop {
        let gid = format!("large-{}", accepted.len());
        let begun = client.begin("", &begin(&gid, &large)).await;
        if begun.status != 201 {
            problem(&begun, "journal-unavailable", Some(&gid));
            break gid;
        }
        transaction(&begun, 201, "confirmed");
        accepted.push(gid);
        assert!(accepted.len() < 200, "it is never full");
    };
    until_ready_is(503, &client).await;
    let tries_of_large = participant.calls_of("large", Op::Try).len();
    assert_eq!(tries_of_large, accepted.len(), "a Try left before its transaction was durable");
    let refused = client.begin("", &begin("refused", &stock)).await;
    problem(&refused, "not-accepted", Some("refused"));
    // What is durable can be read, whether it is in memory or not.
    transaction(&client.get("before").await, 200, "confirmed");
    transaction(&client.get("live").await, 200, "trying");
    // A decision that cannot be written is told to nobody.
    problem(&client.confirm("reserved", "").await, "journal-unavailable", Some("reserved"));
    problem(&client.get("reserved").await, "journal-unavailable", Some("reserved"));
    assert_eq!(participant.calls_of("held", Op::Confirm), []);
    assert!(tercet.log().contains("the journal cannot write"), "{}", tercet.log());
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    let failures = metrics.lines().find(|line| line.starts_with("tercet_journal_failures_total "));
    assert!(failures.is_some_and(|line| !line.ends_with(" 0")), "{failures:?}");

    disk.free(&tercet);
    soon("the journal writes again", tercet.logged("the journal writes again")).await;
    until_ready_is(200, &client).await;
    transaction(&client.finished(&unknown).await, 200, "confirmed");
    transaction(&client.finished("reserved").await, 200, "confirmed");
    problem(&client.get("refused").await, "transaction-not-found", Some("refused"));
    transaction(&client.begin("", &begin("refused", &stock)).await, 201, "confirmed");
    transaction(&client.confirm("live", "").await, 200, "confirmed");
    for (branch, op, count) in [
        ("large", Op::Try, accepted.len() + 1),
        ("large", Op::Confirm, accepted.len() + 1),
        ("held", Op::Confirm, 1),
    ] {
        assert_eq!(participant.calls_of(branch, op).len(), count, "{op} of {branch}");
    }
    // And it is all there after a crash.
    tercet.kill().await;
    tercet.restart().await;
    let told = accepted.iter().map(String::as_str);
    for gid in told.chain([unknown.as_str(), "before", "live", "reserved", "refused"]) {
        transaction(&tercet.client().finished(gid).await, 200, "confirmed");
    }
}
