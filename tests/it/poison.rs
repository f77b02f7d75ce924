//! A transaction whose rows are damaged is quarantined, and stops nobody.

use http::Method;
use sea_orm::{ConnectionTrait, Database};
use tercet_testing::{Participant, Tercet};

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;

/// Runs a statement on the database from outside.
pub(crate) async fn by_hand(tercet: &Tercet, sql: &str) {
    let url = format!("sqlite://{}", tercet.database().display());
    let connection = Database::connect(url).await.expect("the database is there");
    connection.execute_unprepared(sql).await.expect("it runs");
    connection.close().await.expect("the connection closes");
}

/// The rows of a transaction stand under what the column `instance` says.
fn headers_of_order_2(headers: &str) -> String {
    format!(
        "UPDATE branch_transactions SET headers = '{headers}' \
         WHERE gid = (SELECT instance FROM global_transactions WHERE gid = 'order-2')"
    )
}

async fn quarantined(tercet: &Tercet) -> String {
    let metrics = tercet.client().send(Method::GET, "/metrics", None).await.text;
    let name = "tercet_transactions_quarantined ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).expect("the metric").to_owned()
}

/// Keeps P6.
#[tokio::test]
async fn a_damaged_row_sets_its_transaction_aside_until_it_is_mended_and_stops_nobody() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let stock = [branch(&participant, "stock")];
    for gid in ["order-1", "order-2", "order-3"] {
        transaction(&tercet.client().begin("", &begin_open(gid, &stock)).await, 201, "trying");
        tercet.client().register(gid, "", &branch(&participant, "extra").to_string()).await;
    }
    tercet.kill().await;
    by_hand(&tercet, &headers_of_order_2("torn")).await;
    tercet.restart().await;
    let client = tercet.client();
    assert_eq!(quarantined(&tercet).await, "1");
    let stats = client.send(Method::GET, "/v1/stats", None).await;
    assert_eq!(stats.field("quarantined"), 1, "{}", stats.text);
    let line = tercet.logged("its rows in the journal cannot be understood").await;
    assert!(line.contains("order-2") && line.contains("mend them"), "{line}");
    // The others go on, and new ones begin.
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    transaction(&client.cancel("order-3", "", None).await, 200, "cancelled");
    transaction(&client.begin("", &begin("order-4", &stock)).await, 201, "confirmed");
    // It is neither shown half nor overwritten.
    for answer in [
        client.get("order-2").await,
        client.confirm("order-2", "").await,
        client.begin("", &begin("order-2", &stock)).await,
    ] {
        let said = (answer.status, answer.word("code"), answer.word("gid"));
        assert_eq!(said, (500, "internal", "order-2"), "{}", answer.text);
    }
    by_hand(&tercet, &headers_of_order_2("{}")).await;
    transaction(&client.confirm("order-2", "").await, 200, "confirmed");
    assert_eq!(quarantined(&tercet).await, "0");
}
