//! No client can take more of the server than it may have.

use std::time::Duration;

use http::Method;
use tercet_testing::{Tercet, soon};

use crate::bodies::begin_open;
use crate::raw::Raw;

const GET: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_ends_its_connection() {
    // Long enough for those who do send a head, however busy the machine is.
    let settings = [("SERVER__HEADER_READ_TIMEOUT_MS", "2000")];
    let tercet = Tercet::start_with(&settings).await;
    let silent = Raw::connect(tercet.address()).await;
    let mut slow = Raw::connect(tercet.address()).await;
    slow.send("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    let mut kept = Raw::connect(tercet.address()).await;
    kept.send(GET).await;
    assert!(kept.answer().await.starts_with("HTTP/1.1 200"));
    for mut connection in [silent, slow, kept] {
        let said = connection.until_closed().await;
        assert!(!said.starts_with("HTTP/1.1 200"), "{said}");
    }
    let mut other = Raw::connect(tercet.address()).await;
    other.send(GET).await;
    assert!(other.answer().await.starts_with("HTTP/1.1 200"), "others are still served");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_refused_and_ends_its_connection() {
    let settings = [("SERVER__BODY_READ_TIMEOUT_MS", "200")];
    let tercet = Tercet::start_with(&settings).await;
    let mut slow = Raw::connect(tercet.address()).await;
    let head = "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/json\r\nContent-Length: 100\r\n\r\n";
    slow.send(head).await;
    slow.send(r#"{"gid":"order-1""#).await;
    let said = slow.until_closed().await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    assert!(said.contains("application/problem+json"), "{said}");
    assert_eq!(tercet.client().get("order-1").await.status, 404);
}

/// Keeps P9.
#[tokio::test]
async fn connections_beyond_the_cap_wait_until_one_ends() {
    // Where probes have a listener of their own; else they would be answered.
    let settings = [("SERVER__MAX_CONNECTIONS", "2"), ("SERVER__ADMIN_LISTEN", "127.0.0.1:0")];
    let tercet = Tercet::start_with(&settings).await;
    let (mut one, mut two) =
        (Raw::connect(tercet.address()).await, Raw::connect(tercet.address()).await);
    for connection in [&mut one, &mut two] {
        connection.send(GET).await;
        assert!(connection.answer().await.starts_with("HTTP/1.1 200"));
    }
    let mut third = Raw::connect(tercet.address()).await;
    third.send(GET).await;
    let early = tokio::time::timeout(Duration::from_millis(150), third.answer()).await;
    assert!(early.is_err(), "answered although there is no room: {early:?}");
    drop(one);
    assert!(third.answer().await.starts_with("HTTP/1.1 200"));
    two.send(GET).await;
    assert!(two.answer().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_request_is_measured_as_a_whole_also_when_it_does_not_say_how_long_it_is() {
    let settings = [("SERVER__MAX_REQUEST_BYTES", "2048")];
    let tercet = Tercet::start_with(&settings).await;
    let client = tercet.client();
    let gid = "order-1";
    let spaces = |bytes: usize| {
        let body = begin_open(gid, &[]);
        let missing = bytes - body.len();
        format!("{body}{}", " ".repeat(missing))
    };
    let large = client.begin("", &spaces(2_049)).await;
    crate::expected::problem(&large, "payload-too-large", None);
    let mut chunked = Raw::connect(tercet.address()).await;
    let head = "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.send(head).await;
    chunked.send(&format!("{:x}\r\n{}\r\n0\r\n\r\n", 2_049, spaces(2_049))).await;
    let said = chunked.until_closed().await;
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    assert_eq!(client.get(gid).await.status, 404);
    assert_eq!(client.begin("", &spaces(2_048)).await.status, 201);
}

#[tokio::test]
async fn a_head_beyond_all_measure_is_refused() {
    let tercet = Tercet::start().await;
    let mut raw = Raw::connect(tercet.address()).await;
    let head = format!(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n",
        "x".repeat(1_000_000)
    );
    // It may be closed before all of it is sent.
    let sending = raw.try_send(&head);
    let _ = soon("the head is sent", sending).await;
    let said = raw.until_closed().await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    assert_eq!(tercet.client().send(Method::GET, "/livez", None).await.status, 200);
}

/// Keeps P9.
#[tokio::test]
async fn large_bodies_wait_for_room_and_small_ones_do_not() {
    let settings =
        [("SERVER__RECEIVING_BYTES", "1048576"), ("SERVER__BODY_READ_TIMEOUT_MS", "30000")];
    let tercet = Tercet::start_with(&settings).await;
    let head = |length: usize| {
        format!(
            "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    // It has its room once it has been read so far, which nobody can tell it from outside: a large
    // one that comes before is answered, and the next one tries.
    let mut unfinished = Raw::connect(tercet.address()).await;
    unfinished.send(&format!("{}{}", head(900_000), " ".repeat(100_000))).await;
    let large = |gid: &str| {
        let body = begin_open(gid, &[]);
        format!("{}{body}{}", head(900_000), " ".repeat(900_000 - body.len()))
    };
    let client = tercet.client();
    let mut tried = 0;
    let sending = loop {
        tried += 1;
        assert!(tried < 50, "large ones do not wait");
        let (gid, mut connection) =
            (format!("large-{tried}"), Raw::connect(tercet.address()).await);
        let request = large(&gid);
        let sending = tokio::spawn(async move {
            // What the daemon does not read yet waits in the system.
            let _ = connection.try_send(&request).await;
            connection.until_closed().await
        });
        // Small ones are served meanwhile.
        for n in 0..20 {
            let begun = client.begin("", &begin_open(&format!("small-{tried}-{n}"), &[])).await;
            assert_eq!(begun.status, 201);
        }
        if client.get(&gid).await.status == 404 {
            break sending;
        }
    };
    drop(unfinished);
    let said = soon("the large one is answered", sending).await.expect("sent");
    assert!(said.starts_with("HTTP/1.1 201"), "{said}");
}
