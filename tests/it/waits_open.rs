//! What confirm, cancel and register wait for.

use serde_json::json;
use tercet_testing::{Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin_open, branch, with};
use crate::expected::{problem, transaction};

/// An open transaction whose one branch has been tried and whose second phase is held.
async fn tried(gid: &str) -> (Tercet, Participant, Gate) {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let gate = Gate::closed();
    for op in [Op::Confirm, Op::Cancel] {
        participant.always("stock", op, Reaction::status(200).behind(&gate));
    }
    let client = tercet.client();
    client.begin("", &begin_open(gid, &[])).await;
    let branch = branch(&participant, "stock").to_string();
    assert_eq!(client.register(gid, "", &branch).await.status, 201);
    (tercet, participant, gate)
}

#[tokio::test]
async fn confirm_answers_200_when_what_was_waited_for_was_reached_and_else_202() {
    let (tercet, participant, gate) = tried("order-1").await;
    let client = tercet.client();
    let accepted = client.confirm("order-1", "?wait=accepted").await;
    // When it was accepted nothing was decided yet.
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    transaction(&client.confirm("order-1", "?wait=decided").await, 200, "confirming");
    transaction(&client.confirm("order-1", "?wait=accepted").await, 200, "confirming");
    transaction(&client.confirm("order-1", "?wait_ms=20").await, 202, "confirming");
    participant.called("stock", Op::Confirm, 1).await;
    gate.open();
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    transaction(&client.confirm("order-1", "?wait=finished").await, 200, "confirmed");
    assert_eq!(participant.calls_of("stock", Op::Confirm).len(), 1);
}

#[tokio::test]
async fn cancel_answers_200_when_what_was_waited_for_was_reached_and_else_202() {
    let (tercet, participant, gate) = tried("order-1").await;
    let client = tercet.client();
    let reason = r#"{"reason":"the customer left"}"#;
    let accepted = client.cancel("order-1", "?wait=accepted", Some(reason)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let decided = client.cancel("order-1", "?wait=decided", None).await;
    transaction(&decided, 200, "cancelling");
    assert_eq!(decided.word("reason"), "requested");
    assert_eq!(decided.word("reason_detail"), "the customer left");
    transaction(&client.cancel("order-1", "?wait=accepted", None).await, 200, "cancelling");
    transaction(&client.cancel("order-1", "?wait_ms=20", Some("{}")).await, 202, "cancelling");
    participant.called("stock", Op::Cancel, 1).await;
    gate.open();
    transaction(&client.cancel("order-1", "", Some(reason)).await, 200, "cancelled");
    assert_eq!(participant.calls_of("stock", Op::Cancel).len(), 1);
}

#[tokio::test]
async fn a_first_confirm_or_cancel_that_waits_for_more_than_accepted_can_answer_200() {
    for op in [Op::Confirm, Op::Cancel] {
        let (tercet, _participant, gate) = tried("order-1").await;
        let client = tercet.client();
        let ask = async |query: &str| match op {
            Op::Confirm => client.confirm("order-1", query).await,
            Op::Cancel | Op::Try => client.cancel("order-1", query, None).await,
        };
        let (telling, told) = match op {
            Op::Confirm => ("confirming", "confirmed"),
            Op::Cancel | Op::Try => ("cancelling", "cancelled"),
        };
        transaction(&ask("?wait=decided").await, 200, telling);
        gate.open();
        transaction(&ask("").await, 200, told);
    }
}

#[tokio::test]
async fn register_waits_for_its_own_try_and_answers_201_or_202_and_repeats_200_or_202() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    participant.always("stock", Op::Try, Reaction::status(200).behind(&gate));
    client.begin("", &begin_open("order-1", &[])).await;
    let stock = branch(&participant, "stock").to_string();
    let register = async |query: &str| client.register("order-1", query, &stock).await;
    let told = |response: &tercet_testing::Response| {
        assert_eq!(response.word("id"), "stock", "{}", response.text);
        assert_eq!(response.header("tercet-status"), "trying", "{}", response.text);
        (response.status, response.word("status").to_owned())
    };
    let out = "registered".to_owned();
    assert_eq!(told(&register("?wait=accepted").await), (201, out.clone()));
    assert_eq!(told(&register("?wait=accepted").await), (200, out.clone()));
    assert_eq!(told(&register("?wait_ms=20").await), (202, out.clone()));
    let payment = branch(&participant, "payment").to_string();
    participant.always("payment", Op::Try, Reaction::status(200).behind(&gate));
    let payment = client.register("order-1", "?wait=tried&wait_ms=20", &payment).await;
    assert_eq!((payment.status, payment.word("status")), (202, "registered"));
    gate.open();
    assert_eq!(told(&register("").await), (200, "tried".to_owned()));
    let shipping = branch(&participant, "shipping").to_string();
    let shipping = client.register("order-1", "", &shipping).await;
    assert_eq!((shipping.status, shipping.word("status")), (201, "tried"));
    assert_eq!(participant.calls_of("stock", Op::Try).len(), 1);
}

#[tokio::test]
async fn register_tells_a_refusal_and_the_transaction_is_cancelled_by_then() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let held = Gate::closed();
    participant.always("stock", Op::Try, Reaction::status(409).body("sold out"));
    participant.always("stock", Op::Cancel, Reaction::status(200).behind(&held));
    client.begin("", &begin_open("order-1", &[])).await;
    let stock = branch(&participant, "stock").to_string();
    let refused = client.register("order-1", "", &stock).await;
    assert_eq!((refused.status, refused.word("status")), (201, "refused"), "{}", refused.text);
    assert_eq!(refused.header("tercet-status"), "cancelling");
    assert_eq!(refused.field("answer"), &json!({"status": 409, "body": "sold out"}));
    problem(&client.confirm("order-1", "").await, "already-cancelled", Some("order-1"));
    held.open();
    let ended = client.finished("order-1").await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "try-refused"));
}

#[tokio::test]
async fn a_branch_whose_try_is_the_initiators_is_registered_and_nobody_calls_its_try() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    let stock = json!({
        "id": "stock", "try_by": "initiator",
        "confirm": participant.url("/c"), "cancel": participant.url("/x"),
    });
    let registered = client.register("order-1", "", &stock.to_string()).await;
    assert_eq!((registered.status, registered.word("status")), (201, "registered"));
    let no_try = with(json!({ "id": "log" }), json!({ "confirm": participant.url("/l") }));
    let registered = client.register("order-1", "", &no_try.to_string()).await;
    assert_eq!((registered.status, registered.word("status")), (201, "tried"));
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    assert_eq!(participant.calls_of("stock", Op::Try), []);
    let confirm = participant.called("stock", Op::Confirm, 1).await;
    assert_eq!(confirm.headers["tercet-legs"], "try,confirm,cancel");
    assert_eq!((confirm.path.as_str(), confirm.attempt), ("/c", 1));
}
