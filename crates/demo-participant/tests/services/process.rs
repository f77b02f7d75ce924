//! The services as processes, called over HTTP as the coordinator calls them.

use std::process::Command;

use serde_json::json;

use crate::service::{Service, code};

#[test]
fn stock_is_reserved_then_sold_or_released_and_never_below_zero() {
    let dir = tempfile::tempdir().expect("a directory");
    let inventory = Service::start("inventory", &dir.path().join("inventory.db"), &[]);
    let two = json!({"sku": "A1", "quantity": 2});
    let stock = || inventory.read("/stock")[0].clone();
    let expected =
        |available, reserved| json!({"sku": "A1", "available": available, "reserved": reserved});

    assert_eq!(stock(), expected(10, 0));
    assert_eq!(code(inventory.call("inventory", "try", "g1", &two)), "200 tried");
    assert_eq!(code(inventory.call("inventory", "try", "g2", &two)), "200 tried");
    assert_eq!(stock(), expected(6, 4));
    assert_eq!(code(inventory.call("inventory", "confirm", "g1", &two)), "200 confirmed");
    assert_eq!(code(inventory.call("inventory", "cancel", "g2", &two)), "200 cancelled");
    assert_eq!(stock(), expected(8, 0));

    let nine = json!({"sku": "A1", "quantity": 9});
    let (status, refusal) = inventory.call("inventory", "try", "g3", &nine).expect("an answer");
    assert_eq!((status, &refusal["code"]), (409, &json!("out-of-stock")));
    assert_eq!(refusal["detail"], "9 of A1 wanted, 8 available");
    let unknown = json!({"sku": "Z9", "quantity": 1});
    assert_eq!(code(inventory.call("inventory", "try", "g4", &unknown)), "409 unknown-sku");
    let nothing = json!({"sku": "A1", "quantity": 0});
    assert_eq!(code(inventory.call("inventory", "try", "g5", &nothing)), "400 invalid-payload");
    assert_eq!(stock(), expected(8, 0));
}

#[test]
fn money_is_frozen_then_paid_or_thawed() {
    let dir = tempfile::tempdir().expect("a directory");
    let payment = Service::start("payment", &dir.path().join("payment.db"), &[]);
    let debit = json!({"account": "bob", "amount": 600});
    let bob = || payment.read("/accounts")[1].clone();
    let expected =
        |balance, frozen| json!({"account": "bob", "balance": balance, "frozen": frozen});

    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "200 tried");
    assert_eq!(bob(), expected(400, 600));
    assert_eq!(code(payment.call("payment", "try", "g2", &debit)), "409 insufficient-funds");
    assert_eq!(code(payment.call("payment", "cancel", "g1", &debit)), "200 cancelled");
    assert_eq!(bob(), expected(1_000, 0));
    assert_eq!(code(payment.call("payment", "try", "g3", &debit)), "200 tried");
    assert_eq!(code(payment.call("payment", "confirm", "g3", &debit)), "200 confirmed");
    assert_eq!(bob(), expected(400, 0));
    let nobody = json!({"account": "nobody", "amount": 1});
    assert_eq!(code(payment.call("payment", "try", "g4", &nobody)), "409 unknown-account");
}

#[test]
fn an_order_is_pending_then_placed_or_void() {
    let dir = tempfile::tempdir().expect("a directory");
    let order = Service::start("order", &dir.path().join("order.db"), &[]);
    let new = |number| json!({"order": number, "account": "alice", "sku": "A1", "quantity": 2});
    let statuses = || {
        let orders = order.read("/orders");
        let orders = orders.as_array().expect("a list").clone();
        orders.iter().map(|order| order["status"].clone()).collect::<Vec<_>>()
    };

    assert_eq!(code(order.call("order", "try", "g1", &new("1"))), "200 tried");
    assert_eq!(code(order.call("order", "try", "g2", &new("2"))), "200 tried");
    assert_eq!(code(order.call("order", "try", "g3", &new("2"))), "409 order-exists");
    assert_eq!(statuses(), ["pending", "pending"]);
    assert_eq!(code(order.call("order", "confirm", "g1", &new("1"))), "200 confirmed");
    assert_eq!(code(order.call("order", "cancel", "g2", &new("2"))), "200 cancelled");
    assert_eq!(code(order.call("order", "cancel", "g3", &new("2"))), "200 cancelled");
    assert_eq!(statuses(), ["placed", "void"]);
    assert_eq!(order.read("/orders")[0]["version"], 2, "one change after it was made");
}

#[test]
fn a_seat_is_free_then_held_then_booked_and_never_below_zero() {
    let dir = tempfile::tempdir().expect("a directory");
    // Nobody is called here: these are the seats alone.
    let nobody = ["--coordinator", "http://127.0.0.1:9", "--payment", "http://127.0.0.1:9/payment"];
    let ride = Service::start("ride", &dir.path().join("ride.db"), &nobody);
    let seat = json!({"ride": "airport"});
    let seats = || {
        let ride = ride.read("/rides")[0].clone();
        ["free", "held", "booked"].map(|column| ride[column].as_i64().expect("a number"))
    };

    assert_eq!(seats(), [4, 0, 0]);
    for gid in ["g1", "g2", "g3", "g4"] {
        assert_eq!(code(ride.call("ride", "try", gid, &seat)), "200 tried");
    }
    assert_eq!(code(ride.call("ride", "try", "g5", &seat)), "409 no-seat");
    assert_eq!(seats(), [0, 4, 0]);
    assert_eq!(code(ride.call("ride", "confirm", "g1", &seat)), "200 confirmed");
    assert_eq!(code(ride.call("ride", "cancel", "g2", &seat)), "200 cancelled");
    assert_eq!(seats(), [1, 2, 1]);
    let nowhere = json!({"ride": "nowhere"});
    assert_eq!(code(ride.call("ride", "try", "g6", &nowhere)), "409 unknown-ride");
    assert_eq!(seats(), [1, 2, 1]);
    let passenger = json!({"booking": "1", "account": "alice"}).to_string();
    let booked = ride.request("POST", "/rides/nowhere/book", "", &passenger);
    assert_eq!(code(booked), "404 unknown-ride");
}

#[test]
fn without_the_guard_repeats_are_run_again_and_with_it_they_are_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let debit = json!({"account": "alice", "amount": 100});
    for (more, file, frozen, answer) in [
        (&[][..], "with.db", 100, "200 tried"),
        (&["--without-guard"][..], "without.db", 200, "200 "),
    ] {
        let payment = Service::start("payment", &dir.path().join(file), more);
        for _ in 0..2 {
            assert_eq!(code(payment.call("payment", "try", "g1", &debit)), answer);
        }
        assert_eq!(payment.read("/accounts")[0]["frozen"], frozen, "{more:?}");
        let too_much = json!({"account": "bob", "amount": 5_000});
        let refused = payment.call("payment", "try", "g2", &too_much);
        assert_eq!(code(refused), "409 insufficient-funds", "a refusal is one either way");
    }
}

#[test]
fn mischief_is_done_as_told_and_only_then() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("payment.db");
    let mut payment = Service::start("payment", &file, &["--mischief", r#"{"fail_first":2}"#]);
    let debit = json!({"account": "alice", "amount": 100});
    let alice = |payment: &Service| payment.read("/accounts")[0]["frozen"].clone();

    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "503 mischief");
    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "503 mischief");
    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "200 tried");
    payment.mischief(&json!({"refuse": true}));
    assert_eq!(code(payment.call("payment", "try", "g2", &debit)), "409 mischief");
    assert_eq!(code(payment.call("payment", "try", "g1", &debit)), "409 mischief");

    payment.mischief(&json!({"slow_ms": {"confirm": 1, "cancel": 600_000}}));
    assert_eq!(code(payment.call("payment", "confirm", "g1", &debit)), "200 confirmed");

    payment.mischief(&json!({"die_at": "confirm"}));
    assert_eq!(code(payment.call("payment", "try", "g2", &debit)), "200 tried");
    assert_eq!(payment.call("payment", "confirm", "g2", &debit), None, "it died");
    assert_eq!(payment.ended().code(), Some(86));

    let payment = Service::start("payment", &file, &[]);
    assert_eq!(alice(&payment), 100, "it died before it did anything, and lost nothing");
    assert_eq!(code(payment.call("payment", "confirm", "g2", &debit)), "200 confirmed");
    assert_eq!(alice(&payment), 0);
}

#[test]
fn a_service_that_is_asked_to_stop_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut order = Service::start("order", &dir.path().join("a file with spaces & %.db"), &[]);
    let pid = order.process.id().to_string();
    let killed = Command::new("kill").arg(pid).status().expect("kill runs");
    assert!(killed.success());
    assert!(order.ended().success());
}
