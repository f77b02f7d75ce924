//! What people are told by the webhook, and that nobody waits for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use sha2::Sha256;
use tercet_testing::{Client, Delivery, Participant, Reaction, Receiver, Tercet, eventually};
use tercet_wire::{Op, Wall};

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;

/// The key in base64, as receivers are given it.
const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A daemon that tells this receiver soon, and that parks nothing for doubt.
async fn telling(receiver: &Receiver, more: &[(&str, &str)]) -> Tercet {
    let (url, secret) = (receiver.url(), format!("whsec_{KEY}"));
    let mut settings = vec![
        ("ALERTS__WEBHOOK_URL", url.as_str()),
        ("ALERTS__WEBHOOK_SECRET", secret.as_str()),
        ("ALERTS__GROUP_WAIT_MS", "50"),
        ("RETRY__INITIAL_BACKOFF_MS", "10"),
        ("RETRY__MAX_BACKOFF_MS", "50"),
    ];
    settings.extend_from_slice(more);
    Tercet::start_with(&settings).await
}

/// Begins a transaction of which `stock` answers its Confirm with 410 until `mended`.
async fn park(client: &Client, participant: &Participant, gid: &str) -> Value {
    participant.always("stock", Op::Confirm, Reaction::status(410).body("gone"));
    let body = begin(gid, &[branch(participant, "stock")]);
    let begun = client.begin("?wait=decided", &body).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    client.event(gid, "parked").await;
    begun.json
}

/// Whether the delivery is signed as the specification says, by somebody who has the key.
fn is_signed(delivery: &Delivery) -> bool {
    let header = |name: &str| delivery.headers[name].as_str();
    let key = STANDARD.decode(KEY).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    mac.update(format!("{id}.{timestamp}.{}", delivery.text).as_bytes());
    // In seconds: a receiver refuses what is some minutes older or younger than it is.
    let told = delivery.json["timestamp"].as_str().and_then(|at| at.parse::<Wall>().ok());
    let sent: i64 = timestamp.parse().expect("a number");
    assert!(told.is_some_and(|told| (told.0 / 1_000).abs_diff(sent) < 300), "{delivery:?}");
    let signature = header("webhook-signature").strip_prefix("v1,").expect("version 1");
    mac.verify_slice(&STANDARD.decode(signature).expect("base64")).is_ok()
}

/// The value of a metric, as soon as it is there and not zero.
async fn counted(client: &Client, metric: &str) -> f64 {
    let look = async || {
        let page = client.send(Method::GET, "/metrics", None).await;
        let value = page.text.lines().find_map(|line| line.strip_prefix(metric))?;
        value.trim().parse::<f64>().ok().filter(|value| *value > 0.0)
    };
    eventually(metric, look).await
}

#[tokio::test]
async fn a_parked_branch_is_told_once_and_signed() {
    let (receiver, participant) = (Receiver::start(&[]).await, Participant::start().await);
    let tercet = telling(&receiver, &[]).await;
    let client = tercet.client();
    let begun = park(&client, &participant, "order-1").await;
    let told = receiver.delivered(1).await.remove(0);
    assert!(is_signed(&told), "{told:?}");
    assert_eq!(told.headers["content-type"], "application/json");
    assert_eq!(told.json["type"], "branches.parked");
    assert!(told.json["timestamp"].as_str().is_some_and(|at| at.parse::<Wall>().is_ok()));
    let data = &told.json["data"];
    assert_eq!(
        (&data["participant"], &data["count"]),
        (&json!(participant.host_port()), &json!(1))
    );
    assert!(data["what_to_do"].as_str().is_some_and(|text| text.contains("/retry")));
    let item = &data["items"][0];
    assert_eq!((&item["gid"], &item["branch"]), (&json!("order-1"), &json!("stock")));
    assert_eq!((&item["instance"], &item["op"]), (&begun["instance"], &json!("confirm")));
    assert_eq!(item["attempts"], 1);
    assert!(item["last_error"].as_str().is_some_and(|why| why.contains("410")), "{item}");
    assert!(item["parked_at"].as_str().is_some_and(|at| at.parse::<Wall>().is_ok()));
    let said = &item["last_answer"];
    assert_eq!((&said["op"], &said["status"]), (&json!("confirm"), &json!(410)));
    assert_eq!(said["body"], "gone");
    // It is called again and again, and parked only once; what is parked next at another
    // participant is told next, at the same one a minute later.
    participant.called("stock", Op::Confirm, 4).await;
    park(&client, &participant, "order-2").await;
    let elsewhere = Participant::start().await;
    park(&client, &elsewhere, "order-3").await;
    let told = receiver.delivered(2).await;
    assert_eq!(told[1].json["data"]["items"][0]["gid"], "order-3", "{told:#?}");
    assert_eq!(told[1].json["data"]["count"], 1);
}

/// Not a hundred alerts and lines for a hundred that wait for one participant.
///
/// Keeps P9.
#[tokio::test]
async fn an_outage_is_told_once_with_who_waits_and_so_is_its_end() {
    let (receiver, participant) = (Receiver::start(&[]).await, Participant::start().await);
    let soon = [("ALERTS__UNREACHABLE_AFTER_MS", "300"), ("RETRY__PARK_AFTER_MS", "600")];
    let tercet = telling(&receiver, &soon).await;
    let client = tercet.client();
    let body = |gid: &str| begin(gid, &[branch(&participant, "stock")]);
    let bodies: Vec<String> = (0..12).map(|number| body(&format!("order-{number}"))).collect();
    participant.always("stock", Op::Confirm, Reaction::status(503));
    for body in &bodies {
        assert_eq!(client.begin("?wait=decided", body).await.status, 201);
    }
    for number in 0..12 {
        client.event(&format!("order-{number}"), "parked").await;
    }
    let told = receiver.delivered(1).await.remove(0);
    let data = &told.json["data"];
    assert_eq!(told.json["type"], "participant.unreachable", "{told:?}");
    assert_eq!(
        (&data["participant"], &data["reminder"]),
        (&json!(participant.host_port()), &json!(0))
    );
    let waiting = data["waiting"].as_u64().unwrap_or_default();
    assert!((5..=12).contains(&waiting), "{data}");
    assert!(data["last_error"].as_str().is_some_and(|why| why.contains("503")), "{data}");
    participant.always("stock", Op::Confirm, Reaction::status(200));
    let kinds = |told: &[Delivery]| -> Vec<Value> {
        told.iter().map(|alert| alert.json["type"].clone()).collect()
    };
    let told = receiver.delivered(2).await;
    assert_eq!(kinds(&told), ["participant.unreachable", "participant.reachable"]);
    assert_eq!(told[1].json["data"]["since"], data["since"]);
    assert!(told[1].json["data"]["until"].is_string());
    let log = tercet.log();
    let lines = log.lines().filter(|line| line.contains("what waits for it goes on by itself"));
    assert_eq!((lines.count(), log.contains("a branch is parked")), (1, false), "{log}");
}

#[tokio::test]
async fn an_alert_that_is_not_taken_is_sent_again_until_it_is() {
    let (receiver, participant) = (Receiver::start(&[500, 302]).await, Participant::start().await);
    let tercet = telling(&receiver, &[]).await;
    park(&tercet.client(), &participant, "order-1").await;
    let told = receiver.delivered(3).await;
    for delivery in &told {
        assert_eq!(delivery.text, told[0].text, "the same alert");
        assert_eq!(delivery.headers["webhook-id"], told[0].headers["webhook-id"]);
        assert!(is_signed(delivery), "{delivery:?}");
    }
    tercet.logged("an alert could not be delivered").await;
    tercet.logged("alerts are delivered again").await;
    let client = tercet.client();
    let delivered = counted(&client, "tercet_alerts_total{result=\"delivered\"}").await;
    let failed = counted(&client, "tercet_alerts_total{result=\"failed\"}").await;
    assert_eq!((delivered, failed, receiver.deliveries().len()), (1.0, 2.0, 3));
}

#[tokio::test]
async fn between_two_attempts_there_is_a_pause() {
    let (receiver, participant) = (Receiver::start(&[500; 64]).await, Participant::start().await);
    let hours = [("RETRY__INITIAL_BACKOFF_MS", "3600000"), ("RETRY__MAX_BACKOFF_MS", "3600000")];
    let tercet = telling(&receiver, &hours).await;
    let client = tercet.client();
    park(&client, &participant, "order-1").await;
    tercet.logged("an alert could not be delivered").await;
    // Another is told only after the pause as well: whoever does not take one is left in peace.
    let elsewhere = Participant::start().await;
    park(&client, &elsewhere, "order-2").await;
    let body = begin("order-3", &[branch(&participant, "other")]);
    transaction(&client.begin("", &body).await, 201, "confirmed");
    // A pause is any part of an hour: one may be short, three are not.
    let deliveries = receiver.deliveries().len();
    assert!(deliveries <= 3, "{deliveries}");
}

/// Keeps P9.
#[tokio::test]
async fn a_receiver_that_is_down_holds_up_nobody_and_the_oldest_alerts_are_dropped() {
    let (mut receiver, participant) = (Receiver::down(&[]), Participant::start().await);
    let tercet =
        telling(&receiver, &[("ALERTS__QUEUE_CAPACITY", "2"), ("ALERTS__GROUP_WAIT_MS", "0")])
            .await;
    let client = tercet.client();
    for number in 1..=4 {
        // Each at a participant of its own, or they could be told together.
        let elsewhere = Participant::start().await;
        park(&client, &elsewhere, &format!("order-{number}")).await;
    }
    tercet.logged("the oldest are dropped").await;
    assert!(counted(&client, "tercet_alerts_total{result=\"dropped\"}").await >= 1.0);
    // Nothing else notices.
    let body = begin("order-5", &[branch(&participant, "other")]);
    transaction(&client.begin("", &body).await, 201, "confirmed");
    receiver.listen().await;
    let told = receiver.delivered(1).await;
    tercet.logged("alerts are delivered again").await;
    assert!(told.iter().all(|alert| alert.json["data"]["items"][0]["gid"] != "order-1"));
}

#[tokio::test]
async fn what_is_still_wrong_after_a_restart_is_told_again() {
    let (receiver, participant) = (Receiver::start(&[]).await, Participant::start().await);
    let mut tercet = telling(&receiver, &[("ALERTS__GROUP_WAIT_MS", "1000")]).await;
    for gid in ["order-1", "order-2"] {
        park(&tercet.client(), &participant, gid).await;
    }
    let before = receiver.delivered(1).await.len();
    tercet.kill().await;
    tercet.restart().await;
    let again = receiver.delivered(before + 1).await.remove(before);
    assert_eq!(again.json["type"], "branches.parked");
    let data = &again.json["data"];
    assert_eq!(data["participant"], json!(participant.host_port()));
    assert!(data["items"][0]["parked_at"].is_string(), "{data}");
}

#[tokio::test]
async fn a_transaction_whose_rows_make_no_sense_is_told() {
    let (receiver, participant) = (Receiver::start(&[]).await, Participant::start().await);
    let mut tercet = telling(&receiver, &[]).await;
    for gid in ["order-1", "order-2"] {
        let body = begin_open(gid, &[branch(&participant, "stock")]);
        assert_eq!(tercet.client().begin("", &body).await.status, 201);
    }
    tercet.kill().await;
    let url = format!("sqlite://{}", tercet.database().display());
    let outsider = Database::connect(url).await.expect("the database is there");
    let damage = "UPDATE global_transactions SET instance = '?' WHERE gid = 'order-1'";
    outsider.execute_unprepared(damage).await.expect("damaged");
    outsider.close().await.expect("the connection closes");
    tercet.restart().await;
    let told = receiver.delivered(1).await.remove(0);
    assert_eq!(told.json["type"], "transactions.quarantined");
    let data = &told.json["data"];
    assert_eq!((&data["count"], &data["items"][0]["gid"]), (&json!(1), &json!("order-1")));
    assert!(data["items"][0]["why"].as_str().is_some_and(|why| why.contains("instance")), "{data}");
    transaction(&tercet.client().get("order-2").await, 200, "trying");
}
