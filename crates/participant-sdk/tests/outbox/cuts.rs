//! A relay that dies between any two of its steps. Its future is dropped where it waits, and its connections with it, as
//! when its process is killed: what was sent to the database and the coordinator goes on there, and nobody hears of it.
//! Or whoever ran it stops waiting, and goes on with the same connections.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tercet_participant::OutboxState::{Confirmed, Pending, Sent};

use crate::coordinator::Coordinator;
use crate::database::Database;
use crate::sender::Sender;

/// Longer than a lease, and than any pause.
const LATER: Duration = Duration::from_secs(120);

/// Keeps P4, P5.
pub(crate) async fn a_relay_that_dies_after_the_hand_over_leaves_it_to_the_next(
    database: &Database,
) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    sender.sends("order-1").await;
    // It is not answered while the relay lives, which would write that down.
    let answers = coordinator.holds_the_next();
    {
        let relay = sender.relay(&coordinator);
        let mut round = pin!(relay.once());
        tokio::select! {
            biased;
            () = coordinator.next_begin() => {}
            _ = &mut round => panic!("it is not told before"),
        }
    }
    answers.notify_one();
    assert_eq!((coordinator.times("order-1"), sender.state("order-1").await), (1, Pending));
    let next = sender.relay(&coordinator);
    assert!(!next.once().await.expect("a round"), "the lease has not run out");
    sender.passes(LATER).await;
    next.once().await.expect("a round");
    assert_eq!((coordinator.times("order-1"), sender.state("order-1").await), (2, Sent));
}

/// Keeps P4, P5.
pub(crate) async fn a_relay_cut_at_any_step_loses_nothing_and_changes_nothing(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let (mut cuts, mut whole) = (0, 0);
    // The first cut is before anything was done, the last ones behind the end.
    while whole < 3 {
        let gids = ["a", "b", "c"].map(|name| format!("{name}-{cuts}"));
        for gid in &gids {
            sender.sends(gid).await;
        }
        let dying = Sender::start(database).await;
        if steps(dying.relay(&coordinator).once(), cuts).await.is_some() {
            whole += 1;
        }
        dying.db.close().await.expect("its connections are closed");
        cuts += 1;
        for gid in &gids {
            if coordinator.times(gid) > 0 {
                coordinator.ends(gid, "confirmed");
            }
        }
        // Another one finds all of it, whatever was left.
        for _ in 0..3 {
            sender.passes(LATER).await;
            while sender.relay(&coordinator).once().await.expect("a round") {}
            let begun = coordinator.begun();
            begun.keys().for_each(|gid| coordinator.ends(gid, "confirmed"));
        }
        for gid in &gids {
            assert_eq!(sender.state(gid).await, Confirmed, "{gid} after {cuts} steps");
            let begun = &coordinator.begun()[gid];
            assert!((1..=2).contains(&begun.times), "{gid} after {cuts} steps: {begun:?}");
        }
    }
    // A claim, calls and marks, and three rounds that were not cut.
    assert!(cuts > 6, "there are more steps than {cuts}");
}

/// Keeps P9.
pub(crate) async fn a_round_cut_at_any_step_gives_its_connection_back(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let mut cuts = 0;
    loop {
        // New ones each time: a connection prepares a statement once.
        let impatient = Sender::start_with(database, 1).await;
        sender.sends(&format!("order-{cuts}")).await;
        let whole = steps(impatient.relay(&coordinator).once(), cuts).await.is_some();
        cuts += 1;
        let goes_on = async {
            impatient.outbox.pending().await.expect("a count");
            impatient.sends(&format!("again-{cuts}")).await;
            impatient.relay(&coordinator).once().await.expect("a round");
            impatient.db.close().await.expect("its connection is closed");
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), goes_on).await;
        assert!(waited.is_ok(), "its only connection is gone after {cuts} steps");
        if whole {
            break;
        }
        sender.passes(LATER).await;
    }
    assert!(cuts > 5, "there are more steps than {cuts}");
}

/// Runs it for so many steps, from one wait to the next; what it came to, if that was enough.
async fn steps<F: Future>(future: F, most: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = most;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
