//! What a client with a key may rely on, wherever keys are kept.

use axum::http::{HeaderName, Request};
use tercet_participant::{Idempotency, KeyPolicy};
use tokio::task::JoinSet;

use crate::shop::{Answer, Home, Shop};

pub(crate) async fn a_repeat_is_told_the_first_answer(home: &Home) {
    let shop = Shop::open(home).await;
    let first = shop.order("k1", "one").await;
    assert_eq!(first.words(), "201");
    assert_eq!(first.cookie.as_deref(), Some("c=1"));
    assert_eq!(first.body, "one under k1: \u{fc}\0");
    // Quoted or bare, it is the same key; a cookie was for the first alone.
    let again = shop.order("\"k1\"", "one").await;
    assert_eq!(again, Answer { cookie: None, replayed: true, ..first });
    assert_eq!(shop.placed(), 1);

    assert_eq!(shop.order("k2", "refuse").await.words(), "409");
    let refused = shop.order("k2", "refuse").await;
    assert_eq!((refused.words().as_str(), refused.body.as_ref()), ("409 again", &b"sold out"[..]));
    assert_eq!(shop.placed(), 2);
}

pub(crate) async fn a_repeat_that_meets_the_first_still_running_is_told_to_come_again(home: &Home) {
    let shop = Shop::open(home).await;
    let gate = shop.door().gate.clone().write_owned().await;
    let first = tokio::spawn({
        let shop = shop.clone();
        async move { shop.order("k", "one").await.words() }
    });
    shop.door().at_gate.notified().await;
    assert_eq!(shop.order("k", "one").await.words(), "409 come again");
    assert_eq!(shop.order("k", "two").await.words(), "422");
    drop(gate);
    assert_eq!(first.await.expect("no panic"), "201");
    assert_eq!(shop.order("k", "one").await.words(), "201 again");
    assert_eq!(shop.placed(), 1);
}

pub(crate) async fn a_key_stands_for_one_request(home: &Home) {
    let shop = Shop::open(home).await;
    assert_eq!(shop.order("k", "one").await.words(), "201");
    assert_eq!(shop.order("k", "two").await.words(), "422");
    for other in ["/elsewhere", "/orders?twice"] {
        let request = Request::post(other).header("idempotency-key", "k");
        assert_eq!(shop.send(request, "one").await.words(), "422", "{other}");
    }
    assert_eq!(shop.order("k", "one").await.words(), "201 again");
    assert_eq!(shop.placed(), 1);
}

pub(crate) async fn a_patch_is_guarded_as_a_post_is(home: &Home) {
    let shop = Shop::open(home).await;
    let patch = || Request::patch("/orders").header("idempotency-key", "k");
    assert_eq!(shop.send(patch(), "one").await.words(), "201");
    assert_eq!(shop.send(patch(), "one").await.words(), "201 again");
    assert_eq!(shop.order("k", "one").await.words(), "422", "another method is another request");
    assert_eq!(shop.placed(), 1);
}

pub(crate) async fn what_was_not_done_is_run_again(home: &Home) {
    for (body, failed) in [("fail", "503"), ("panic", "500")] {
        let shop = Shop::open(home).await;
        assert_eq!(shop.order(body, body).await.words(), failed);
        assert_eq!(shop.order(body, body).await.words(), "201");
        assert_eq!(shop.order(body, body).await.words(), "201 again");
        assert_eq!(shop.placed(), 2);
    }
}

pub(crate) async fn a_request_needs_a_key_where_one_is_required(home: &Home) {
    let shop = Shop::open(home).await;
    assert_eq!(shop.send(Request::post("/orders"), "one").await.words(), "400");
    for bad in ["", "\"open", "a\"b"] {
        assert_eq!(shop.order(bad, "one").await.words(), "400", "{bad}");
    }
    let twice = Request::post("/orders").header("idempotency-key", "a");
    assert_eq!(shop.send(twice.header("idempotency-key", "b"), "one").await.words(), "400");
    assert_eq!(shop.placed(), 0);

    let optional = Idempotency::new(home.keys().await).policy(KeyPolicy::Optional);
    let shop = Shop::open_with(optional);
    // The handler asks for the key, which is not there.
    assert_eq!(shop.send(Request::post("/orders"), "one").await.words(), "500");
    assert_eq!(shop.order("k", "one").await.words(), "201");
    assert_eq!(shop.order("k", "one").await.words(), "201 again");
}

pub(crate) async fn a_request_goes_on_when_its_client_hangs_up(home: &Home) {
    let shop = Shop::open(home).await;
    let gate = shop.door().gate.clone().write_owned().await;
    let first = tokio::spawn({
        let shop = shop.clone();
        async move { shop.order("k", "one").await }
    });
    shop.door().at_gate.notified().await;
    first.abort();
    assert!(first.await.expect_err("aborted").is_cancelled());
    drop(gate);
    assert_eq!(insist(&shop, "k", "one").await, "201 again");
    assert_eq!(shop.placed(), 1);
}

/// Asks until it is told something else than to come again.
pub(crate) async fn insist(shop: &Shop, key: &str, body: &str) -> String {
    loop {
        let answer = shop.order(key, body).await;
        if answer.retry_after.is_none() {
            return answer.words();
        }
    }
}

/// Keeps P9.
pub(crate) async fn bodies_are_bounded(home: &Home) {
    let shop = Shop::open_with(Idempotency::new(home.keys().await).body_bytes(10, 1000));
    assert_eq!(shop.order("k", "eleven char").await.words(), "413");
    assert_eq!(shop.placed(), 0);
    let long = shop.order("k", "long").await;
    assert_eq!((long.status, long.body.len()), (200, 2000), "given whole, once");
    assert_eq!(shop.order("k", "long").await.words(), "409");
    assert_eq!(shop.placed(), 1);
}

pub(crate) async fn of_many_at_once_one_is_run(home: &Home) {
    let shops = [Shop::open(home).await, Shop::open(home).await];
    for key in 0..20 {
        let mut orders = JoinSet::new();
        for number in 0..10 {
            let shop = shops[number % 2].clone();
            orders.spawn(async move { insist(&shop, &key.to_string(), "one").await });
        }
        let answers = orders.join_all().await;
        let first = answers.iter().filter(|answer| *answer == "201").count();
        let again = answers.iter().filter(|answer| *answer == "201 again").count();
        assert_eq!((first, again), (1, 9), "{answers:?}");
    }
    assert_eq!(shops[0].placed() + shops[1].placed(), 20);
}

pub(crate) async fn clients_that_are_told_apart_may_choose_the_same_key(home: &Home) {
    let client = HeaderName::from_static("x-client");
    let shop = Shop::open_with(Idempotency::new(home.keys().await).separate_by(client));
    for expected in ["201", "201 again"] {
        for client in ["alice", "bob"] {
            let request = Request::post("/orders").header("idempotency-key", "k");
            let answer = shop.send(request.header("x-client", client), client).await;
            assert_eq!(answer.words(), expected, "{client}");
        }
    }
}

pub(crate) async fn other_methods_pass(home: &Home) {
    let shop = Shop::open(home).await;
    for request in [Request::get("/orders"), Request::put("/orders"), Request::put("/orders")] {
        let answer = shop.send(request.header("idempotency-key", "k"), "").await;
        assert_eq!(answer.words(), "200");
    }
    assert_eq!(shop.placed(), 3);
}
