//! The smallest of each trouble of several nodes, on a real PostgreSQL and a real MariaDB that
//! `tests/databases` starts: whatever the timing, nothing is lost and the books agree.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Each kills the server that the other is on.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A server, and what is done to nodes on it: the same nodes drive the same rows on both, so that the
/// second gets the smaller part.
struct OnServer {
    url: &'static str,
    data: &'static str,
    faults: &'static [&'static str],
    crowd: &'static str,
}

const SERVERS: [OnServer; 2] = [
    OnServer {
        url: "TERCET_TEST_POSTGRES_URL",
        data: "TERCET_TEST_POSTGRES_DATA",
        faults: &["killed", "stopped", "two-killed", "partition", "rolling-restart"],
        crowd: "1500",
    },
    OnServer {
        url: "TERCET_TEST_MYSQL_URL",
        data: "TERCET_TEST_MYSQL_DATA",
        faults: &["two-killed", "partition"],
        crowd: "300",
    },
];

/// Keeps P1, P2, P4, P5.
#[test]
fn whatever_happens_to_nodes_nothing_acknowledged_is_lost_and_all_books_agree() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for server in SERVERS {
        on(&server);
    }
}

fn on(server: &OnServer) {
    let program = Path::new(env!("CARGO_BIN_EXE_tercet-chaos"));
    let mut faults = server.faults.to_vec();
    // A server of somebody's own is not killed.
    if std::env::var_os(server.data).is_some() {
        faults.push("database-killed");
    }
    let mut chaos = Command::new(program);
    for other in SERVERS.iter().filter(|other| other.url != server.url) {
        chaos.env_remove(other.url);
    }
    chaos.arg("--programs").arg(program.parent().expect("a folder")).arg("nodes");
    for (option, value) in [
        ("--only", faults.join(",").as_str()),
        ("--fault-ms", "1000"),
        ("--window-ms", "400"),
        ("--initiators", "6"),
        ("--times", "1"),
        ("--crowd", server.crowd),
    ] {
        chaos.args([option, value]);
    }
    let ran = chaos.output().expect("it starts");
    let (said, errors) = (&ran.stdout, &ran.stderr);
    let text = format!("{}{}", String::from_utf8_lossy(said), String::from_utf8_lossy(errors));
    assert!(ran.status.success(), "{}: {text}", server.url);
    // Every row was measured, and told twice: none was left out and taken for good. Then the head.
    let rows = text.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 2 * faults.len() + 1, "{}: {text}", server.url);
}

/// Keeps P4, P5.
#[test]
fn whatever_is_killed_every_committed_message_comes_once_and_no_other() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let program = Path::new(env!("CARGO_BIN_EXE_tercet-chaos"));
    let mut rows = vec!["outbox-relay-killed"];
    if std::env::var_os("TERCET_TEST_POSTGRES_DATA").is_some() {
        rows.push("outbox-database-killed");
    }
    let mut chaos = Command::new(program);
    chaos
        .arg("--programs")
        .arg(program.parent().expect("a folder"))
        .args(["patterns", "--loopback"]);
    for (option, value) in [
        ("--only", rows.join(",").as_str()),
        ("--fault-ms", "1000"),
        ("--window-ms", "400"),
        ("--initiators", "6"),
        ("--lease-ms", "1000"),
    ] {
        chaos.args([option, value]);
    }
    let ran = chaos.output().expect("it starts");
    let (said, errors) = (&ran.stdout, &ran.stderr);
    let text = format!("{}{}", String::from_utf8_lossy(said), String::from_utf8_lossy(errors));
    assert!(ran.status.success(), "{text}");
    let told = text.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(told, 2 * rows.len() + 1, "{text}");
}
