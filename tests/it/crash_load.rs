//! The daemon is killed again and again under load, while initiators repeat what was not
//! answered. In the end nothing is lost, nothing is done by halves, and nobody was lied to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::Method;
use sea_orm::{ConnectionTrait as _, Database, DatabaseBackend, Statement};
use tercet_testing::{Client, Participant, Reaction, Tercet, soon};
use tercet_wire::Op;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bodies::{begin, branch};

const KILLS: usize = 10;
const INITIATORS: usize = 6;
/// Transactions that must have been answered between two kills.
const BETWEEN: usize = 10;

/// What the initiators share with the one who kills.
struct Load {
    /// Whether the daemon runs, as far as anybody knows.
    up: watch::Sender<bool>,
    /// Answers so far.
    answered: watch::Sender<usize>,
    stop: watch::Sender<bool>,
}

/// Keeps P5.
#[tokio::test]
async fn killed_ten_times_under_load_every_transaction_ends_one_way_for_everybody() {
    killed_under_load(&[], |_| {}).await;
}

/// Keeps P5.
#[tokio::test]
async fn killed_under_load_while_rows_begin_to_stand_under_instances_nothing_is_lost() {
    // Until then it writes as the release before does.
    let before = [("DATABASE__CAN_GO_BACK", "true")];
    let upgraded = |tercet: &mut Tercet| tercet.set("DATABASE__CAN_GO_BACK", "false");
    let tercet = killed_under_load(&before, upgraded).await;
    let url = format!("sqlite://{}", tercet.database().display());
    let database = Database::connect(url).await.expect("the daemon's database");
    for (kind, instances) in [("before", "NOT LIKE"), ("since", "LIKE")] {
        let sql =
            format!("SELECT COUNT(*) FROM global_transactions WHERE instance {instances} '~%'");
        let row =
            database.query_one_raw(Statement::from_string(DatabaseBackend::Sqlite, sql)).await;
        let row = row.expect("an answer").expect("a count");
        assert!(row.try_get_by_index::<i64>(0).expect("a number") > 0, "none is of {kind}");
    }
}

/// After half of the kills `change` has its turn.
async fn killed_under_load(more: &[(&str, &str)], change: impl FnOnce(&mut Tercet)) -> Tercet {
    let mut settings = vec![("RETRY__MAX_BACKOFF_MS", "100")];
    settings.extend(more);
    let mut tercet = Tercet::start_with(&settings).await;
    let mut change = Some(change);
    let participants = Arc::new([Participant::start().await, Participant::start().await]);
    participants[1].always("refuses", Op::Try, Reaction::status(409));
    let load = Arc::new(Load {
        up: watch::Sender::new(true),
        answered: watch::Sender::new(0),
        stop: watch::Sender::new(false),
    });
    let mut initiators = JoinSet::new();
    for number in 0..INITIATORS {
        let (client, load) = (tercet.client(), Arc::clone(&load));
        let participants = Arc::clone(&participants);
        initiators.spawn(async move { initiate(number, &client, &participants, &load).await });
    }
    for kill in 0..KILLS {
        let enough = *load.answered.borrow() + BETWEEN;
        let mut answered = load.answered.subscribe();
        soon("answers", answered.wait_for(|count| *count >= enough)).await.expect("initiators");
        load.up.send_replace(false);
        tercet.kill().await;
        if kill == KILLS / 2
            && let Some(change) = change.take()
        {
            change(&mut tercet);
        }
        tercet.restart().await;
        load.up.send_replace(true);
    }
    load.stop.send_replace(true);
    let told: BTreeMap<String, String> =
        soon("the initiators", initiators.join_all()).await.into_iter().flatten().collect();
    assert!(told.len() >= KILLS * BETWEEN, "{} transactions", told.len());
    assert_all_ended_one_way(&tercet.client(), &participants, &told).await;
    tercet
}

/// Begins one transaction after another, each until it is answered. Gives each gid and what
/// was told of it.
async fn initiate(
    number: usize,
    client: &Client,
    participants: &[Participant; 2],
    load: &Load,
) -> Vec<(String, String)> {
    let mut told = Vec::new();
    while !*load.stop.borrow() {
        let gid = format!("load-{number}-{}", told.len());
        let second = if told.len() % 3 == 2 { "refuses" } else { "accepts" };
        let branches = [branch(&participants[0], "stock"), branch(&participants[1], second)];
        let body = begin(&gid, &branches);
        let status = loop {
            let sent = client.try_send(Method::POST, "/v1/transactions", Some(&body)).await;
            match sent {
                Ok(answer) if answer.status < 300 => break answer.word("status").to_owned(),
                // Full, or the journal is just being opened: the same again.
                Ok(answer) => assert!(matches!(answer.status, 429 | 503), "{}", answer.text),
                Err(_) => {
                    let mut up = load.up.subscribe();
                    soon("the daemon is back", up.wait_for(|up| *up)).await.expect("it is");
                }
            }
        };
        told.push((gid, status));
        load.answered.send_modify(|count| *count += 1);
    }
    told
}

async fn assert_all_ended_one_way(
    client: &Client,
    participants: &[Participant; 2],
    told: &BTreeMap<String, String>,
) {
    // What each gid's two branches were told, by gid.
    let mut ops: BTreeMap<String, BTreeSet<(String, Op)>> = BTreeMap::new();
    let mut instances: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut ended = BTreeMap::new();
    for gid in told.keys() {
        ended.insert(gid, client.finished(gid).await.word("status").to_owned());
    }
    for call in participants.iter().flat_map(Participant::calls) {
        instances.entry(call.gid.clone()).or_default().insert(call.instance);
        if call.op != Op::Try {
            ops.entry(call.gid).or_default().insert((call.branch, call.op));
        }
    }
    for (gid, told) in told {
        let end = ended[gid].as_str();
        let (op, on_the_way) = match end {
            "confirmed" => (Op::Confirm, "confirming"),
            _ => (Op::Cancel, "cancelling"),
        };
        let told = told.as_str();
        assert!(told == end || told == on_the_way || told == "trying", "{gid}: {told}, {end}");
        let ops = &ops[gid];
        assert_eq!(ops.len(), 2, "{gid}: both branches, one way each: {ops:?}");
        assert!(ops.iter().all(|(_, told)| *told == op), "{gid} ended {end}: {ops:?}");
        let refused = ops.iter().any(|(branch, _)| branch == "refuses");
        assert_eq!(refused, end == "cancelled", "{gid}: a restart aborts nothing");
        assert_eq!(instances[gid].len(), 1, "{gid}");
    }
}
