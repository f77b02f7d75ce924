//! The daemon is killed at each step of a transaction. After the restart it goes on, and
//! everybody has seen one decision.

use tercet_testing::{Gate, Participant, Reaction, Tercet, eventually, soon};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;

/// How often the branch got Try, Confirm and Cancel.
fn calls(participant: &Participant, branch: &str) -> [usize; 3] {
    Op::ALL.map(|op| participant.calls_of(branch, op).len())
}

#[tokio::test]
async fn a_begin_that_was_never_answered_goes_on_and_its_repeat_finds_it() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let held = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&held)]);
    let body = begin("order-1", &[branch(&participant, "stock"), branch(&participant, "payment")]);
    let initiator = tokio::spawn({
        let (client, body) = (tercet.client(), body.clone());
        async move { client.try_send(http::Method::POST, "/v1/transactions", Some(&body)).await }
    });
    // The Try was sent, so the transaction is durable, although nobody was told.
    let first = participant.called("stock", Op::Try, 1).await;
    tercet.kill().await;
    let unanswered = soon("the initiator's connection breaks", initiator).await;
    assert!(unanswered.expect("no panic").is_err(), "nobody was there to answer");
    tercet.restart().await;
    let repeat = tercet.client().begin("", &body).await;
    transaction(&repeat, 200, "confirmed");
    assert_eq!(repeat.word("instance"), first.instance, "the same transaction");
    for id in ["stock", "payment"] {
        let [tries, confirms, cancels] = calls(&participant, id);
        assert!((1..=2).contains(&tries), "{id}: {tries} Tries");
        assert_eq!((confirms, cancels), (1, 0), "{id}");
    }
}

#[tokio::test]
async fn what_was_accepted_is_carried_through_after_a_crash() {
    let (mut tercet, mut participant) = (Tercet::start().await, Participant::start().await);
    participant.stop().await;
    for gid in ["order-1", "order-2", "order-3"] {
        let body = begin(gid, &[branch(&participant, "stock")]);
        transaction(&tercet.client().begin("?wait=accepted", &body).await, 201, "trying");
        if gid == "order-3" {
            tercet.kill().await;
        }
    }
    participant.restart().await;
    tercet.restart().await;
    for gid in ["order-1", "order-2", "order-3"] {
        let ended = tercet.client().finished(gid).await;
        let of: Vec<Op> =
            participant.calls().iter().filter(|call| call.gid == gid).map(|call| call.op).collect();
        match ended.word("status") {
            "confirmed" => assert_eq!(of, [Op::Try, Op::Confirm], "{gid}"),
            // The attempts of the Try were used up before the crash.
            "cancelled" => assert_eq!((ended.word("reason"), of), ("try-failed", vec![Op::Cancel])),
            other => panic!("{gid} is {other}"),
        }
    }
}

/// Keeps P5.
#[tokio::test]
async fn a_crash_while_a_try_is_held_aborts_nothing() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let held = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&held)]);
    let body = begin("order-1", &[branch(&participant, "stock"), branch(&participant, "payment")]);
    let begun = tercet.client().begin("?wait=accepted", &body).await;
    participant.called("stock", Op::Try, 1).await;
    tercet.kill().await;
    held.open();
    tercet.restart().await;
    // Nobody has to ask for it.
    participant.called("stock", Op::Confirm, 1).await;
    let ended = tercet.client().finished("order-1").await;
    transaction(&ended, 200, "confirmed");
    for name in ["instance", "created_at", "deadline_at"] {
        assert_eq!(ended.word(name), begun.word(name));
    }
    assert_eq!(calls(&participant, "stock"), [2, 1, 0]);
    assert!(participant.calls().iter().all(|call| call.instance == begun.word("instance")));
}

/// Keeps P5.
#[tokio::test]
async fn after_the_decision_a_crash_leads_to_the_same_decision() {
    for (asked, decided, finished) in
        [(Op::Confirm, "confirming", "confirmed"), (Op::Cancel, "cancelling", "cancelled")]
    {
        let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
        let held = Gate::closed();
        let ids = ["stock", "payment"];
        for id in ids {
            participant.next(id, asked, [Reaction::status(200).behind(&held)]);
        }
        let branches = ids.map(|id| branch(&participant, id));
        let begun = match asked {
            Op::Confirm => {
                tercet.client().begin("?wait=decided", &begin("order-1", &branches)).await
            }
            Op::Cancel | Op::Try => {
                tercet.client().begin("", &begin_open("order-1", &branches)).await;
                tercet.client().cancel("order-1", "?wait=decided", None).await
            }
        };
        assert_eq!(begun.word("status"), decided, "{}", begun.text);
        for id in ids {
            participant.called(id, asked, 1).await;
        }
        tercet.kill().await;
        tercet.restart().await;
        for id in ids {
            // Nobody has to ask for it.
            participant.called(id, asked, 2).await;
        }
        // Whoever asks now hears the decision that was taken then.
        let ended = tercet.client().finished("order-1").await;
        transaction(&ended, 200, finished);
        assert_eq!(ended.word("decided_at"), begun.word("decided_at"));
        for id in ids {
            let [_, confirms, cancels] = calls(&participant, id);
            let expected = if asked == Op::Confirm { (2, 0) } else { (0, 2) };
            assert_eq!((confirms, cancels), expected, "{id}");
        }
        held.open();
    }
}

#[tokio::test]
async fn who_acknowledged_long_before_the_crash_is_not_called_again() {
    let settings = [("RETRY__ACK_FLUSH_AFTER_MS", "20")];
    let (mut tercet, participant) =
        (Tercet::start_with(&settings).await, Participant::start().await);
    // In progress, asked again every 100 ms: two calls after the other acknowledgement came it has
    // waited alone for longer than it may.
    let progress = Reaction::status(202).header("retry-after", "0");
    participant.always("slow", Op::Confirm, progress);
    let body = begin("order-1", &[branch(&participant, "quick"), branch(&participant, "slow")]);
    tercet.client().begin("?wait=decided", &body).await;
    let acknowledged = async || {
        let shown = tercet.client().get("order-1").await;
        (shown.branch("quick")["status"] == "confirmed").then_some(())
    };
    eventually("the acknowledgement", acknowledged).await;
    let calls_by_then = participant.calls_of("slow", Op::Confirm).len();
    participant.called("slow", Op::Confirm, calls_by_then + 2).await;
    // What is written later is durable later, so by now its acknowledgement is durable too.
    let later = tercet.client().begin("", &begin_open("order-2", &[])).await;
    transaction(&later, 201, "trying");
    tercet.kill().await;
    tercet.restart().await;
    let shown = tercet.client().get("order-1").await;
    transaction(&shown, 200, "confirming");
    assert_eq!(shown.branch("quick")["status"], "confirmed", "{}", shown.text);
    let calls_so_far = participant.calls_of("slow", Op::Confirm).len();
    participant.always("slow", Op::Confirm, Reaction::status(200));
    participant.called("slow", Op::Confirm, calls_so_far + 1).await;
    transaction(&tercet.client().finished("order-1").await, 200, "confirmed");
    assert_eq!(calls(&participant, "quick"), [1, 1, 0]);
}

#[tokio::test]
async fn a_deadline_that_only_a_doubted_clock_calls_over_waits_for_one_more_round_of_try() {
    // Any time that has passed is more than this node may have been down.
    let settings = [("NODE__MAX_EXPECTED_DOWNTIME_MS", "0")];
    let (mut tercet, participant) =
        (Tercet::start_with(&settings).await, Participant::start().await);
    let held = Gate::closed();
    participant.next("stock", Op::Try, [Reaction::status(200).behind(&held)]);
    let mut body: serde_json::Value =
        serde_json::from_str(&begin("order-1", &[branch(&participant, "stock")])).expect("JSON");
    // It must not pass before the daemon is down.
    body["timeout_ms"] = 2_000.into();
    tercet.client().begin("?wait=accepted", &body.to_string()).await;
    participant.called("stock", Op::Try, 1).await;
    tercet.kill().await;
    // Time spent down is what the test is about.
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    tercet.restart().await;
    let ended = tercet.client().finished("order-1").await;
    transaction(&ended, 200, "confirmed");
    tercet.logged("the clock is ahead of what was last written here").await;
}
