//! What operators see, to the letter.

use super::*;

const NOW: Wall = Wall(1_763_640_600_000);

fn stuck() -> TransactionView {
    serde_json::from_str(
        r#"{"gid":"order-1001","instance":"01938d1c-7f00-7abc-8def-0123456789ab","pattern":"tcc",
        "status":"confirming","open":false,"reason":null,"reason_detail":null,"parked":true,
        "mixed":true,"trace_id":"0af7651916cd43dd8448eb211c80319c",
        "created_at":"2025-11-20T12:00:00.000Z","deadline_at":"2025-11-20T12:00:30.000Z",
        "decided_at":"2025-11-20T12:00:01.000Z","finished_at":null,"metadata":null,
        "branches":[
         {"id":"inventory","participant":"127.0.0.1:7301","status":"cancelled","parked":false,
          "attempts":{"try":1,"confirm":3,"cancel":0},"next_attempt_at":null,
          "last_error":"answered 410","answer":null,"resolved_as":"cancelled",
          "finished_at":"2025-11-20T12:05:00.000Z"},
         {"id":"payment","participant":"127.0.0.1:7302","status":"tried","parked":true,
          "attempts":{"try":1,"confirm":7,"cancel":0},
          "next_attempt_at":"2025-11-20T12:10:12.000Z","last_error":"connection\nrefused",
          "answer":null,"resolved_as":null,"finished_at":null}]}"#,
    )
    .expect("a transaction")
}

fn shown(lines: &[Line]) -> String {
    lines.iter().map(|line| line.shown(false)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_stuck_transaction_says_who_holds_it_up_and_what_can_be_done() {
    let expected = "\
order-1001  confirming, parked, mixed

  instance  01938d1c-7f00-7abc-8def-0123456789ab
  trace     0af7651916cd43dd8448eb211c80319c
  begun     2025-11-20T12:00:00.000Z  (10 min 0 s ago)
  decided   2025-11-20T12:00:01.000Z  (9 min 59 s ago)
  mixed     an operator resolved a branch as the opposite of what was decided

BRANCH     STATUS              PARTICIPANT     CALLS             NEXT CALL  LAST ERROR
inventory  cancelled  by hand  127.0.0.1:7301  try 1, confirm 3             answered 410
payment    tried      PARKED   127.0.0.1:7302  try 1, confirm 7  in 12 s    connection\\nrefused

A parked branch does not get on by itself, and is still called.
  when its participant is repaired:
    tercet tx retry order-1001
  if it can never acknowledge, say what became of it:
    tercet tx resolve order-1001 payment --as confirmed|cancelled --note WHY";
    assert_eq!(shown(&transaction(&stuck(), NOW, 100)), expected);
}

#[test]
fn a_stuck_transaction_fits_a_terminal_of_eighty_columns() {
    let lines = transaction(&stuck(), NOW, 80);
    let text = shown(&lines);
    let expected = "\
BRANCH     STATUS              PARTICIPANT     CALLS             NEXT CALL
inventory  cancelled  by hand  127.0.0.1:7301  try 1, confirm 3
    answered 410
payment    tried      PARKED   127.0.0.1:7302  try 1, confirm 7  in 12 s
    connection\\nrefused
";
    assert!(text.contains(expected), "{text}");
    assert!(lines.iter().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn a_list_has_a_line_per_transaction_and_says_how_to_go_on() {
    let mut item = stuck().summary;
    item.branch_count = Some(2);
    let expected = "\
GID         STATUS      NOTE    AGE         BRANCHES  REASON
order-1001  confirming  parked  10 min 0 s  2         mixed

There are more: --cursor 31";
    let list = |items: &[SummaryView], next| shown(&list(items, next, NOW, 80));
    assert_eq!(list(&[item], Some("31")), expected);
    assert_eq!(list(&[], None), "no transactions");
    // A page that has found nothing among those that it looked through.
    assert_eq!(list(&[], Some("31")), "none so far, and there are more: --cursor 31");
}

#[test]
fn one_that_is_held_says_so_and_what_to_do() {
    let mut view = stuck();
    view.branches.clear();
    let item = &mut view.summary;
    (item.status, item.parked, item.mixed, item.decided_at) = (Status::Trying, false, false, None);
    (item.held, item.open) = (true, true);
    let expected = "\
order-1001  trying, held

  instance  01938d1c-7f00-7abc-8def-0123456789ab
  trace     0af7651916cd43dd8448eb211c80319c
  begun     2025-11-20T12:00:00.000Z  (10 min 0 s ago)
  deadline  2025-11-20T12:00:30.000Z
  held      undecided in the backup that the database was restored from: nothing
            of it is called, cancelled or expires

no branches

It may have been decided after the backup.
  what its participants have of it:  tercet reconcile ENDPOINT
  if they confirmed it:              tercet tx confirm order-1001 --despite-hold
  if they cancelled it:              tercet tx cancel order-1001 --despite-hold
  to let all that is held go on:     tercet restored release";
    assert_eq!(shown(&transaction(&view, NOW, 80)), expected);
    view.summary.open = false;
    assert!(!shown(&transaction(&view, NOW, 80)).contains("tx confirm"), "nobody may confirm it");
    let listed = shown(&list(&[view.summary], None, NOW, 80));
    let expected =
        "GID         STATUS  NOTE  AGE         BRANCHES\norder-1001  trying  held  10 min 0 s";
    assert_eq!(listed, expected);
}

#[test]
fn metadata_and_long_answers_are_whole_and_wrapped() {
    let mut view = stuck();
    view.summary.metadata = Some(serde_json::json!({ "channel": "web" }));
    let body = "the account is frozen ".repeat(46).trim().to_owned();
    let at = NOW;
    let last_answer = LastAnswerView { op: Op::Confirm, status: 409, body: body.clone(), at };
    view.branches[1].last_answer = Some(last_answer);
    for width in [80, 40] {
        let lines = transaction(&view, NOW, width);
        let text = shown(&lines);
        assert!(text.contains("metadata  {\"channel\":\"web\"}"), "{text}");
        let words: String = text.split_whitespace().collect();
        assert!(words.contains(&body.replace(' ', "")), "{text}");
        let said = text.lines().skip_while(|line| !line.starts_with("payment: confirm answered"));
        let said = said.take_while(|line| !line.is_empty());
        assert!(
            said.clone().count() > 10 && said.clone().all(|line| line.len() <= width),
            "{text}"
        );
    }
}

#[test]
fn times_are_told_in_their_two_largest_units() {
    for (ms, told) in [
        (7, "7 ms"),
        (59_999, "59 s"),
        (61_000, "1 min 1 s"),
        (7_380_000, "2 h 3 min"),
        (180_000_000, "2 d 2 h"),
    ] {
        assert_eq!(lasting(Duration::from_millis(ms)), told);
    }
}
