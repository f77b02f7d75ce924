//! Several nodes on the same rows: whoever dies, leaves or is fenced, all that was begun ends, once.

mod own_batches;
mod rig;

use http::Method;
use serde_json::json;
use tercet_engine::LifeState;
use tercet_journal::MemoryRows;
use tercet_testing::{Gate, Participant, Reaction, eventually};
use tercet_wire::Op;

use self::rig::{Daemon, NEVER_SILENT, Onlooker, begin, finished};

/// Long enough that a busy machine makes no dead ones of the living.
const SILENT: (&str, &str) = ("cluster.lease_ms", "4000");

/// Keeps P4, P5.
#[tokio::test]
async fn what_a_dead_node_drove_another_finishes() {
    let (rows, participant) = (MemoryRows::of_several_nodes(), Participant::start().await);
    let first = Daemon::start("first", &rows, &[SILENT]).await;
    let second = Daemon::start("second", &rows, &[SILENT]).await;
    // One is to be confirmed, of one the Try is not answered, one waits for its initiator.
    let never = Gate::closed();
    participant.next("decided", Op::Confirm, [Reaction::status(200).behind(&never)]);
    participant.next("trying", Op::Try, [Reaction::status(200).behind(&never)]);
    let client = first.client();
    assert_eq!(client.begin("?wait=decided", &begin("decided", &participant)).await.status, 201);
    assert_eq!(client.begin("?wait=accepted", &begin("trying", &participant)).await.status, 201);
    assert_eq!(client.begin("", &json!({ "gid": "open" }).to_string()).await.status, 201);
    participant.called("decided", Op::Confirm, 1).await;
    participant.called("trying", Op::Try, 1).await;
    first.crash();
    let client = second.client();
    for gid in ["decided", "trying"] {
        assert_eq!(finished(&client, gid).await["status"], "confirmed", "{gid}");
    }
    let asked = async || (client.confirm("open", "").await.status == 200).then_some(());
    eventually("the open one is driven on", asked).await;
    let onlooker = Onlooker::of(&rows).await;
    let gone = async || onlooker.lives("first").await.is_empty().then_some(());
    eventually("nothing points to the dead life any more, and its row is gone", gone).await;
}

/// Keeps P4.
#[tokio::test]
async fn what_a_node_leaves_others_take_over_without_a_lease() {
    let (rows, participant) = (MemoryRows::of_several_nodes(), Participant::start().await);
    let first = Daemon::start("first", &rows, &[NEVER_SILENT]).await;
    let second = Daemon::start("second", &rows, &[NEVER_SILENT]).await;
    participant.next("one", Op::Confirm, [Reaction::status(503).header("retry-after", "1")]);
    let begun = first.client().begin("?wait=decided", &begin("one", &participant)).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    participant.called("one", Op::Confirm, 1).await;
    first.stops().await.expect("in order");
    assert_eq!(finished(&second.client(), "one").await["status"], "confirmed");
}

/// Its row says that it has left, or is that of a life of its own name, and silent.
///
/// Keeps P5.
#[tokio::test]
async fn a_node_that_starts_again_takes_up_what_it_left_or_lost() {
    for is_killed in [false, true] {
        let (rows, participant) = (MemoryRows::of_several_nodes(), Participant::start().await);
        let node = Daemon::start("first", &rows, &[NEVER_SILENT]).await;
        participant.next("one", Op::Confirm, [Reaction::status(503).header("retry-after", "1")]);
        node.client().begin("?wait=decided", &begin("one", &participant)).await;
        participant.called("one", Op::Confirm, 1).await;
        if is_killed {
            node.crash();
        } else {
            node.stops().await.expect("in order");
        }
        let node = Daemon::start("first", &rows, &[NEVER_SILENT]).await;
        assert_eq!(finished(&node.client(), "one").await["status"], "confirmed");
    }
}

/// Keeps P2.
#[tokio::test]
async fn two_survivors_share_and_drive_nothing_twice() {
    const MANY: usize = 60;
    let (rows, participant) = (MemoryRows::of_several_nodes(), Participant::start().await);
    let first = Daemon::start("first", &rows, &[NEVER_SILENT]).await;
    let survivors = [
        Daemon::start("second", &rows, &[NEVER_SILENT]).await,
        Daemon::start("third", &rows, &[NEVER_SILENT]).await,
    ];
    let gids: Vec<String> = (0..MANY).map(|number| format!("order-{number}")).collect();
    for gid in &gids {
        let later = Reaction::status(503).header("retry-after", "600");
        participant.next(gid, Op::Confirm, [later]);
        first.client().begin("?wait=decided", &begin(gid, &participant)).await;
        participant.called(gid, Op::Confirm, 1).await;
    }
    first.stops().await.expect("in order");
    for (number, gid) in gids.iter().enumerate() {
        let told = finished(&survivors[number % 2].client(), gid).await;
        assert_eq!(told["status"], "confirmed", "{gid}");
    }
    for gid in &gids {
        let calls = Op::ALL.map(|op| participant.calls_of(gid, op).len());
        assert_eq!(calls, [1, 2, 0], "{gid}");
    }
}

/// Keeps P4, P8.
#[tokio::test]
async fn a_node_that_finds_itself_fenced_joins_again() {
    let (rows, participant) = (MemoryRows::of_several_nodes(), Participant::start().await);
    let node = Daemon::start("first", &rows, &[NEVER_SILENT]).await;
    let client = node.client();
    let never = Gate::closed();
    participant.next("one", Op::Confirm, [Reaction::status(200).behind(&never)]);
    client.begin("?wait=decided", &begin("one", &participant)).await;
    participant.called("one", Op::Confirm, 1).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move {
            client.send(Method::GET, "/v1/transactions/one?wait=finished&wait_ms=60000", None).await
        }
    });
    let onlooker = Onlooker::of(&rows).await;
    let old = onlooker.lives("first").await[0].incarnation;
    onlooker.fence(old).await;
    let anew = async || {
        let lives = onlooker.lives("first").await;
        lives.into_iter().find(|row| row.incarnation != old && row.state == LifeState::Live)
    };
    eventually("a new life of the node", anew).await;
    // What waited is told that nobody knows; what comes now the new life answers, behind the same
    // port, and it drives what the old one drove.
    let told = waiting.await.expect("no panic");
    assert_eq!((told.status, told.word("code")), (503, "journal-unavailable"), "{}", told.text);
    assert_eq!(finished(&client, "one").await["status"], "confirmed");
    let ready =
        async || (client.send(Method::GET, "/readyz", None).await.status == 200).then_some(());
    eventually("it is ready again", ready).await;
    let begun = client.begin("", &begin("two", &participant)).await;
    assert_eq!((begun.status, begun.word("status")), (201, "confirmed"), "{}", begun.text);
    node.stops().await.expect("in order");
}

/// Keeps P8.
#[tokio::test]
async fn while_the_database_takes_no_writes_nobody_is_fenced() {
    let (rows, participant) = (MemoryRows::of_several_nodes(), Participant::start().await);
    let first = Daemon::start("first", &rows, &[("cluster.lease_ms", "1000")]).await;
    let second = Daemon::start("second", &rows, &[("cluster.lease_ms", "1000")]).await;
    let never = Gate::closed();
    participant.next("one", Op::Confirm, [Reaction::status(200).behind(&never)]);
    first.client().begin("?wait=decided", &begin("one", &participant)).await;
    participant.called("one", Op::Confirm, 1).await;
    let onlooker = Onlooker::of(&rows).await;
    rows.stall();
    first.crash();
    // Three leases, in which the rows can be read and do not change.
    let silent = async || {
        let stats = second.client().send(Method::GET, "/v1/stats", None).await;
        let nodes = stats.json["nodes"].as_array().cloned().unwrap_or_default();
        let dead = nodes.iter().find(|node| node["id"] == "first")?;
        (dead["unchanged_ms"].as_u64()? >= 3_000).then_some(())
    };
    eventually("the second has seen it silent for three leases", silent).await;
    let lives = onlooker.lives("first").await;
    assert_eq!(lives[0].state, LifeState::Live, "{lives:?}");
    rows.release();
    assert_eq!(finished(&second.client(), "one").await["status"], "confirmed");
}
