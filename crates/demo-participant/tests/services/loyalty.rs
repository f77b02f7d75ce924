//! The participant in Python, called as the coordinator calls it: in order, out of order, at once.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::service::{LEGS, LIFE, Service, code};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/demo/python/loyalty.py");
const OTHER_LIFE: &str = "tercet-instance: 0193b6a0-0000-7000-8000-000000000002\r\n";

/// The service on this file; `None`, visibly, where there is no Python for it.
fn loyalty(file: &Path, more: &[&str]) -> Option<Service> {
    let new_enough = "import sqlite3, sys; sys.exit(sys.version_info < (3, 8))";
    let python = Command::new("python3").args(["-c", new_enough]).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no python3 of 3.8 or later");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(SCRIPT).arg("--db").arg(file).args(more);
    Some(Service::run(&mut command))
}

fn points(number: i64) -> Value {
    json!({"account": "alice", "points": number})
}

/// Pending and earned.
fn sums(loyalty: &Service) -> (i64, i64) {
    let alice = &loyalty.read("/points")[0];
    let of = |column: &str| alice[column].as_i64().unwrap_or_default();
    (of("pending"), of("earned"))
}

#[test]
fn points_are_pending_then_earned_or_gone_however_often_it_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(loyalty) = loyalty(&dir.path().join("loyalty.db"), &[]) else { return };
    let call = |op: &str, gid: &str| code(loyalty.call("loyalty", op, gid, &points(5)));

    for _ in 0..2 {
        assert_eq!(call("try", "g1"), "200 tried");
        assert_eq!(call("try", "g2"), "200 tried");
        assert_eq!(sums(&loyalty), (10, 0));
    }
    for _ in 0..2 {
        assert_eq!(call("confirm", "g1"), "200 confirmed");
        assert_eq!(call("cancel", "g2"), "200 cancelled");
        assert_eq!(sums(&loyalty), (0, 5));
    }
    assert_eq!(call("try", "g1"), "200 tried", "it was, and is not tried again");
    for nonsense in [json!({}), json!([]), points(0), json!({"account": 7, "points": 1})] {
        let answer = loyalty.call("loyalty", "try", "g3", &nonsense);
        assert_eq!(code(answer), "400 invalid-payload", "{nonsense}");
    }
    assert_eq!(sums(&loyalty), (0, 5));
}

#[test]
fn what_comes_after_its_opposite_or_from_another_life_does_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(loyalty) = loyalty(&dir.path().join("loyalty.db"), &[]) else { return };
    let call = |op: &str, gid: &str| code(loyalty.call("loyalty", op, gid, &points(5)));
    let with = |op: &str, gid: &str, headers: &str| {
        code(loyalty.call_with("loyalty", op, gid, &points(5), headers))
    };

    assert_eq!(call("try", "bystander"), "200 tried");
    assert_eq!(call("confirm", "never"), "410 branch-not-tried");
    assert_eq!(call("cancel", "empty"), "200 cancelled");
    assert_eq!(call("try", "empty"), "409 branch-cancelled");
    assert_eq!(call("confirm", "empty"), "410 branch-cancelled");
    assert_eq!(sums(&loyalty), (5, 0), "what is pending belongs to another branch");
    assert_eq!(call("cancel", "bystander"), "200 cancelled");

    let without_try = format!("tercet-instance: {LIFE}\r\ntercet-legs: confirm\r\n");
    assert_eq!(call("try", "kept"), "200 tried");
    assert_eq!(call("confirm", "kept"), "200 confirmed");
    assert_eq!(call("cancel", "kept"), "409 branch-confirmed");
    assert_eq!(with("try", "kept", &format!("{OTHER_LIFE}{LEGS}")), "409 another-instance");
    assert_eq!(with("cancel", "kept", &format!("{OTHER_LIFE}{LEGS}")), "410 another-instance");
    let late =
        format!("tercet-instance: {LIFE}\r\n{LEGS}tercet-deadline: 2020-01-01T00:00:00.000Z\r\n");
    assert_eq!(with("try", "late", &late), "409 deadline-passed");
    assert_eq!(sums(&loyalty), (0, 5));
    // There is no Try to have reserved anything, so this Confirm stands on its own; the CHECK on the
    // table keeps it from spending what is not pending.
    assert_eq!(with("confirm", "alone", &without_try), "503 failed");
    assert_eq!(call("try", "more"), "200 tried");
    assert_eq!(with("confirm", "alone", &without_try), "200 confirmed");
    assert_eq!(sums(&loyalty), (0, 10));
}

#[test]
fn a_cancel_that_races_its_try_leaves_nothing_pending() {
    const BRANCHES: usize = 60;
    let dir = tempfile::tempdir().expect("a directory");
    let Some(loyalty) = loyalty(&dir.path().join("loyalty.db"), &[]) else { return };
    thread::scope(|threads| {
        for op in ["try", "cancel", "try", "cancel"] {
            let loyalty = &loyalty;
            threads.spawn(move || {
                for branch in 0..BRANCHES {
                    let answer =
                        code(loyalty.call("loyalty", op, &format!("g{branch}"), &points(1)));
                    let fine = match op {
                        "cancel" => answer == "200 cancelled",
                        _ => answer == "200 tried" || answer == "409 branch-cancelled",
                    };
                    assert!(fine, "{op} of g{branch}: {answer}");
                }
            });
        }
    });
    assert_eq!(sums(&loyalty), (0, 0));
}

#[test]
fn without_its_guard_a_repeat_counts_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("loyalty.db");
    let Some(loyalty) = loyalty(&file, &["--without-guard"]) else { return };
    for _ in 0..2 {
        assert_eq!(code(loyalty.call("loyalty", "try", "g1", &points(5))), "200 tried");
    }
    assert_eq!(sums(&loyalty), (10, 0));
}
