//! Nodes on one database.

use serde_json::Value;
use tercet_testing::{Client, Tercet, eventually};

use crate::database::ServerDatabase;

/// So many nodes, on the database.
pub(crate) async fn nodes<const MANY: usize>(
    database: &ServerDatabase,
    settings: &[(&str, &str)],
) -> [Tercet; MANY] {
    let mut nodes = Vec::new();
    for _ in 0..MANY {
        nodes.push(Tercet::start_on_server(&database.url(), settings).await);
    }
    nodes.try_into().unwrap_or_else(|_| unreachable!("so many were started"))
}

/// The transaction once it is finished, as any of these tells, whoever drives it before.
pub(crate) async fn finished(clients: &[Client], gid: &str) -> Value {
    let look = async || {
        for client in clients {
            let path = format!("/v1/transactions/{gid}");
            if let Ok(told) = client.try_send(http::Method::GET, &path, None).await
                && told.status == 200
                && told.json["finished_at"].is_string()
            {
                return Some(told.json);
            }
        }
        None
    };
    eventually(&format!("{gid} is finished"), look).await
}

/// Waits until this node sees so many live ones.
pub(crate) async fn until_live(client: &Client, many: usize) {
    let look = async || {
        let stats = client.send(http::Method::GET, "/v1/stats", None).await;
        let nodes = stats.json["nodes"].as_array().cloned().unwrap_or_default();
        (nodes.iter().filter(|node| node["state"] == "live").count() == many).then_some(())
    };
    eventually(&format!("{many} live nodes"), look).await;
}
