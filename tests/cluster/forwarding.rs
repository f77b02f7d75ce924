//! Any node serves any request, whoever drives the transaction.

use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tercet_testing::{Client, Participant, Reaction, Tercet, eventually, soon};
use tercet_wire::Op;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bodies::{begin, begin_open, branch, with};
use crate::database::ServerDatabase;
use crate::nodes::{finished, nodes, until_live};

/// A lease that no test waits for.
const NEVER: [(&str, &str); 1] = [("CLUSTER__LEASE_MS", "600000")];

async fn begun_on_one_goes_on_at_the_others(database: ServerDatabase) {
    let participant = Participant::start().await;
    let nodes: [Tercet; 3] = nodes(&database, &NEVER).await;
    let [first, second, third] = [0, 1, 2].map(|node: usize| nodes[node].client());
    first.begin("", &begin_open("tour", &[])).await;
    for id in ["seat", "money"] {
        let told = second.register("tour", "", &branch(&participant, id).to_string()).await;
        assert_eq!((told.status, told.word("status")), (201, "tried"), "{}", told.text);
    }
    let told = second.get("tour").await;
    assert_eq!((told.status, told.branch("seat")["status"].as_str()), (200, Some("tried")));
    let told = third.confirm("tour", "").await;
    assert_eq!((told.status, told.word("status")), (200, "confirmed"), "{}", told.text);
    assert_eq!(told.header("tercet-status"), "confirmed");
    // What is refused is refused by whoever drives it.
    let other = begin_open("tour", &[branch(&participant, "other")]);
    let told = third.begin("", &other).await;
    assert_eq!((told.status, told.word("code")), (409, "gid-reused"), "{}", told.text);
    for (id, op) in
        [("seat", Op::Try), ("seat", Op::Confirm), ("money", Op::Try), ("money", Op::Confirm)]
    {
        assert_eq!(participant.calls_of(id, op).len(), 1, "{op} of {id}");
    }
}

/// Keeps P4.
#[tokio::test]
async fn begun_on_one_registered_on_the_second_confirmed_on_the_third_postgres() {
    begun_on_one_goes_on_at_the_others(ServerDatabase::on_postgres().await).await;
}

/// Keeps P4.
#[tokio::test]
async fn begun_on_one_registered_on_the_second_confirmed_on_the_third_mariadb() {
    begun_on_one_goes_on_at_the_others(ServerDatabase::on_mariadb().await).await;
}

async fn begun_everywhere_at_once_is_one(database: ServerDatabase) {
    let participant = Participant::start().await;
    let nodes: [Tercet; 3] = nodes(&database, &NEVER).await;
    for round in 0..5 {
        let gid = format!("order-{round}");
        let body = begin(&gid, &[branch(&participant, &gid)]);
        let mut asked = JoinSet::new();
        for node in &nodes {
            let (client, body) = (node.client(), body.clone());
            asked.spawn(async move { client.begin("?wait_ms=60000", &body).await });
        }
        let told = soon("all are answered", asked.join_all()).await;
        let instance = told[0].word("instance").to_owned();
        for told in &told {
            assert_eq!((told.status / 100, told.word("status")), (2, "confirmed"), "{}", told.text);
            assert_eq!(told.word("instance"), instance, "two lives of {gid}");
        }
    }
}

/// Keeps P1, P4.
#[tokio::test]
async fn a_gid_begun_on_all_nodes_at_once_is_one_transaction_postgres() {
    begun_everywhere_at_once_is_one(ServerDatabase::on_postgres().await).await;
}

/// Keeps P1, P4.
#[tokio::test]
async fn a_gid_begun_on_all_nodes_at_once_is_one_transaction_mariadb() {
    begun_everywhere_at_once_is_one(ServerDatabase::on_mariadb().await).await;
}

/// Keeps P4.
#[tokio::test]
async fn where_its_node_does_not_answer_a_read_is_answered_by_the_rows_and_a_request_can_be_repeated()
 {
    let database = ServerDatabase::on_postgres().await;
    let settings = [NEVER[0], ("JOURNAL__REQUEST_TIMEOUT_MS", "1000")];
    let mut nodes: [Tercet; 2] = nodes(&database, &settings).await;
    let client = nodes[1].client();
    nodes[0].client().begin("", &begin_open("open", &[])).await;
    nodes[0].kill().await;
    let told = client.get("open").await;
    assert_eq!((told.status, told.word("status")), (200, "trying"), "{}", told.text);
    let told = client.get("%6Fpen").await;
    assert_eq!((told.status, told.word("gid")), (200, "open"), "{}", told.text);
    let told = client.events("open").await;
    assert_eq!((told.status, told.json["items"][0]["kind"].as_str()), (200, Some("begun")));
    let told = client.confirm("open", "?wait_ms=0").await;
    assert_eq!((told.status, told.word("code")), (503, "owner-unreachable"), "{}", told.text);
    assert_eq!((told.header("retry-after"), told.word("gid")), ("1", "open"));
    // Nobody takes it for dead because it cannot be reached; by its return it is over.
    assert!(!nodes[1].log().contains("event=\"take_over_begun\""), "{}", nodes[1].log());
    nodes[0].restart().await;
    let told = client.confirm("open", "?wait_ms=60000").await;
    assert_eq!((told.status, told.word("status")), (200, "confirmed"), "{}", told.text);
}

/// Keeps P4.
#[tokio::test]
async fn who_asks_while_the_node_that_drives_it_is_frozen_is_answered_once_it_was_taken_over() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    let nodes: [Tercet; 2] = nodes(&database, &[]).await;
    let [frozen, other] = &nodes;
    until_live(&other.client(), 2).await;
    let body = begin_open("open", &[branch(&participant, "a")]);
    let told = frozen.client().begin("", &body).await;
    assert_eq!(told.status, 201, "{}", told.text);
    participant.called("a", Op::Try, 1).await;
    frozen.signal("STOP").await;
    let cancelled = other.client().cancel("open", "?wait_ms=60000", None).await;
    frozen.signal("CONT").await;
    assert_eq!(
        (cancelled.status, cancelled.word("status")),
        (200, "cancelled"),
        "{}",
        cancelled.text
    );
    frozen.logged("event=\"joined_again\"").await;
    assert_eq!(finished(&[frozen.client()], "open").await["status"], "cancelled");
}

/// Keeps P9.
#[tokio::test]
async fn nobody_else_can_speak_as_a_node() {
    let database = ServerDatabase::on_postgres().await;
    let nodes: [Tercet; 2] = nodes(&database, &NEVER).await;
    let [first, second] = [nodes[0].client(), nodes[1].client()];
    first.begin("", &begin_open("open", &[])).await;
    let post = |client: &Client, path: &str, headers: &[(&'static str, &'static str)]| {
        let mut request = client.http().post(client.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        soon("an answer", request.send())
    };
    let told = post(&second, "/internal/v1/left", &[]).await.expect("an answer");
    assert_eq!(told.status(), 404);
    let forged = [("tercet-node", "v3;1;2;3;AAAA;AAAA")];
    let told = post(&second, "/internal/v1/left", &forged).await.expect("an answer");
    assert_eq!(told.status(), 404);
    let told = post(&second, "/v1/transactions/open/confirm", &forged).await.expect("an answer");
    assert_eq!(told.status(), 401);
    // No stranger's body is waited for.
    let head = format!(
        "POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 100000\r\n{}: {}\r\n\r\n{{",
        forged[0].0, forged[0].1
    );
    let mut stranger = TcpStream::connect(nodes[1].address()).await.expect("connected");
    stranger.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    soon("an answer", stranger.read_exact(&mut answer)).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 401");
    // What a stranger says of hops and of whom it asks for counts for nothing.
    let claims = [("tercet-hop", "1"), ("tercet-owner", "1"), ("tercet-who", "somebody-else")];
    let told = post(&second, "/v1/transactions/open/retry", &claims).await.expect("an answer");
    assert_eq!(told.status(), 200);
    let events = second.events("open").await;
    assert!(!events.text.contains("somebody-else"), "{}", events.text);
}

/// A token as `TERCET_AUTH__TOKENS` has it.
fn token(name: &str, role: &str) -> Value {
    let sha256 = tercet_wire::hex(&Sha256::digest(format!("token-of-{name}")));
    json!({ "name": name, "role": role, "sha256": sha256 })
}

#[tokio::test]
async fn a_role_is_checked_where_a_request_comes_in_and_goes_with_it() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    let tokens =
        json!([token("eve", "viewer"), token("orders", "client"), token("ops", "operator")]);
    let tokens = tokens.to_string();
    let settings = [NEVER[0], ("AUTH__TOKENS", &tokens), ("LOG__FILTER", "trace")];
    let nodes: [Tercet; 3] = nodes(&database, &settings).await;
    let [first, second, third] = [0, 1, 2].map(|node: usize| nodes[node].client());
    let as_ = |client: &Client, name: &str| client.with_token(&format!("token-of-{name}"));
    assert_eq!(first.begin("", &begin_open("tour", &[])).await.status, 401);
    let told = as_(&first, "orders").begin("", &begin_open("tour", &[])).await;
    assert_eq!(told.status, 201, "{}", told.text);
    let seat = branch(&participant, "seat").to_string();
    let told = as_(&second, "orders").register("tour", "", &seat).await;
    assert_eq!((told.status, told.word("status")), (201, "tried"), "{}", told.text);
    let told = as_(&third, "eve").get("tour").await;
    assert_eq!((told.status, told.branch("seat")["status"].as_str()), (200, Some("tried")));

    for client in [&first, &second, &third] {
        let told = as_(client, "eve").confirm("tour", "").await;
        assert_eq!((told.status, told.word("code")), (403, "forbidden"), "{}", told.text);
        assert_eq!(client.confirm("tour", "").await.status, 401);
    }
    // What nodes say to each other says nobody else, whatever their token.
    let claims = [("tercet-who", "ops"), ("tercet-role", "operator")];
    for headers in
        [&claims[..1], &claims[1..], &[("tercet-node", "v3;1;2;3;AAAA;AAAA"), claims[0], claims[1]]]
    {
        for token in [None, Some("token-of-eve"), Some("token-of-ops")] {
            let mut request = third.http().post(third.url("/v1/transactions/tour/confirm"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let told = soon("an answer", request.send()).await.expect("an answer");
            assert_eq!(told.status(), 401, "{headers:?} {token:?}");
        }
    }
    assert_eq!(participant.calls_of("seat", Op::Confirm).len(), 0, "nobody has confirmed it");
    participant.always("slow", Op::Confirm, Reaction::status(202).header("retry-after", "60"));
    let slow = begin("slow", &[branch(&participant, "slow")]);
    as_(&first, "orders").begin("?wait=decided", &slow).await;
    let waits = async || {
        let shown = as_(&second, "eve").get("slow").await;
        shown.branch("slow")["next_attempt_at"].is_string().then_some(())
    };
    eventually("it waits for its next call", waits).await;
    let path = "/v1/transactions/slow/retry";
    let told = as_(&third, "orders").send(Method::POST, path, None).await;
    assert_eq!((told.status, told.word("code")), (403, "forbidden"), "{}", told.text);
    let told = as_(&third, "ops").send(Method::POST, path, None).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let line = as_(&second, "eve").event("slow", "retried").await;
    assert_eq!(line["detail"], "by ops", "known where it came in, shown where it is driven");
    let told = as_(&third, "orders").confirm("tour", "").await;
    assert_eq!((told.status, told.word("status")), (200, "confirmed"), "{}", told.text);
    for node in &nodes {
        assert!(!node.log().contains("token-of-"), "a token in a log");
    }
}

/// Keeps P9.
#[tokio::test]
async fn large_and_wrong_bodies_are_answered_as_by_one_node() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    let nodes: [Tercet; 2] = nodes(&database, &NEVER).await;
    let [first, second] = [nodes[0].client(), nodes[1].client()];
    first.begin("", &begin_open("open", &[])).await;
    let large = with(branch(&participant, "a"), json!({ "payload": "x".repeat(200_000) }));
    let told = second.register("open", "", &large.to_string()).await;
    assert_eq!((told.status, told.word("status")), (201, "tried"), "{}", told.text);
    let told = second.register("open", "", "{").await;
    assert_eq!((told.status, told.word("code")), (400, "invalid-request"), "{}", told.text);
    let told = second.register("open", "", &"x".repeat(2 << 20)).await;
    assert_eq!((told.status, told.word("code")), (413, "payload-too-large"), "{}", told.text);
    let told = second.send(Method::GET, "/v1/transactions/open?wait=sometimes", None).await;
    assert_eq!((told.status, told.word("code")), (400, "invalid-request"), "{}", told.text);
    let told = second.cancel("open", "", None).await;
    assert_eq!((told.status, told.word("status")), (200, "cancelled"), "{}", told.text);
}
