//! The steps of a trip as processes, called as the coordinator calls them, and the agency that is asked.

use serde_json::{Value, json};

use crate::service::{LIFE, Service, code};

#[test]
fn a_booking_says_its_fare_and_is_released() {
    let dir = tempfile::tempdir().expect("a directory");
    let flight = Service::start("flight", &dir.path().join("flight.db"), &[]);
    let alice = json!({"traveller": "alice"});
    for repeat in 0..2 {
        let answer = flight.call("flight", "try", "g1", &alice);
        assert_eq!(answer, Some((200, json!({"fare": 12_000}))), "{repeat}");
    }
    assert_eq!(flight.call("flight", "try", "g2", &alice).expect("an answer").0, 200);
    assert_eq!(code(flight.call("flight", "cancel", "g2", &alice)), "200 cancelled");
    assert_eq!(code(flight.call("flight", "cancel", "g3", &alice)), "200 cancelled");
    let booking = |trip, status| json!({"trip": trip, "traveller": "alice", "status": status});
    let bookings = json!([booking("g1", "booked"), booking("g2", "released")]);
    assert_eq!(flight.read("/flights"), bookings);
}

#[test]
fn what_was_booked_is_charged_once_and_never_on_credit() {
    let dir = tempfile::tempdir().expect("a directory");
    let payment = Service::start("payment", &dir.path().join("payment.db"), &[]);
    let charge = |gid: &str, account: &str, results: Value| {
        let body = json!({"payload": {"account": account}, "results": results});
        let headers =
            format!("tercet-instance: {LIFE}\r\ntercet-legs: try\r\ntercet-results: true\r\n");
        code(payment.call_with("payment/charge", "try", gid, &body, &headers))
    };
    let both = json!({"flight": {"fare": 12_000}, "hotel": {"fare": 9_000}});
    for _ in 0..2 {
        assert_eq!(charge("g1", "alice", both.clone()), "200 tried");
    }
    assert_eq!(charge("g2", "bob", both), "409 insufficient-funds");
    let half = json!({"flight": {"fare": 12_000}});
    assert_eq!(charge("g3", "alice", half), "409 result-missing");
    let accounts = payment.read("/accounts");
    let alice = json!({"account": "alice", "balance": 79_000, "frozen": 0});
    let bob = json!({"account": "bob", "balance": 1_000, "frozen": 0});
    assert_eq!((&accounts[0], &accounts[1]), (&alice, &bob));
}

#[test]
fn a_mail_goes_out_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mail = Service::start("mail", &dir.path().join("mail.db"), &[]);
    let headers = format!("tercet-instance: {LIFE}\r\ntercet-legs: confirm\r\n");
    for _ in 0..2 {
        let answer = mail.call_with("mail", "confirm", "g1", &json!({"to": "alice"}), &headers);
        assert_eq!(code(answer), "200 confirmed");
    }
    assert_eq!(mail.read("/mails"), json!([{"trip": "g1", "to": "alice"}]));
}

#[test]
fn an_agency_that_did_nothing_says_never_and_says_it_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let nobody = ["--coordinator", "http://127.0.0.1:9", "--mail", "http://127.0.0.1:9/mail"];
    let agency = Service::start("agency", &dir.path().join("agency.db"), &nobody);
    for _ in 0..2 {
        let question = "tercet-gid: g1\r\ntercet-op: check\r\n";
        assert_eq!(code(agency.request("POST", "/check", question, "{}")), "410 never");
    }
    assert_eq!(agency.read("/trips"), json!([]));
}
