//! What is finished is forgotten in time, and what is not finished never is.

use http::Method;
use serde_json::Value;
use tercet_testing::{Client, Participant, Response, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;

/// Asks for the transaction until it is as it should be.
async fn becomes(client: &Client, gid: &str, what: &str, is: impl Fn(&Response) -> bool) {
    let look = async || is(&client.get(gid).await).then_some(());
    eventually(&format!("{gid} is {what}"), look).await;
}

#[tokio::test]
async fn a_gid_that_was_forgotten_is_free_for_another_transaction() {
    let settings = [("RETENTION__TRANSACTIONS_DAYS", "0"), ("RETENTION__INTERVAL_MS", "10")];
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("live", &[branch(&participant, "kept")])).await;
    client.register("live", "", &branch(&participant, "kept").to_string()).await;
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let first = client.begin("", &body).await;
    transaction(&first, 201, "confirmed");
    becomes(&client, "order-1", "forgotten", |shown| shown.status == 404).await;
    let second = client.begin("", &body).await;
    transaction(&second, 201, "confirmed");
    assert_ne!(second.word("instance"), first.word("instance"), "another life of the gid");
    assert_eq!(participant.calls_of("stock", Op::Confirm).len(), 2);
    // A transaction that is not finished is never too old.
    transaction(&client.confirm("live", "").await, 200, "confirmed");
    assert_eq!(participant.calls_of("kept", Op::Confirm).len(), 1);
}

#[tokio::test]
async fn without_its_branches_a_finished_transaction_still_answers_its_repeats() {
    let settings = [("RETENTION__BRANCHES_DAYS", "0"), ("RETENTION__INTERVAL_MS", "10")];
    let (mut tercet, participant) =
        (Tercet::start_with(&settings).await, Participant::start().await);
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let first = tercet.client().begin("", &body).await;
    transaction(&first, 201, "confirmed");
    // It may have been passed over while it was under way; a new start looks at all again.
    tercet.terminate().await;
    tercet.restart().await;
    let client = tercet.client();
    let stripped = |shown: &Response| shown.json["branches"].as_array().is_some_and(Vec::is_empty);
    becomes(&client, "order-1", "without branches", stripped).await;
    let shown = client.get("order-1").await;
    transaction(&shown, 200, "confirmed");
    for name in ["instance", "created_at", "decided_at", "finished_at"] {
        assert_eq!(shown.word(name), first.word(name));
    }
    let repeat = client.begin("", &body).await;
    transaction(&repeat, 200, "confirmed");
    assert_eq!(repeat.word("instance"), first.word("instance"));
    let other = client.begin("", &begin("order-1", &[])).await;
    assert_eq!(other.word("code"), "gid-reused", "{}", other.text);
    assert_eq!(participant.calls().len(), 2, "nobody is called again");
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_finished_ones_are_forgotten_and_no_live_one() {
    let settings = [("RETENTION__MAX_FINISHED", "3"), ("RETENTION__INTERVAL_MS", "10")];
    let tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    client.begin("", &begin_open("live", &[])).await;
    let finish = async |n: u32| {
        let gid = format!("order-{n}");
        client.begin("", &begin_open(&gid, &[])).await;
        transaction(&client.confirm(&gid, "").await, 200, "confirmed");
    };
    for n in 0..8 {
        finish(n).await;
    }
    for last in 8..11 {
        finish(last).await;
        let left = async || {
            let page = client.send(Method::GET, "/v1/transactions", None).await;
            let gids: Vec<Value> =
                page.json["items"].as_array()?.iter().map(|item| item["gid"].clone()).collect();
            (gids.len() <= 4).then_some(gids)
        };
        let left = eventually("the oldest are forgotten", left).await;
        let kept = [last, last - 1, last - 2].map(|n| format!("order-{n}"));
        assert_eq!(left, [&kept[0], &kept[1], &kept[2], "live"]);
    }
    transaction(&client.confirm("live", "").await, 200, "confirmed");
}
