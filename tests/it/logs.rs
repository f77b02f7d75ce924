//! Logging: nobody waits for whoever reads it, and nobody can bury it.

use std::io::{PipeWriter, Write};
use std::path::Path;
use std::process::Stdio;

use http::Method;
use tercet_testing::{Client, Participant, Port, Tercet, eventually, program, soon};
use tokio::process::{Child, Command};

use crate::bodies::{begin, branch};
use crate::expected::transaction;
use crate::ran::directory;

/// The value of a metric without labels.
async fn metric(client: &Client, name: &str) -> f64 {
    let text = client.send(Method::GET, "/metrics", None).await.text;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// A daemon that logs into a pipe, from its first line on.
async fn logging_to(pipe: PipeWriter, directory: &Path, port: &Port) -> (Child, Client) {
    let mut daemon = program(directory);
    daemon.args(["serve", "--listen", &port.address().to_string()]);
    let daemon = daemon.stdout(Stdio::null()).stderr(pipe).spawn().expect("it starts");
    let client = Client::new(port.address());
    let ready = async || {
        let answer = client.try_send(Method::GET, "/readyz", None).await.ok()?;
        (answer.status == 200).then_some(())
    };
    eventually("it is ready", ready).await;
    (daemon, client)
}

async fn transactions_confirm(client: &Client) {
    let participant = Participant::start().await;
    for number in 0..20 {
        let body = begin(&format!("order-{number}"), &[branch(&participant, "stock")]);
        transaction(&client.begin("", &body).await, 201, "confirmed");
    }
}

async fn ends_well(mut daemon: Child) {
    let pid = daemon.id().expect("it runs");
    let term = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
    assert!(term.expect("a shell").success());
    let ended = soon("its end", daemon.wait()).await.expect("it was started");
    assert_eq!(ended.code(), Some(0));
}

/// Keeps P6.
#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nobody() {
    let (reader, mut pipe) = std::io::pipe().expect("a pipe");
    // As many bytes as Linux gives a pipe, so that there is room for none.
    pipe.write_all(&[b'x'; 65_536]).expect("they fit");
    let (directory, port) = (directory(), Port::free());
    let (daemon, client) = logging_to(pipe, directory.path(), &port).await;
    transactions_confirm(&client).await;
    ends_well(daemon).await;
    drop(reader);
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_holds_up_nobody() {
    let (reader, pipe) = std::io::pipe().expect("a pipe");
    let (directory, port) = (directory(), Port::free());
    let (daemon, client) = logging_to(pipe, directory.path(), &port).await;
    drop(reader);
    transactions_confirm(&client).await;
    let hang_up = format!("kill -HUP {}", daemon.id().expect("it runs"));
    let sent = Command::new("sh").args(["-c", &hang_up]).status().await;
    assert!(sent.expect("a shell").success());
    let dropped =
        async || (metric(&client, "tercet_log_lines_dropped_total").await > 0.0).then_some(());
    eventually("lines that nobody took are counted", dropped).await;
    ends_well(daemon).await;
}

/// Keeps P9.
#[tokio::test]
async fn what_many_can_cause_is_logged_some_times_and_counted() {
    let tercet = Tercet::start().await;
    // Far more than may be logged, with pauses so that few arrive as one.
    let signals = format!("for i in $(seq 400); do kill -HUP {}; sleep 0.005; done", tercet.pid());
    let sent = Command::new("sh").args(["-c", &signals]).status();
    assert!(soon("all are sent", sent).await.expect("a shell").success());
    tercet.logged("event=\"log_lines_left_out\" of=\"hung_up\"").await;
    let told = tercet.log().matches("event=\"hung_up\"").count();
    assert!((20..300).contains(&told), "{told}");
    assert!(metric(&tercet.client(), "tercet_log_lines_dropped_total").await > 0.0);
}
