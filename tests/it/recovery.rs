//! What is found again after a restart: everything that was told, and nothing else.

use tercet_testing::{Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;
use tokio::task::JoinSet;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;

#[tokio::test]
async fn what_was_shown_to_people_is_still_shown_after_a_crash_until_it_is_mended() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("stock", Op::Confirm, Reaction::status(410));
    let body = begin("order-1", &[branch(&participant, "stock")]);
    tercet.client().begin("?wait=decided", &body).await;
    tercet.client().event("order-1", "parked").await;
    participant.always("stock", Op::Confirm, Reaction::status(200).behind(&Gate::closed()));
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    let shown = client.get("order-1").await;
    transaction(&shown, 200, "confirming");
    assert_eq!(
        (shown.field("parked"), &shown.branch("stock")["parked"]),
        (&true.into(), &true.into())
    );
    let listed = client.send(http::Method::GET, "/v1/transactions?parked=true", None).await;
    assert_eq!(listed.json["items"][0]["gid"], "order-1", "{}", listed.text);
    assert!(client.events("order-1").await.text.contains("parked"));
}

#[tokio::test]
async fn what_was_finished_stays_finished_and_nobody_is_called_for_it_again() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("no", Op::Try, Reaction::status(409));
    for (gid, id) in [("order-1", "stock"), ("order-2", "no")] {
        tercet.client().begin("", &begin(gid, &[branch(&participant, id)])).await;
    }
    let list = "/v1/transactions";
    // A list shows what is durable, the ends of both included.
    let before = tercet.client().send(http::Method::GET, list, None).await;
    let calls_before = participant.calls().len();
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    assert_eq!(client.send(http::Method::GET, list, None).await.json, before.json);
    transaction(&client.get("order-1").await, 200, "confirmed");
    let cancelled = client.get("order-2").await;
    transaction(&cancelled, 200, "cancelled");
    let repeat = client.begin("", &begin("order-1", &[branch(&participant, "stock")])).await;
    transaction(&repeat, 200, "confirmed");
    let other = client.begin("", &begin("order-1", &[branch(&participant, "other")])).await;
    assert_eq!(other.word("code"), "gid-reused", "{}", other.text);
    assert_eq!(cancelled.branch("no")["answer"]["status"], 409, "{}", cancelled.text);
    // A transaction of today is called for; had there been others to call for, they were first.
    client.begin("", &begin("order-3", &[branch(&participant, "stock")])).await;
    assert_eq!(participant.calls().len(), calls_before + 2);
}

#[tokio::test]
async fn a_restart_after_a_crash_need_not_wait_for_anything() {
    let mut tercet = Tercet::start().await;
    for round in 0..3 {
        tercet.client().begin("", &begin_open(&format!("order-{round}"), &[])).await;
        tercet.kill().await;
        // Longer than a busy machine takes, and shorter than any lease.
        let soon = std::time::Duration::from_secs(20);
        tokio::time::timeout(soon, tercet.restart()).await.expect("ready within seconds");
    }
    for round in 0..3 {
        transaction(&tercet.client().get(&format!("order-{round}")).await, 200, "trying");
    }
}

#[tokio::test]
async fn however_many_were_under_way_all_are_taken_up_again() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gids: Vec<String> = (0..620).map(|n| format!("order-{n}")).collect();
    let mut begins = JoinSet::new();
    for gid in &gids {
        let (client, body) = (client.clone(), begin_open(gid, &[]));
        begins.spawn(async move { client.begin("", &body).await.status });
    }
    assert!(begins.join_all().await.into_iter().all(|status| status == 201));
    let stock = branch(&participant, "stock").to_string();
    for gid in [&gids[0], &gids[619]] {
        client.register(gid, "", &stock).await;
    }
    tercet.kill().await;
    tercet.restart().await;
    let metrics = tercet.client().send(http::Method::GET, "/metrics", None).await;
    let active = r#"tercet_transactions_active{status="trying"} 620"#;
    assert!(metrics.text.contains(active), "{}", metrics.text);
    for gid in [&gids[0], &gids[619]] {
        transaction(&tercet.client().confirm(gid, "").await, 200, "confirmed");
    }
    assert_eq!(participant.calls_of("stock", Op::Confirm).len(), 2);
}
