//! The real program, killed with SIGKILL while it is at work.

use std::process::Stdio;
use std::time::Duration;

use tercet_participant::OutboxState::{Confirmed, Sent};
use tokio::process::{Child, Command};

use crate::coordinator::Coordinator;
use crate::database::Database;
use crate::sender::Sender;

/// Longer than a lease.
const LATER: Duration = Duration::from_secs(120);

fn relay(database: &Database, coordinator: &Coordinator) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tercet-relay"))
        .args(["--database-url", database.url(), "--coordinator", &coordinator.url])
        .args(["--batch", "5", "--lease-ms", "60000"])
        .env_remove("TERCET_TOKEN")
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

/// Keeps P4, P5.
pub(crate) async fn a_relay_that_is_killed_loses_nothing(database: &Database) {
    const ROUNDS: usize = 6;
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let gids: Vec<String> = (0..60).map(|number| format!("order-{number}")).collect();
    for gid in &gids {
        sender.sends(gid).await;
    }
    for round in 0..ROUNDS {
        // Those whom the last one held are free again.
        sender.passes(LATER).await;
        let mut relay = relay(database, &coordinator);
        // Each is killed a little later in its work, in the middle of a batch or between two.
        for _ in 0..=round {
            coordinator.next_begin().await;
        }
        relay.kill().await.expect("it is killed");
    }
    sender.passes(LATER).await;
    let mut last = relay(database, &coordinator);
    while sender.outbox.pending().await.expect("a count") > 0 {
        assert_eq!(last.try_wait().expect("it can be asked"), None, "it ended by itself");
        tokio::task::yield_now().await;
    }
    last.kill().await.expect("it is killed");
    let begun = coordinator.begun();
    for gid in &gids {
        let state = sender.state(gid).await;
        assert!(matches!(state, Sent | Confirmed), "{gid} is {state}");
        assert!(begun.contains_key(gid), "{gid} is lost");
    }
    let again: u32 = begun.values().map(|begun| begun.times - 1).sum();
    // Only what a relay held when it was killed was handed over again: five of a batch at most, each time.
    assert!(again <= 5 * u32::try_from(ROUNDS).expect("few"), "{again} were handed over again");
}
