//! Connections and calls on several threads.

use std::fs;

use tercet_testing::{Participant, Tercet};
use tercet_wire::Op;
use tokio::task::JoinSet;

use crate::bodies::{begin, branch};
use crate::expected::transaction;

const INITIATORS: usize = 6;
const EACH: usize = 8;
/// What the names of threads have that connections and calls are shared out to.
const SHARED_OUT: [&str; 2] = ["worker-", "relief"];

/// Keeps P1, P2.
#[tokio::test]
async fn whichever_thread_a_connection_and_a_call_come_to_all_is_one_transaction() {
    let mut tercet = Tercet::start_with(&[("SERVER__THREADS", "4")]).await;
    let mut workers = workers(tercet.pid());
    workers.sort();
    let others = ["tercet-relief", "tercet-worker-1", "tercet-worker-2", "tercet-worker-3"];
    assert_eq!(workers, others);

    let (stock, payment) = (Participant::start().await, Participant::start().await);
    let mut initiators = JoinSet::new();
    for initiator in 0..INITIATORS {
        // Each has connections of its own.
        let client = tercet.client();
        let branches = [branch(&stock, "stock"), branch(&payment, "payment")];
        initiators.spawn(async move {
            for order in 0..EACH {
                let gid = format!("order-{initiator}-{order}");
                transaction(&client.begin("", &begin(&gid, &branches)).await, 201, "confirmed");
            }
        });
    }
    while let Some(ended) = initiators.join_next().await {
        ended.expect("all are confirmed");
    }
    for (participant, id) in [(&stock, "stock"), (&payment, "payment")] {
        for op in [Op::Try, Op::Confirm] {
            let calls = participant.calls_of(id, op);
            assert_eq!(calls.len(), INITIATORS * EACH, "{id} {op}: each once");
        }
        assert_eq!(participant.calls_of(id, Op::Cancel).len(), 0);
    }
    assert_eq!(tercet.terminate().await.code(), Some(0));
}

/// The names of a daemon's threads that connections and calls are shared out to.
fn workers(pid: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
    let names = threads.filter_map(|thread| name(thread.ok()?));
    names
        .map(|name| name.trim().to_owned())
        .filter(|name| SHARED_OUT.iter().any(|of| name.contains(of)))
        .collect()
}
