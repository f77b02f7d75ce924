//! What begin and reading wait for, and what is answered when it comes or does not.

use tercet_testing::{Client, Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};

/// A transaction of one branch whose Try and Confirm can be held.
struct Held {
    tercet: Tercet,
    participant: Participant,
    on_try: Gate,
    on_confirm: Gate,
}

impl Held {
    async fn start() -> Self {
        let (tercet, participant) = (Tercet::start().await, Participant::start().await);
        let (on_try, on_confirm) = (Gate::closed(), Gate::closed());
        for (op, gate) in [(Op::Try, &on_try), (Op::Confirm, &on_confirm)] {
            participant.always("stock", op, Reaction::status(200).behind(gate));
        }
        Self { tercet, participant, on_try, on_confirm }
    }

    fn client(&self) -> Client {
        self.tercet.client()
    }

    fn body(&self, gid: &str) -> String {
        begin(gid, &[branch(&self.participant, "stock")])
    }
}

#[tokio::test]
async fn begin_answers_201_when_what_was_waited_for_was_reached() {
    let held = Held::start().await;
    let client = held.client();
    let accepted = client.begin("?wait=accepted", &held.body("order-1")).await;
    transaction(&accepted, 201, "trying");
    held.on_try.open();
    let decided = client.begin("?wait=decided", &held.body("order-2")).await;
    transaction(&decided, 201, "confirming");
    assert!(decided.field("decided_at").is_string() && decided.field("finished_at").is_null());
    held.on_confirm.open();
    let finished = client.begin("?wait=finished", &held.body("order-3")).await;
    transaction(&finished, 201, "confirmed");
    assert!(finished.field("finished_at").is_string());
    let default = client.begin("", &held.body("order-4")).await;
    transaction(&default, 201, "confirmed");
    for (response, gid) in
        [(accepted, "order-1"), (decided, "order-2"), (finished, "order-3"), (default, "order-4")]
    {
        assert_eq!(response.header("location"), format!("transactions/{gid}"));
    }
}

#[tokio::test]
async fn begin_answers_202_when_the_wait_ran_out_and_the_transaction_goes_on() {
    let held = Held::start().await;
    let client = held.client();
    for (gid, query) in [
        ("order-1", "?wait=decided&wait_ms=20"),
        ("order-2", "?wait=finished&wait_ms=20"),
        ("order-3", "?wait_ms=0"),
    ] {
        let response = client.begin(query, &held.body(gid)).await;
        transaction(&response, 202, "trying");
        assert_eq!(response.header("location"), format!("transactions/{gid}"), "{query}");
    }
    held.on_try.open();
    // On a busy machine the wait may run out before the decision: once more, then, and longer.
    let mut gids = vec!["order-1".to_owned(), "order-2".to_owned(), "order-3".to_owned()];
    for wait_ms in [300, 1_000, 5_000, 20_000] {
        let gid = format!("order-in-{wait_ms}");
        let answer = client.begin(&format!("?wait_ms={wait_ms}"), &held.body(&gid)).await;
        gids.push(gid);
        if answer.word("status") != "trying" || wait_ms == 20_000 {
            transaction(&answer, 202, "confirming");
            break;
        }
    }
    held.on_confirm.open();
    for gid in gids {
        assert_eq!(client.finished(&gid).await.word("status"), "confirmed", "{gid}");
    }
}

#[tokio::test]
async fn a_repeated_begin_waits_likewise_and_answers_200_or_202() {
    let held = Held::start().await;
    let (client, body) = (held.client(), held.body("order-1"));
    transaction(&client.begin("?wait=accepted", &body).await, 201, "trying");
    transaction(&client.begin("?wait=accepted", &body).await, 200, "trying");
    transaction(&client.begin("?wait=decided&wait_ms=20", &body).await, 202, "trying");
    held.on_try.open();
    let decided = client.begin("?wait=decided", &body).await;
    transaction(&decided, 200, "confirming");
    assert_eq!(decided.header("location"), "transactions/order-1");
    transaction(&client.begin("?wait_ms=20", &body).await, 202, "confirming");
    held.on_confirm.open();
    transaction(&client.begin("", &body).await, 200, "confirmed");
    assert_eq!(held.participant.calls().len(), 2, "one Try and one Confirm");
}

#[tokio::test]
async fn a_transaction_that_ends_otherwise_has_been_reached_too() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("stock", Op::Try, Reaction::status(409));
    let held = Gate::closed();
    participant.always("stock", Op::Cancel, Reaction::status(200).behind(&held));
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let decided = tercet.client().begin("?wait=decided", &body).await;
    transaction(&decided, 201, "cancelling");
    assert_eq!(decided.branch("stock")["status"], "refused");
    held.open();
    transaction(&tercet.client().begin("", &body).await, 200, "cancelled");
}

#[tokio::test]
async fn begin_of_an_open_transaction_is_answered_at_once_whatever_is_waited_for() {
    let held = Held::start().await;
    let client = held.client();
    for (gid, wait) in [("order-1", "accepted"), ("order-2", "decided"), ("order-3", "finished")] {
        let body = begin_open(gid, &[branch(&held.participant, "stock")]);
        let response = client.begin(&format!("?wait={wait}&wait_ms=60000"), &body).await;
        transaction(&response, 201, "trying");
        assert_eq!(response.field("open"), true);
        let again = client.begin(&format!("?wait={wait}&wait_ms=60000"), &body).await;
        transaction(&again, 200, "trying");
    }
}

#[tokio::test]
async fn reading_does_not_wait_unless_asked_to_and_is_200_either_way() {
    let held = Held::start().await;
    let client = held.client();
    client.begin("?wait=accepted", &held.body("order-1")).await;
    let read = async |query: &str| client.get(&format!("order-1{query}")).await;
    transaction(&read("").await, 200, "trying");
    transaction(&read("?wait=decided&wait_ms=20").await, 200, "trying");
    transaction(&read("?wait=finished&wait_ms=0").await, 200, "trying");
    held.on_try.open();
    transaction(&read("?wait=decided").await, 200, "confirming");
    transaction(&read("?wait=finished&wait_ms=20").await, 200, "confirming");
    held.on_confirm.open();
    transaction(&read("?wait=finished").await, 200, "confirmed");
    transaction(&read("?wait=decided").await, 200, "confirmed");
}

#[tokio::test]
async fn a_wait_out_of_bounds_is_refused_by_name_and_nothing_happens() {
    let held = Held::start().await;
    let client = held.client();
    let body = held.body("order-1");
    let wrong = [
        ("?wait_ms=-1", "wait_ms"),
        ("?wait_ms=60001", "wait_ms"),
        ("?wait_ms=1.5", "wait_ms"),
        ("?wait_ms=", "wait_ms"),
        ("?wait=forever", "wait"),
        ("?wait=tried", "wait"),
        ("?wait=", "wait"),
        ("?wait=decided&wait=finished", "wait"),
        ("?waits=decided", "waits"),
    ];
    for (query, field) in wrong {
        let response = client.begin(query, &body).await;
        problem(&response, "invalid-request", None);
        assert!(response.word("detail").contains(field), "{query}: {}", response.text);
    }
    problem(&client.get("order-1").await, "transaction-not-found", Some("order-1"));
    client.begin("", &begin_open("order-2", &[])).await;
    for (query, field) in wrong {
        let answers = [
            client.confirm("order-2", query).await,
            client.cancel("order-2", query, None).await,
            client.get(&format!("order-2{query}")).await,
        ];
        for response in answers {
            assert_eq!(response.word("code"), "invalid-request", "{query}: {}", response.text);
            assert!(response.word("detail").contains(field), "{query}: {}", response.text);
        }
    }
    let branch = branch(&held.participant, "stock").to_string();
    for query in ["?wait=finished", "?wait=decided", "?wait_ms=60001", "?wait=tried&x=1"] {
        let response = client.register("order-2", query, &branch).await;
        assert_eq!(response.word("code"), "invalid-request", "{query}: {}", response.text);
    }
    assert_eq!(client.get("order-2?wait=accepted").await.word("code"), "invalid-request");
    transaction(&client.get("order-2").await, 200, "trying");
    assert_eq!(held.participant.calls(), []);
    transaction(&client.confirm("order-2", "?wait_ms=60000").await, 200, "confirmed");
}

#[tokio::test]
async fn an_initiator_that_hangs_up_changes_nothing() {
    let held = Held::start().await;
    let initiator = tokio::spawn({
        let (client, body) = (held.client(), held.body("order-1"));
        async move { client.begin("", &body).await }
    });
    held.participant.called("stock", Op::Try, 1).await;
    initiator.abort();
    assert!(initiator.await.is_err_and(|error| error.is_cancelled()));
    held.on_try.open();
    held.on_confirm.open();
    transaction(&held.client().finished("order-1").await, 200, "confirmed");
}
