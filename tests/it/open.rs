//! Open transactions: branches are registered, the initiator asks for the decision, and the
//! deadline cleans up after one that does not.

use std::time::Duration;

use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, Reaction, Tercet, soon};
use tercet_wire::Op;

use crate::bodies::{begin_open, branch, with};
use crate::expected::{problem, transaction};

/// A branch that has nothing to try.
fn without_try(at: &Participant, id: &str) -> Value {
    json!({ "id": id, "confirm": at.url("/confirm"), "cancel": at.url("/cancel") })
}

#[tokio::test]
async fn confirm_reaches_every_registered_branch_and_cancel_none() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let begun = client.begin("", &begin_open("order-1", &[branch(&participant, "first")])).await;
    transaction(&begun, 201, "trying");
    participant.called("first", Op::Try, 1).await;
    for id in ["stock", "payment"] {
        let tried = client.register("order-1", "", &branch(&participant, id).to_string()).await;
        assert_eq!((tried.status, tried.word("status")), (201, "tried"), "{}", tried.text);
    }
    client.register("order-1", "", &branch(&participant, "first").to_string()).await;
    let confirmed = client.confirm("order-1", "").await;
    transaction(&confirmed, 200, "confirmed");
    for id in ["first", "stock", "payment"] {
        assert_eq!(confirmed.branch(id)["status"], "confirmed");
        let calls = Op::ALL.map(|op| participant.calls_of(id, op).len());
        assert_eq!(calls, [1, 1, 0], "{id}: Try, Confirm, Cancel");
    }
}

#[tokio::test]
async fn cancel_reaches_every_registered_branch_and_confirm_none() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    let never = Gate::closed();
    participant.always("slow", Op::Try, Reaction::status(200).behind(&never));
    client.register("order-1", "", &branch(&participant, "stock").to_string()).await;
    let slow = branch(&participant, "slow").to_string();
    client.register("order-1", "?wait=accepted", &slow).await;
    participant.called("slow", Op::Try, 1).await;
    let by_hand = with(without_try(&participant, "by-hand"), json!({ "try_by": "initiator" }));
    client.register("order-1", "", &by_hand.to_string()).await;
    // Nobody waits for the Try that is still under way: its Cancel goes out.
    let cancelled = client.cancel("order-1", "", Some(r#"{"reason":"changed"}"#)).await;
    transaction(&cancelled, 200, "cancelled");
    assert_eq!(
        (cancelled.word("reason"), cancelled.word("reason_detail")),
        ("requested", "changed")
    );
    for (id, tries) in [("stock", 1), ("slow", 1), ("by-hand", 0)] {
        let calls = Op::ALL.map(|op| participant.calls_of(id, op).len());
        assert_eq!(calls, [tries, 0, 1], "{id}: Try, Confirm, Cancel");
    }
}

#[tokio::test]
async fn an_open_transaction_without_branches_confirms() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    transaction(&client.begin("", r#"{"gid":"order-1"}"#).await, 201, "trying");
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
}

#[tokio::test]
async fn a_refused_try_cancels_an_open_transaction_too_the_refused_branch_included() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("payment", Op::Try, Reaction::status(422).body("no funds"));
    client.begin("", &begin_open("order-1", &[branch(&participant, "stock")])).await;
    client.register("order-1", "", &branch(&participant, "stock").to_string()).await;
    client.register("order-1", "", &branch(&participant, "payment").to_string()).await;
    let ended = client.finished("order-1").await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "try-refused"));
    assert_eq!(ended.branch("payment")["answer"], json!({"status": 422, "body": "no funds"}));
    for id in ["stock", "payment"] {
        assert_eq!(participant.calls_of(id, Op::Cancel).len(), 1, "{id}");
    }
}

#[tokio::test]
async fn the_deadline_cancels_what_nobody_decided_the_unanswered_try_included() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("slow", Op::Try, Reaction::status(200).behind(&Gate::closed()));
    let body = json!({ "gid": "order-1", "open": true, "timeout_ms": 1_000, "branches": [
        branch(&participant, "stock"),
        branch(&participant, "slow"),
        with(without_try(&participant, "by-hand"), json!({ "try_by": "initiator" })),
    ] });
    transaction(&client.begin("", &body.to_string()).await, 201, "trying");
    let ended = client.finished("order-1").await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "deadline"));
    for id in ["stock", "slow", "by-hand"] {
        let (confirms, cancels) =
            (participant.calls_of(id, Op::Confirm), participant.calls_of(id, Op::Cancel));
        assert_eq!((confirms.len(), cancels.len()), (0, 1), "{id}");
    }
    let time = |name: &str| ended.word(name).parse::<tercet_wire::Wall>().expect(name).0;
    let late_ms = time("decided_at") - time("deadline_at");
    assert!(late_ms >= 0, "decided {} ms before the deadline", -late_ms);
    problem(&client.confirm("order-1", "").await, "already-cancelled", Some("order-1"));
}

#[tokio::test]
async fn the_deadline_cancels_a_transaction_that_decides_for_itself_too() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("slow", Op::Try, Reaction::status(202).header("retry-after", "0"));
    let body = json!({ "gid": "order-1", "timeout_ms": 250, "branches": [
        branch(&participant, "stock"), branch(&participant, "slow"),
    ] });
    let ended = tercet.client().begin("", &body.to_string()).await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "deadline"));
    for id in ["stock", "slow"] {
        assert_eq!(participant.calls_of(id, Op::Cancel).len(), 1, "{id}");
    }
}

#[tokio::test]
async fn a_deadline_that_passed_while_the_daemon_was_down_cancels_at_the_next_start() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let body = json!({ "gid": "order-1", "open": true, "timeout_ms": 100,
        "branches": [without_try(&participant, "stock")] });
    let lives = json!({ "gid": "order-2", "branches": [], "timeout_ms": 60_000 });
    tercet.client().begin("", &lives.to_string()).await;
    tercet.client().begin("", &body.to_string()).await;
    tercet.kill().await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    tercet.restart().await;
    // Nobody has to ask for it.
    participant.called("stock", Op::Cancel, 1).await;
    let ended = tercet.client().finished("order-1").await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "deadline"));
    assert!(!participant.calls_of("stock", Op::Cancel).is_empty());
    // A restart aborts nothing that can still be confirmed.
    transaction(&tercet.client().confirm("order-2", "").await, 200, "confirmed");
}

/// Keeps P4.
#[tokio::test]
async fn a_second_confirm_while_confirming_finishes_nothing_by_itself() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    participant.always("stock", Op::Confirm, Reaction::status(200).behind(&gate));
    client.begin("", &begin_open("order-1", &[without_try(&participant, "stock")])).await;
    transaction(&client.confirm("order-1", "?wait=decided").await, 200, "confirming");
    participant.called("stock", Op::Confirm, 1).await;
    for _ in 0..3 {
        transaction(&client.confirm("order-1", "?wait_ms=20").await, 202, "confirming");
    }
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.confirm("order-1", "").await }
    });
    gate.open();
    let told = soon("the last confirm", waiting).await.expect("an answer");
    transaction(&told, 200, "confirmed");
    assert_eq!(participant.calls_of("stock", Op::Confirm).len(), 1);
}

#[tokio::test]
async fn what_was_registered_before_a_crash_is_confirmed_after_it() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    tercet.client().begin("", &begin_open("order-1", &[])).await;
    let stock = branch(&participant, "stock").to_string();
    let tried = tercet.client().register("order-1", "", &stock).await;
    assert_eq!(tried.word("status"), "tried");
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    // What was told stays true: the Try that was told as done is not asked for again.
    let shown = client.get("order-1").await;
    assert_eq!(shown.branch("stock")["status"], "tried", "{}", shown.text);
    let again = client.register("order-1", "", &stock).await;
    assert_eq!((again.status, again.word("status")), (200, "tried"));
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    assert_eq!(Op::ALL.map(|op| participant.calls_of("stock", op).len()), [1, 1, 0]);
}

#[tokio::test]
async fn branches_beyond_the_limit_are_refused_also_one_by_one() {
    let settings = [("LIMITS__BRANCHES", "2")];
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[branch(&participant, "a")])).await;
    let register = async |id: &str| {
        client.register("order-1", "", &branch(&participant, id).to_string()).await
    };
    assert_eq!(register("b").await.status, 201);
    let third = register("c").await;
    problem(&third, "invalid-request", Some("order-1"));
    assert!(third.word("detail").contains("branches"), "{}", third.text);
    assert_eq!(register("b").await.status, 200);
}
