//! Too few open files: nobody else's failure.

use tercet_testing::{Participant, Tercet};
use tercet_wire::Op;
use tokio::net::TcpStream;

use crate::bodies::{begin, branch};
use crate::expected::transaction;

/// Keeps P6.
#[tokio::test]
async fn clients_that_hold_connections_leave_files_for_calls_and_the_journal() {
    let mut tercet = Tercet::start().await;
    assert_eq!(tercet.terminate().await.code(), Some(0));
    tercet.set_open_files(128);
    tercet.restart().await;
    assert!(tercet.logged("few_open_files").await.contains("server.max_connections"));
    let client = tercet.client();
    let first = Participant::start().await;
    transaction(
        &client.begin("", &begin("order-1", &[branch(&first, "stock")])).await,
        201,
        "confirmed",
    );
    // More than it may have files. Those without a place are let in as guests, of whom the oldest
    // makes room for the next.
    let mut idle = Vec::new();
    for _ in 0..150 {
        idle.push(TcpStream::connect(tercet.address()).await.expect("a connection"));
    }
    // By the connection that is open already, at a participant to which none is.
    let second = Participant::start().await;
    let begun = client.begin("", &begin("order-2", &[branch(&second, "stock")])).await;
    transaction(&begun, 201, "confirmed");
    assert_eq!(second.calls_of("stock", Op::Try)[0].attempt, 1);
    drop(idle);
    let begun = client.begin("", &begin("order-3", &[branch(&second, "stock")])).await;
    transaction(&begun, 201, "confirmed");
    assert_eq!(tercet.log().matches("too_many_open_files").count(), 0);
}

#[tokio::test]
async fn a_daemon_that_could_not_work_refuses_to_start_and_says_why() {
    let mut tercet = Tercet::start().await;
    assert_eq!(tercet.terminate().await.code(), Some(0));
    tercet.set_open_files(48);
    let (status, _, said) = tercet.run(&["serve"]).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("open files is 48") && said.contains("max_connections"), "{said}");
}
