//! What is drawn, and where.

use serde_json::json;

use super::*;

fn at(seconds: i64) -> Wall {
    Wall(1_763_640_000_000 + seconds * 1_000)
}

/// Decided after a second, with one branch done after two and one that waits.
fn view(status: &str, next: Option<Wall>) -> TransactionView {
    let branch = |id: &str, status: &str, finished: Option<Wall>, next: Option<Wall>| {
        json!({
            "id": id, "participant": "pay:80", "status": status, "parked": false,
            "attempts": {"try": 1, "confirm": 3, "cancel": 0}, "next_attempt_at": next,
            "last_error": next.map(|_| "answered 503"), "answer": null, "resolved_as": null,
            "finished_at": finished,
        })
    };
    let view = json!({
        "gid": "order-1", "instance": "01938d1c-7f00-7abc-8def-0123456789ab", "pattern": "tcc",
        "status": status, "open": false, "reason": null, "reason_detail": null, "parked": false,
        "created_at": at(0), "deadline_at": at(30), "decided_at": at(1), "finished_at": null,
        "metadata": null,
        "branches": [
            branch("stock", "confirmed", Some(at(2)), None),
            branch("<pay>", "tried", None, next),
        ],
    });
    // A branch's id has no such letters; what is drawn must not rely on it.
    let text = view.to_string().replace("<pay>", "pay");
    serde_json::from_str(&text).expect("a transaction")
}

fn failed(seconds: i64, detail: &str) -> EventView {
    serde_json::from_value(json!({
        "at": at(seconds), "kind": "call-failed", "branch": "pay", "op": "confirm", "attempt": 1,
        "detail": detail,
    }))
    .expect("a line")
}

fn nobody() -> BTreeSet<String> {
    BTreeSet::new()
}

#[test]
fn times_before_and_after_the_decision_and_to_come_are_in_their_order() {
    let drawn = Timeline::of(&view("confirming", Some(at(3_700))), &[], &nobody(), at(3_600));
    let x = |seconds| drawn.scale.x(at(seconds));
    let places = [x(0), x(1), x(2), x(3_600), x(3_650), x(3_700)];
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    assert!((x(1) - EARLIEST_DECISION).abs() < 1e-9, "a second of an hour is seen: {}", x(1));
    assert!((x(3_600) - NOW).abs() < 1e-9);
    assert!((x(3_700) - RIGHT).abs() < 1e-9);
    // What is beyond either end stays within the picture.
    assert!((x(-5) - LEFT).abs() < 1e-9 && (x(9_999) - RIGHT).abs() < 1e-9);
}

#[test]
fn nothing_to_come_leaves_no_room_for_it() {
    let drawn = Timeline::of(&view("confirming", None), &[], &nobody(), at(10));
    assert!((drawn.scale.x(at(10)) - RIGHT).abs() < 1e-9);
    assert!(!drawn.to_string().contains("class=\"next\""));
}

#[test]
fn a_lane_has_its_spans_its_failed_calls_and_the_next_one() {
    let events = [failed(3, "answered 503: busy"), failed(4, "answered 404"), failed(5, "timeout")];
    let drawn = Timeline::of(&view("confirming", Some(at(20))), &events, &nobody(), at(10));
    let [stock, pay] = &drawn.lanes[..] else { panic!("{drawn:?}") };
    let classes = |lane: &Lane| lane.spans.iter().map(|span| span.class).collect::<Vec<_>>();
    assert_eq!(classes(stock), ["good", "good"]);
    assert_eq!(classes(pay), ["good", "warn"]);
    assert_eq!(stock.done.as_ref().map(|done| done.0), Some(at(2)));
    assert!(stock.ticks.is_empty() && stock.next.is_none());
    let ticks: Vec<_> = pay.ticks.iter().map(|tick| (tick.class, tick.at)).collect();
    assert_eq!(ticks, [("faulty", at(3)), ("refused", at(4)), ("silent", at(5))]);
    assert_eq!(pay.next.as_ref().map(|next| next.0), Some(at(20)));
}

#[test]
fn what_waits_behind_a_breaker_is_seen_to() {
    let away = BTreeSet::from(["pay:80".to_owned()]);
    let drawn = Timeline::of(&view("confirming", None), &[failed(3, "timeout")], &away, at(10));
    let held = drawn.lanes[1].spans.iter().find(|span| span.class == "held").expect("it waits");
    assert_eq!((held.from, held.to), (at(3), at(10)));
    assert!(drawn.lanes[0].spans.iter().all(|span| span.class != "held"), "that one is done");
}

#[test]
fn what_a_participant_has_said_is_no_markup() {
    let said = failed(3, "answered 500: <script>alert(1)</script>\u{202e}\"");
    let drawn = Timeline::of(&view("confirming", None), &[said], &nobody(), at(10)).to_string();
    assert!(!drawn.contains("<script>"), "{drawn}");
    assert!(drawn.contains("&#60;script&#62;"), "{drawn}");
    assert!(!drawn.contains('\u{202e}'), "{drawn}");
}
