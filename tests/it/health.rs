//! Participants' health: what keeps Tercet from calling a destination, that nobody else feels
//! it, and that one which returns is served at once and not trampled.

use http::Method;
use serde_json::json;
use tercet_testing::{Client, Gate, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, branch, with};
use crate::expected::transaction;

/// How many of a participant's destinations are not called freely.
async fn open_breakers(client: &Client, participant: &Participant) -> Option<String> {
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    let name =
        format!("tercet_participant_breaker_open{{participant=\"{}\"}} ", participant.host_port());
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned)
}

/// Waits for it to be so; only for what stays so until the test does something about it.
async fn until_open_breakers(client: &Client, participant: &Participant, expected: &str) {
    let look = async || (open_breakers(client, participant).await? == expected).then_some(());
    eventually(&format!("{expected} open breakers"), look).await;
}

/// Has a few transactions run elsewhere, one after the other: time in which others might do
/// what they should not.
async fn others_run(client: &Client, elsewhere: &Participant, name: &str) {
    for n in 0..5 {
        let body = begin(&format!("{name}-{n}"), &[branch(elsewhere, "stock")]);
        transaction(&client.begin("", &body).await, 201, "confirmed");
    }
}

/// Keeps P6.
#[tokio::test]
async fn a_participant_that_dies_is_probed_and_when_it_returns_all_finish_without_a_stampede() {
    const MANY: usize = 40;
    const AT_ONCE: usize = 8;
    let settings = [
        ("DISPATCHER__PER_DESTINATION_CONCURRENCY", "8"),
        ("DISPATCHER__PROBE_INTERVAL_MS", "50"),
        // Held probes are held by the test.
        ("DISPATCHER__PROBE_TIMEOUT_MS", "60000"),
    ];
    let (tercet, mut mortal) = (Tercet::start_with(&settings).await, Participant::start().await);
    let (client, well) = (tercet.client(), Participant::start().await);
    let held = Gate::closed();
    mortal.always("stock", Op::Confirm, Reaction::status(200).behind(&held));
    for n in 0..MANY {
        // Its own way for Confirm, so that each Try is not taken for a sign of life there.
        let legs = json!({ "id": "stock", "try": mortal.url("/try"), "timeout_ms": 25_000,
                           "confirm": mortal.url("/confirm"), "cancel": mortal.url("/cancel") });
        client.begin("?wait=decided", &begin(&format!("order-{n}"), &[legs])).await;
    }
    mortal.called("stock", Op::Confirm, AT_ONCE).await;
    assert_eq!(open_breakers(&client, &mortal).await.as_deref(), Some("0"));

    mortal.stop().await;
    tercet.logged("a participant does not answer").await;
    until_open_breakers(&client, &mortal, "1").await;
    others_run(&client, &well, "meanwhile").await;

    let (first, rest) = (Gate::closed(), Gate::closed());
    mortal.next("stock", Op::Confirm, [Reaction::status(200).behind(&first)]);
    mortal.always("stock", Op::Confirm, Reaction::status(200).behind(&rest));
    let before = confirms(&mortal);
    mortal.restart().await;
    mortal.called("stock", Op::Confirm, before + 1).await;
    others_run(&client, &well, "one").await;
    assert_eq!(confirms(&mortal), before + 1, "one probe while nobody knows");
    first.open();
    mortal.called("stock", Op::Confirm, before + 3).await;
    others_run(&client, &well, "two").await;
    assert_eq!(confirms(&mortal), before + 3, "then two at a time, until they are answered");
    rest.open();
    for n in 0..MANY {
        transaction(&client.finished(&format!("order-{n}")).await, 200, "confirmed");
    }
    until_open_breakers(&client, &mortal, "0").await;
    tercet.logged("a participant answers again").await;
}

fn confirms(participant: &Participant) -> usize {
    participant.calls_of("stock", Op::Confirm).len()
}

/// Keeps P6.
#[tokio::test]
async fn one_poisonous_payload_that_fails_for_ever_stops_nobody() {
    let settings = [("RETRY__INITIAL_BACKOFF_MS", "1"), ("RETRY__MAX_BACKOFF_MS", "5")];
    let (tercet, shop) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    // One service: the branches' ids tell the payloads apart.
    let at_the_shop = |id: &str| with(branch(&shop, id), json!({ "endpoint": shop.url("/shop") }));
    shop.always("poison", Op::Confirm, Reaction::status(503));
    client.begin("?wait=decided", &begin("poisoned", &[at_the_shop("poison")])).await;
    shop.called("poison", Op::Confirm, 50).await;
    assert_eq!(open_breakers(&client, &shop).await.as_deref(), Some("0"));
    for n in 0..10 {
        let body = begin(&format!("order-{n}"), &[at_the_shop("good")]);
        transaction(&client.begin("", &body).await, 201, "confirmed");
    }
    shop.always("poison", Op::Confirm, Reaction::status(200));
    transaction(&client.finished("poisoned").await, 200, "confirmed");
}

/// Keeps P6.
#[tokio::test]
async fn a_failing_service_behind_a_shared_gateway_stops_no_other_service_there() {
    let settings = [("RETRY__INITIAL_BACKOFF_MS", "1"), ("RETRY__MAX_BACKOFF_MS", "5")];
    let (tercet, gateway) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    for op in [Op::Try, Op::Cancel] {
        gateway.always("dead", op, Reaction::status(504));
    }
    for n in 0..6 {
        let body = begin(&format!("dead-{n}"), &[branch(&gateway, "dead")]);
        client.begin("?wait=accepted", &body).await;
    }
    until_open_breakers(&client, &gateway, "1").await;
    others_run(&client, &gateway, "alive").await;
    assert_eq!(open_breakers(&client, &gateway).await.as_deref(), Some("1"));
}

/// Keeps P6.
#[tokio::test]
async fn a_try_that_waits_for_a_dead_participant_uses_up_its_attempts_and_delays_nobody() {
    const MANY: usize = 100;
    let settings = [
        ("RETRY__INITIAL_BACKOFF_MS", "1"),
        ("RETRY__MAX_BACKOFF_MS", "5"),
        ("RETRY__TRY_ATTEMPTS", "2"),
        ("DISPATCHER__PER_DESTINATION_CONCURRENCY", "8"),
    ];
    let (tercet, silent) = (Tercet::start_with(&settings).await, Participant::start().await);
    let (client, well) = (tercet.client(), Participant::start().await);
    let (never, later) = (Gate::closed(), Gate::closed());
    silent.always("stock", Op::Try, Reaction::status(200).behind(&never));
    // Were a Cancel answered, the participant would be alive again.
    silent.always("stock", Op::Cancel, Reaction::status(200).behind(&later));
    let impatient = with(branch(&silent, "stock"), json!({ "timeout_ms": 200 }));
    for n in 0..MANY {
        let body = begin(&format!("silent-{n}"), std::slice::from_ref(&impatient));
        client.begin("?wait=accepted", &body).await;
    }
    tercet.logged("a participant does not answer").await;
    until_open_breakers(&client, &silent, "1").await;
    others_run(&client, &well, "well").await;
    let mut waited_in_vain = 0;
    for n in 0..MANY {
        let ended = client.decided(&format!("silent-{n}")).await;
        assert_eq!((ended.word("status"), ended.word("reason")), ("cancelling", "try-failed"));
        let history = client.events(&format!("silent-{n}")).await.text;
        waited_in_vain += usize::from(history.contains("behind its open breaker"));
    }
    assert!(waited_in_vain > 0, "at least one Try was not called but answered");
    assert_eq!(open_breakers(&client, &silent).await.as_deref(), Some("1"), "still");
    later.open();
    for n in 0..MANY {
        transaction(&client.finished(&format!("silent-{n}")).await, 200, "cancelled");
    }
    tercet.logged("a participant answers again").await;
}
