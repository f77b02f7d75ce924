//! Calls that come at once.

use std::sync::Arc;

use sea_orm::IsolationLevel;
use tercet_participant::Op::{self, Cancel, Confirm, Try};
use tokio::task::JoinSet;

use crate::database::Database;
use crate::service::Service;

/// Calls until the answer is final, as the coordinator does. "Come again" is the only answer that
/// is not: whatever went wrong between transactions is not the caller's business.
pub(crate) async fn insist(service: &Service, gid: &str, op: Op) -> String {
    loop {
        let answer = service.usual(gid, op).await;
        // Busy is what a call is told that got no connection in time, on a slow machine.
        if !matches!(answer.status.as_u16(), 202 | 503) {
            return answer.words();
        }
    }
}

pub(crate) async fn a_try_racing_its_cancel_never_leaves_a_reservation(database: &Database) {
    race(database, None, 1000).await;
}

pub(crate) async fn at_read_committed_a_race_has_one_outcome(database: &Database) {
    race(database, Some(IsolationLevel::ReadCommitted), 250).await;
}

pub(crate) async fn at_repeatable_read_a_race_has_one_outcome(database: &Database) {
    race(database, Some(IsolationLevel::RepeatableRead), 250).await;
}

/// Two processes on one database get Try twice and Cancel twice at once, many times over.
async fn race(database: &Database, level: Option<IsolationLevel>, races: usize) {
    let one = Service::start_at(database, 4, level).await;
    let two = Service::start_at(database, 4, level).await;
    let services = [Arc::new(one), Arc::new(two)];
    let (mut empty, mut released) = (0, 0);
    for race in 0..races {
        let gid = format!("race-{race}");
        let mut calls = JoinSet::new();
        // Either kind goes first in half of the races, on either process.
        let ops = if race % 2 == 0 { [Try, Cancel] } else { [Cancel, Try] };
        for (service, op) in [(0, ops[0]), (1, ops[1]), (1, ops[0]), (0, ops[1])] {
            let (service, gid) = (Arc::clone(&services[service]), gid.clone());
            calls.spawn(async move { (op, insist(&service, &gid, op).await) });
        }
        let answers = calls.join_all().await;
        let runs = services[0].runs(&gid).await;
        match runs {
            (0, 0, 0) => empty += 1,
            (1, 0, 1) => released += 1,
            unsound => panic!("{gid} ran {unsound:?}: {answers:?}"),
        }
        let told = |words: &str| answers.iter().filter(|(_, told)| told == words).count();
        assert_eq!(told("200 tried"), usize::from(runs.0 == 1), "{answers:?}");
        assert_eq!(told("200 cancelled"), 1, "{answers:?}");
        assert_eq!(told("200 cancelled again"), 1, "{answers:?}");
    }
    assert!(empty > 0 && released > 0, "both orders were seen: {empty} empty, {released} released");
}

/// Two processes on one database get the same decision at once, for a branch that was tried.
pub(crate) async fn a_decision_that_comes_twice_at_once_is_run_once(database: &Database) {
    let services =
        [Arc::new(Service::start(database, 4).await), Arc::new(Service::start(database, 4).await)];
    for race in 0..100 {
        let gid = format!("race-{race}");
        let (decision, expected) =
            if race % 2 == 0 { (Confirm, (1, 1, 0)) } else { (Cancel, (1, 0, 1)) };
        assert!(insist(&services[0], &gid, Try).await.starts_with("200 tried"));
        tokio::join!(insist(&services[0], &gid, decision), insist(&services[1], &gid, decision));
        assert_eq!(services[0].runs(&gid).await, expected, "{gid}");
    }
}

/// Different branches of one service meet on its one database.
pub(crate) async fn transactions_that_meet_on_one_database_all_get_done(database: &Database) {
    let one = Service::start(database, 4).await;
    let two = Service::start(database, 4).await;
    let services = [Arc::new(one), Arc::new(two)];
    let mut transactions = JoinSet::new();
    for number in 0..60 {
        let service = Arc::clone(&services[number % 2]);
        transactions.spawn(async move {
            let gid = format!("order-{number}");
            // What was told to be under way, on a slow machine, may be done by the next call.
            let insist = async |op| insist(&service, &gid, op).await.replace(" again", "");
            assert_eq!(insist(Try).await, "200 tried");
            assert_eq!(insist(Confirm).await, "200 confirmed");
            assert_eq!(service.runs(&gid).await, (1, 1, 0), "{gid}");
        });
    }
    transactions.join_all().await;
}
