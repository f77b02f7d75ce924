//! What clients do beside asking: they half-close, are gone, and send what is no HTTP.

use std::time::Duration;

use tercet_engine::ReplyKind;
use tercet_wire::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connections::{SETTINGS, all, sent, served};
use super::face::{Face, transaction};

/// What comes, or does not: then the test fails instead of waiting for ever.
async fn soon<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), event).await.expect("it comes")
}

const READ: &str = "GET /v1/transactions/order-1 HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer_whole() {
    let (face, mut lanes) = Face::unattended().await;
    let served = served(&face, SETTINGS).await;
    for request in [READ, &READ.replace("1.1", "1.0")] {
        let mut client = sent(served.address, request).await;
        client.shutdown().await.expect("half-closed");
        let asked = soon(lanes.requests.recv()).await.expect("it was asked");
        // The first letter says that the server has noticed, and whether anybody is there.
        let mut first = [0];
        soon(client.read_exact(&mut first)).await.expect("the first letter");
        assert_eq!(&first, b"H");
        asked.reply.send(transaction(ReplyKind::Reached, Status::Confirmed)).expect("it waits");
        let answer = format!("H{}", all(client).await);
        assert!(answer.starts_with(&format!("{} 200 OK\r\n", &request[29..37])), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    }
}

/// Keeps P9.
#[tokio::test]
async fn nobody_waits_in_the_engine_for_a_client_that_is_gone() {
    let (face, mut lanes) = Face::unattended().await;
    let served = served(&face, SETTINGS).await;
    let client = sent(served.address, READ).await;
    let mut asked = soon(lanes.requests.recv()).await.expect("it was asked");
    drop(client);
    soon(asked.reply.closed()).await;
    let hung_up = soon(lanes.hung_up.recv()).await.expect("the engine is told");
    assert_eq!((hung_up.gid, hung_up.reply_to), (asked.gid, asked.reply_to));
    // Who gets their answer has not hung up.
    let client = sent(served.address, READ).await;
    let asked = soon(lanes.requests.recv()).await.expect("it was asked");
    asked.reply.send(transaction(ReplyKind::Reached, Status::Confirmed)).expect("it waits");
    drop(client);
    drop(served);
    assert!(lanes.hung_up.try_recv().is_err());
}

#[tokio::test]
async fn a_client_that_sends_on_while_it_waits_is_still_there() {
    let (face, mut lanes) = Face::unattended().await;
    let served = served(&face, SETTINGS).await;
    let mut client = sent(served.address, READ).await;
    let first = soon(lanes.requests.recv()).await.expect("it was asked");
    client.write_all(READ.as_bytes()).await.expect("pipelined");
    client.shutdown().await.expect("half-closed");
    let mut letter = [0];
    soon(client.read_exact(&mut letter)).await.expect("the first letter");
    first.reply.send(transaction(ReplyKind::Reached, Status::Trying)).expect("it waits");
    let second = soon(lanes.requests.recv()).await.expect("it was asked, too");
    second.reply.send(transaction(ReplyKind::Reached, Status::Confirmed)).expect("it waits");
    let answers = all(client).await;
    let heads: Vec<_> = answers.match_indices("TTP/1.1 200 OK").collect();
    assert_eq!(heads.len(), 2, "{answers}");
    assert!(answers.find("\"trying\"") < answers.find("\"confirmed\""), "{answers}");
}

#[tokio::test]
async fn what_is_no_http_is_answered_by_a_problem() {
    let face = Face::gone().await;
    let served = served(&face, SETTINGS).await;
    let many = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: 1\r\n".repeat(100));
    let long =
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "l".repeat(70_000));
    for (request, status, code, what) in [
        (
            "GET /livez HTTP/1.1\r\nhost: localhost\r\nx: a\r\n b\r\n\r\n",
            400,
            "invalid-request",
            "head: ",
        ),
        ("GET /livez HTTP/1.1\r\nhost : t\r\n\r\n", 400, "invalid-request", "head: "),
        ("GET /livez HTTP/9.9\r\nhost: localhost\r\n\r\n", 400, "invalid-request", "head: "),
        ("G<T /livez HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, "invalid-request", "head: "),
        (
            "POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
            400,
            "invalid-request",
            "head: ",
        ),
        (&many, 431, "headers-too-large", "more than 100 header lines"),
        (&long, 431, "headers-too-large", "more than 65536 bytes"),
        ("GET /livez HTTP/1.1\r\n\r\n", 400, "invalid-request", "Host: is missing"),
        (
            "GET /livez HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
            400,
            "invalid-request",
            "Host: is given",
        ),
        ("GET /livez HTTP/1.1\r\nhost: a b\r\n\r\n", 400, "invalid-request", "Host: must be"),
    ] {
        let mut client = sent(served.address, request).await;
        client.shutdown().await.expect("half-closed");
        let answer = all(client).await;
        let (head, body) =
            answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{code}: {answer}"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{code}, {what}: {head}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        let problem: serde_json::Value = serde_json::from_str(body).expect("a whole problem");
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(what)), "{body}");
    }
}

/// Keeps P9.
#[tokio::test]
async fn who_asks_before_sending_too_much_is_told_before_sending_it() {
    let face = Face::gone().await;
    let served = served(&face, SETTINGS).await;
    for (more, status) in [
        ("content-type: application/json\r\ncontent-length: 30000\r\n", 413),
        ("content-type: text/csv\r\ncontent-length: 30\r\n", 415),
        ("content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 30\r\n", 415),
    ] {
        let head = format!(
            "POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n{more}\r\n"
        );
        let answer = all(sent(served.address, &head).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
