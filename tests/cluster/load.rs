//! Initiators who begin transactions on all nodes at once, and repeat what failed on the next.

use std::time::Duration;

use tercet_testing::{Client, Participant, soon};
use tercet_wire::Op;
use tokio::task::JoinSet;

use crate::bodies::{begin, branch, with};
use crate::nodes::finished;

/// What a real client waits before it asks elsewhere.
const PAUSE: Duration = Duration::from_millis(50);

/// Initiators at work.
pub(crate) struct Load {
    gids: Vec<String>,
    initiators: JoinSet<()>,
}

impl Load {
    /// So many begin one transaction after the other, so many each.
    pub(crate) fn start(
        clients: &[Client],
        at: &Participant,
        initiators: usize,
        each: usize,
    ) -> Self {
        let mut load = Self { gids: Vec::new(), initiators: JoinSet::new() };
        for initiator in 0..initiators {
            let gids: Vec<String> = (0..each).map(|n| format!("order-{initiator}-{n}")).collect();
            load.gids.extend(gids.clone());
            let bodies: Vec<(String, String)> = gids
                .into_iter()
                .map(|gid| (gid.clone(), begin(&gid, &[branch(at, &gid)])))
                .map(|(gid, body)| (gid, patient(&body)))
                .collect();
            let clients = clients.to_vec();
            load.initiators.spawn(async move {
                for (number, (_, body)) in bodies.iter().enumerate() {
                    begun(&clients, initiator + number, body).await;
                }
            });
        }
        load
    }

    /// All that was begun is confirmed, and no participant was told otherwise.
    pub(crate) async fn ends(mut self, clients: &[Client], at: &Participant) {
        while let Some(ended) = soon("the initiators end", self.initiators.join_next()).await {
            ended.expect("no panic");
        }
        for gid in &self.gids {
            let told = finished(clients, gid).await;
            assert_eq!(told["status"], "confirmed", "{told}");
            let [tries, confirms, cancels] = Op::ALL.map(|op| at.calls_of(gid, op).len());
            assert!(tries > 0 && confirms > 0, "{gid}");
            assert_eq!(cancels, 0, "{gid}");
        }
    }
}

/// No deadline decides here.
fn patient(body: &str) -> String {
    let body = serde_json::from_str(body).expect("a body");
    with(body, serde_json::json!({ "timeout_ms": 3_600_000 })).to_string()
}

/// Begins it on one after the other until one has taken it.
async fn begun(clients: &[Client], first: usize, body: &str) {
    let asking = async {
        for client in clients.iter().cycle().skip(first) {
            let begun =
                client.try_send(http::Method::POST, "/v1/transactions?wait=accepted", Some(body));
            match begun.await {
                Ok(told) if told.status < 300 => return,
                // It stops, or nobody can take it now.
                Ok(told) => assert_eq!(told.status, 503, "{}", told.text),
                // The node is gone: nobody knows, so the same is asked again.
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    soon("somebody takes it", asking).await;
}
