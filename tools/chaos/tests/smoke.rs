//! The faults that any machine allows, a second each: whatever the timing, the books agree.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program with the binaries that were built beside it.
fn chaos(arguments: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_tercet-chaos"));
    let mut chaos = Command::new(program);
    // On a server there is a test of its own.
    chaos.env_remove("TERCET_TEST_POSTGRES_URL");
    chaos.arg("--programs").arg(program.parent().expect("a folder")).args(arguments);
    chaos.output().expect("it starts")
}

fn text(output: &Output) -> String {
    let (said, errors) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(said), String::from_utf8_lossy(errors))
}

const SHORT: [&str; 11] = [
    "run",
    "--loopback",
    "--fault-ms",
    "1000",
    "--window-ms",
    "400",
    "--initiators",
    "8",
    "--sale",
    "0",
    "--only",
];

/// Keeps P5.
#[test]
fn after_every_fault_nothing_acknowledged_is_lost_and_all_books_agree() {
    let faults = "coordinator-killed,participant-killed,participant-stopped,log-unread,both,\
                  endless-interim";
    let ran = chaos(&[&SHORT[..], &[faults, "--kills", "3"]].concat());
    assert!(ran.status.success(), "{}", text(&ran));
    // Every row was measured: none was left out and taken for good.
    let rows = text(&ran).lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 2 * 7 + 1, "{}", text(&ran));
}

/// Keeps P4, P5.
#[test]
fn no_saga_and_no_message_is_lost_whoever_is_killed() {
    let rows = "saga-coordinator-killed,outbox-coordinator-killed,outbox-relay-killed";
    let ran = chaos(&[
        "patterns",
        "--loopback",
        "--fault-ms",
        "1000",
        "--window-ms",
        "400",
        "--initiators",
        "8",
        "--lease-ms",
        "1000",
        "--only",
        rows,
    ]);
    assert!(ran.status.success(), "{}", text(&ran));
    let rows = text(&ran).lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 2 * 3 + 1, "{}", text(&ran));
}

#[test]
fn a_row_that_cannot_be_measured_is_told_and_is_no_success() {
    let ran = chaos(&[&SHORT[..], &["partition", "--kills", "0"]].concat());
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran));
    assert!(text(&ran).contains("partition: not measured: needs root"), "{}", text(&ran));
}
