//! The lines of history as they are shown.

use tercet_wire::{Gid, Op, Pattern, Reason};

use super::*;

fn summary(status: Status, decided_at: Option<i64>, finished_at: Option<i64>) -> SummaryView {
    let gid: Gid = "order-1".parse().expect("a gid");
    SummaryView {
        check: None,
        saga: None,
        gid,
        instance: "01938d1c-7f00-7abc-8def-0123456789ab".parse().expect("a uuid"),
        pattern: Pattern::Tcc,
        status,
        open: false,
        reason: (status == Status::Cancelled).then_some(Reason::TryRefused),
        reason_detail: (status == Status::Cancelled).then(|| "no stock".to_owned()),
        parked: false,
        created_at: Wall(10),
        deadline_at: Wall(1_000),
        decided_at: decided_at.map(Wall),
        finished_at: finished_at.map(Wall),
        mixed: false,
        held: false,
        metadata: None,
        branch_count: None,
    }
}

fn stored(number: u32, at: i64, kind: EventKind, op: Op) -> HistoryEvent {
    HistoryEvent {
        number,
        at: Wall(at),
        kind,
        branch: Some("b1".parse().expect("an id")),
        op: Some(op.into()),
        attempt: Some(1),
        detail: Some("answered 500".into()),
    }
}

fn told(lines: &[EventView]) -> Vec<String> {
    let detail = |line: &EventView| line.detail.clone().unwrap_or_default();
    lines.iter().map(|line| format!("{} {} {}", line.at.0, line.kind, detail(line))).collect()
}

#[test]
fn begin_decision_and_end_stand_among_the_stored_lines_where_they_happened() {
    let stored = vec![
        stored(1, 20, EventKind::CallFailed, Op::Try),
        stored(2, 30, EventKind::TryRefused, Op::Try),
        stored(3, 30, EventKind::CallFailed, Op::Cancel),
        stored(4, 35, EventKind::Parked, Op::Cancel),
    ];
    let lines = lines(&summary(Status::Cancelled, Some(30), Some(40)), stored);
    assert_eq!(
        told(&lines),
        [
            "10 begun ",
            "20 call-failed answered 500",
            "30 try-refused answered 500",
            "30 decided cancel: try-refused (no stock)",
            "30 call-failed answered 500",
            "35 parked answered 500",
            "40 finished cancelled",
        ]
    );
}

#[test]
fn what_a_call_says_after_the_end_stands_after_it() {
    let resolved = |number, at| HistoryEvent {
        op: None,
        detail: Some("as confirmed by ann".into()),
        ..stored(number, at, EventKind::Resolved, Op::Confirm)
    };
    let contradicted = |number, at| stored(number, at, EventKind::Contradicted, Op::Confirm);
    let kinds = |stored| {
        let lines = lines(&summary(Status::Confirmed, Some(20), Some(40)), stored);
        lines.iter().map(|line| line.kind.to_string()).collect::<Vec<_>>().join(" ")
    };
    // Of a call that ends late, also in the same millisecond.
    for at in [40, 45] {
        let told = kinds(vec![resolved(1, 40), contradicted(2, at)]);
        assert_eq!(told, "begun decided resolved finished contradicted");
    }
    // While another branch was waited for.
    let told = kinds(vec![resolved(1, 30), contradicted(2, 35), resolved(3, 40)]);
    assert_eq!(told, "begun decided resolved contradicted resolved finished");
}

#[test]
fn a_happy_transaction_has_three_lines_and_an_undecided_one_has_one() {
    let happy = lines(&summary(Status::Confirmed, Some(10), Some(10)), Vec::new());
    assert_eq!(told(&happy), ["10 begun ", "10 decided confirm", "10 finished confirmed"]);
    assert_eq!(told(&lines(&summary(Status::Trying, None, None), Vec::new())), ["10 begun "]);
}

#[test]
fn pages_put_together_are_the_whole_history() {
    let all = || {
        let stored = (1..=5).map(|n| stored(n, 20, EventKind::CallFailed, Op::Try)).collect();
        lines(&summary(Status::Confirmed, Some(30), Some(40)), stored)
    };
    for limit in 1..=9 {
        let (mut seen, mut given) = (Vec::new(), 0);
        loop {
            let page = page(all(), given, limit);
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            let Some(cursor) = page.next_cursor else { break };
            given = lines_given(&cursor).expect("our own cursor");
        }
        assert_eq!(told(&seen), told(&all()), "limit {limit}");
    }
    assert!(lines_given("7").is_err() && lines_given("n-1").is_err() && lines_given("n").is_err());
    assert_eq!(page(all(), usize::MAX, 5).items.len(), 0);
}
