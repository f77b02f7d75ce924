//! What operators did is one entry, whichever node was asked and whoever drives the transactions.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, branch};
use crate::database::ServerDatabase;
use crate::nodes::nodes;

/// A lease that no test waits for.
const NEVER: [(&str, &str); 1] = [("CLUSTER__LEASE_MS", "600000")];

async fn entries(client: &Client) -> Vec<Value> {
    let page = client.send(Method::GET, "/v1/audit", None).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page.json["items"].as_array().expect("items").clone()
}

/// Returns once the transaction waits for its next call, as its own node tells.
async fn until_it_waits(client: &Client, gid: &str) {
    let waits = async || {
        let shown = client.get(gid).await;
        shown.branch("slow")["next_attempt_at"].is_string().then_some(())
    };
    eventually("it waits for its next call", waits).await;
}

async fn each_act_is_one_entry(database: ServerDatabase) {
    let participant = Participant::start().await;
    let nodes: [Tercet; 2] = nodes(&database, &NEVER).await;
    let [first, second] = [nodes[0].client(), nodes[1].client()];
    participant.always("slow", Op::Confirm, Reaction::status(202).header("retry-after", "60"));
    for (client, gid) in [(&first, "one"), (&second, "two")] {
        client.begin("?wait=decided", &begin(gid, &[branch(&participant, "slow")])).await;
        until_it_waits(client, gid).await;
    }
    let told = second.send(Method::POST, "/v1/retry", None).await;
    assert_eq!((told.status, &told.json), (200, &json!({ "retried": 2 })), "{}", told.text);
    let found = entries(&first).await;
    assert_eq!((found.len(), &found[0]["action"]), (1, &json!("retry-all")), "{found:?}");
    let act = found[0]["id"].as_str().expect("an id");
    for gid in ["one", "two"] {
        let line = first.event(gid, "retried").await;
        assert_eq!(line["detail"], format!("by 127.0.0.1 (act {act})"), "{gid}");
    }
    // Asked of the one, done by the other.
    let path = "/v1/transactions/two/branches/slow/resolve";
    let word = json!({ "as": "confirmed", "note": "ticket 4711" }).to_string();
    let told = first.send(Method::POST, path, Some(&word)).await;
    assert_eq!((told.status, told.word("status")), (200, "confirmed"), "{}", told.text);
    let told = second.send(Method::POST, "/v1/transactions/one/retry", None).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let found = entries(&first).await;
    assert_eq!(found, entries(&second).await);
    let said: Vec<(&Value, &Value, &Value)> =
        found.iter().map(|entry| (&entry["action"], &entry["gid"], &entry["note"])).collect();
    let expected = [
        (&json!("retry"), &json!("one"), &Value::Null),
        (&json!("resolve"), &json!("two"), &json!("ticket 4711")),
        (&json!("retry-all"), &Value::Null, &Value::Null),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn an_act_is_one_entry_whoever_drives_it_postgres() {
    each_act_is_one_entry(ServerDatabase::on_postgres().await).await;
}

#[tokio::test]
async fn an_act_is_one_entry_whoever_drives_it_mariadb() {
    each_act_is_one_entry(ServerDatabase::on_mariadb().await).await;
}

/// Keeps P6.
#[tokio::test]
async fn a_retry_of_all_goes_past_a_node_that_does_not_answer() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    let settings = [NEVER[0], ("JOURNAL__REQUEST_TIMEOUT_MS", "1000")];
    let mut nodes: [Tercet; 3] = nodes(&database, &settings).await;
    participant.always("slow", Op::Confirm, Reaction::status(202).header("retry-after", "60"));
    // Of the silent node there are older ones and younger ones than of the others.
    let begun = [(0, "a"), (0, "b"), (1, "own"), (2, "other"), (0, "c"), (0, "d")];
    for (node, gid) in begun {
        let client = nodes[node].client();
        client.begin("?wait=decided", &begin(gid, &[branch(&participant, "slow")])).await;
        until_it_waits(&client, gid).await;
    }
    nodes[0].kill().await;
    let client = nodes[1].client();
    let told = client.send(Method::POST, "/v1/retry", None).await;
    assert_eq!((told.status, told.word("code")), (503, "owner-unreachable"), "{}", told.text);
    let counted = "2 were retried; the node that drives 4 others did not answer: ask again";
    assert_eq!(told.word("detail"), counted);
    let silent = BTreeSet::from(["a", "b", "c", "d"]);
    assert!(silent.contains(told.word("gid")), "{}", told.text);
    for gid in ["own", "other"] {
        client.event(gid, "retried").await;
    }
    nodes[0].restart().await;
    let all = async || {
        let told = client.send(Method::POST, "/v1/retry", None).await;
        (told.status == 200 && told.json == json!({ "retried": 6 })).then_some(())
    };
    eventually("the others are retried, too", all).await;
}
