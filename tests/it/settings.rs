//! What a setting says is what is done: each of these is changed, and its effect seen, which is not
//! seen without it.

use http::Method;
use serde_json::json;
use tercet_testing::{Client, Participant, RawParticipant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch, with};

/// What is changed, and how it shows.
const TABLE: &[(&[(&str, &str)], Effect)] = &[
    (&[("LIMITS__URL_BYTES", "16")], Effect::BeginIsRefused),
    (&[("LIMITS__HEADERS", "0")], Effect::BeginIsRefused),
    (&[("LIMITS__HEADER_BYTES", "16")], Effect::BeginIsRefused),
    (&[("LIMITS__METADATA_BYTES", "10")], Effect::BeginIsRefused),
    (&[("LIMITS__PAYLOAD_BYTES", "10")], Effect::BeginIsRefused),
    (&[("LIMITS__BRANCHES", "1")], Effect::BeginIsRefused),
    (&[("LIMITS__LIVE_TRANSACTIONS", "2")], Effect::OneOfFewOpenOnesIs429),
    (&[("LIMITS__LIVE_BYTES", "1048576")], Effect::OneOfFewOpenOnesIs429),
    (
        &[("LIMITS__IN_MEMORY_WAITING_TRANSACTIONS", "0"), ("LIMITS__PAGED_OUT_TRANSACTIONS", "1")],
        Effect::OneOfFewThatWaitIs429,
    ),
    (&[("HISTORY__LINES_PER_TRANSACTION", "2")], Effect::FewLinesAreKept),
    (&[("DISPATCHER__POOL_IDLE_TIMEOUT_MS", "0")], Effect::ConnectionsAreNotKept),
    (&[("DISPATCHER__BREAKER_THRESHOLD", "2")], Effect::TwoFailuresOpenABreaker),
    (&[("RETRY__PARK_AFTER_PERMANENT_ERRORS", "1")], Effect::OneAnswerParks),
    (&[("NODE__ID", "another-name")], Effect::TheNodeIsCalledSo),
];

/// How a setting shows.
#[derive(Debug, Clone, Copy)]
enum Effect {
    BeginIsRefused,
    OneOfFewOpenOnesIs429,
    OneOfFewThatWaitIs429,
    FewLinesAreKept,
    ConnectionsAreNotKept,
    TwoFailuresOpenABreaker,
    OneAnswerParks,
    TheNodeIsCalledSo,
}

impl Effect {
    async fn is_seen(self, client: &Client) -> bool {
        let participant = Participant::start().await;
        match self {
            Self::BeginIsRefused => {
                let fields = json!({ "headers": { "x-of-some-length": "a value" }, "payload": "a payload that is longer" });
                let branches =
                    ["one", "two"].map(|id| with(branch(&participant, id), fields.clone()));
                let body = json!({ "branches": branches, "metadata": { "a key": "a value" } });
                matches!(client.begin("?wait=accepted", &body.to_string()).await.status, 400 | 413)
            }
            Self::OneOfFewOpenOnesIs429 => {
                let large = json!({ "payload": "x".repeat(200_000) });
                let large =
                    with(with(branch(&participant, "b"), large), json!({ "try_by": "initiator" }));
                let large = with(
                    large,
                    json!({ "endpoint": null, "confirm": participant.url("/b/confirm") }),
                );
                any_is_429(client, 8, |gid| begin_open(gid, std::slice::from_ref(&large))).await
            }
            Self::OneOfFewThatWaitIs429 => {
                let in_a_minute = Reaction::status(202).header("retry-after", "60");
                participant.always("slow", Op::Confirm, in_a_minute);
                any_is_429(client, 12, |gid| begin(gid, &[branch(&participant, "slow")])).await
            }
            Self::FewLinesAreKept => {
                let failed = (0..5).map(|_| Reaction::status(500).header("retry-after", "0"));
                participant.next("stock", Op::Confirm, failed);
                client.begin("", &begin("order-1", &[branch(&participant, "stock")])).await;
                client.finished("order-1").await;
                let events = client.events("order-1").await;
                events.text.matches("call-failed").count() < 5
            }
            Self::ConnectionsAreNotKept => connection_of_second_call(client).await == 2,
            Self::TwoFailuresOpenABreaker => {
                participant.always(
                    "stock",
                    Op::Try,
                    Reaction::status(503).header("retry-after", "60"),
                );
                for gid in ["order-1", "order-2"] {
                    client
                        .begin("?wait=accepted", &begin(gid, &[branch(&participant, "stock")]))
                        .await;
                    client.event(gid, "call-failed").await;
                }
                let metrics = client.send(Method::GET, "/metrics", None).await.text;
                let at = participant.host_port();
                metrics.contains(&format!("breaker_open{{participant=\"{at}\"}} 1"))
            }
            Self::OneAnswerParks => {
                // The second answer comes only after this test.
                let wrong = Reaction::status(404).header("retry-after", "3600");
                participant.always("stock", Op::Confirm, wrong);
                client
                    .begin("?wait=decided", &begin("order-1", &[branch(&participant, "stock")]))
                    .await;
                client.event("order-1", "call-failed").await;
                client.get("order-1").await.json["parked"] == true
            }
            Self::TheNodeIsCalledSo => {
                let stats = client.send(Method::GET, "/v1/stats", None).await;
                stats.json["nodes"][0]["id"] == "another-name"
            }
        }
    }
}

async fn any_is_429(client: &Client, of: u32, body: impl Fn(&str) -> String) -> bool {
    for number in 0..of {
        let answer =
            client.begin("?wait=decided&wait_ms=200", &body(&format!("order-{number}"))).await;
        match answer.status {
            429 => return true,
            200..=202 => {}
            other => panic!("{other}: {}", answer.text),
        }
    }
    false
}

/// By which connection the Confirm comes that follows a Try.
async fn connection_of_second_call(client: &Client) -> usize {
    let mut participant = RawParticipant::start().await;
    let begun = tokio::spawn({
        let body = json!({ "branches": [{ "id": "b", "endpoint": participant.url("/b"), "timeout_ms": 25_000 }] });
        let client = client.clone();
        async move { client.begin("", &body.to_string()).await }
    });
    let mut connection = 0;
    for _ in ["try", "confirm"] {
        let call = participant.arrival().await;
        connection = call.connection;
        call.answer("200 OK", b"").await;
    }
    assert_eq!(begun.await.expect("no panic").word("status"), "confirmed");
    connection
}

#[tokio::test]
async fn a_setting_that_is_changed_has_its_effect() {
    for (settings, effect) in TABLE {
        let changed = Tercet::start_with(settings).await;
        assert!(effect.is_seen(&changed.client()).await, "{settings:?} has no effect: {effect:?}");
        let unchanged = Tercet::start().await;
        assert!(!effect.is_seen(&unchanged.client()).await, "{effect:?} without {settings:?}");
    }
}
