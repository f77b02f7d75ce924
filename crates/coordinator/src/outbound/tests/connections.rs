//! Connections are kept, closed and given up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tercet_engine::NoAnswer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use url::Url;

use super::super::connections::{CallError, Connection, Connections, Sending};
use super::super::shortage::Shortage;
use super::{Hand, connector};
use tercet_testing::{Arrival, RawParticipant, soon};

const KEPT_FOR: Duration = Duration::from_secs(4);

fn connections(kept_for: Duration) -> (Connections, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    (Connections::new(connector(&clock), kept_for), clock)
}

fn url(participant: &RawParticipant) -> Url {
    participant.url("/payment").parse().expect("a URL")
}

fn request() -> Result<Request<Full<Bytes>>, Infallible> {
    let body = Full::new(Bytes::from_static(b"{}"));
    Ok(Request::post("/payment").header("host", "h").body(body).expect("a request"))
}

/// Sends a request, lets the participant do with it what it likes, and keeps the connection.
async fn http_call<T>(
    connections: &Connections,
    participant: &mut RawParticipant,
    fresh: bool,
    answer: impl AsyncFnOnce(Arrival) -> T,
) -> T {
    let (url, mut short) = (url(participant), None);
    let sending = connections.send(&url, request, Sending { fresh, short: &mut short });
    let answering = async { answer(participant.arrival().await).await };
    let (sent, answered) = soon("an answer", async { tokio::join!(sending, answering) }).await;
    let (mut connection, mut response) = sent.expect("an answer");
    while let Some(Ok(_)) = connection.next(response.body_mut()).await {}
    connections.keep(&url, response.status().as_u16(), connection);
    answered
}

/// Answers, and says by which connection the request came.
async fn well(arrival: Arrival) -> usize {
    let number = arrival.connection;
    arrival.answer("200 OK", b"").await;
    number
}

/// Answers, and keeps hold of the connection: dropped, it is closed.
async fn holding(mut arrival: Arrival) -> Arrival {
    arrival.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it is taken");
    arrival
}

/// A connection whose other side has closed it, and this one has been told so.
async fn closed() -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (connections, _) = connections(KEPT_FOR);
    let url = url.parse().expect("a URL");
    let (connection, accepted) = tokio::join!(connections.connect(&url), listener.accept());
    drop(accepted.expect("a connection"));
    the_other_side_is_heard().await;
    connection.expect("a connection")
}

/// What was sent before this is known after it: the runtime has looked at its sockets.
async fn the_other_side_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    drop(accepted.expect("a connection"));
    let end = stream.expect("a connection").read(&mut [0]).await;
    assert_eq!(end.expect("an end"), 0);
}

#[tokio::test]
async fn the_connection_kept_last_is_used_next_for_as_long_as_it_is_kept() {
    let mut participant = RawParticipant::start().await;
    let (connections, clock) = connections(KEPT_FOR);
    for (after, expected) in [(0, 1), (3_999, 1), (3_999, 1), (4_000, 2), (0, 2)] {
        clock.forward(after);
        let used = http_call(&connections, &mut participant, false, well).await;
        assert_eq!(used, expected, "after {after}");
    }
    // A fresh one stands aside from those that are kept, and is kept itself.
    assert_eq!(http_call(&connections, &mut participant, true, well).await, 3);
    assert_eq!(http_call(&connections, &mut participant, false, well).await, 3);
}

#[tokio::test]
async fn none_is_kept_for_no_time_at_all() {
    let mut participant = RawParticipant::start().await;
    let (connections, _) = connections(Duration::ZERO);
    for expected in 1..=3 {
        let used = http_call(&connections, &mut participant, false, well).await;
        assert_eq!(used, expected);
    }
}

/// Keeps P6.
#[tokio::test]
async fn none_is_kept_after_an_answer_of_a_proxy_without_its_server() {
    let mut participant = RawParticipant::start().await;
    let (connections, _) = connections(KEPT_FOR);
    let statuses = ["500 Oops", "502 Bad Gateway", "503 Down", "504 Gateway Timeout", "200 OK"];
    for (status, expected) in statuses.into_iter().zip([1, 1, 2, 3, 4]) {
        let used = http_call(&connections, &mut participant, false, async |arrival: Arrival| {
            let used = arrival.connection;
            arrival.answer(status, b"").await;
            used
        });
        assert_eq!(used.await, expected, "{status}");
    }
}

#[tokio::test]
async fn one_that_the_other_side_has_closed_is_not_used() {
    let mut participant = RawParticipant::start().await;
    let (connections, _) = connections(KEPT_FOR);
    drop(http_call(&connections, &mut participant, false, holding).await);
    the_other_side_is_heard().await;
    assert_eq!(http_call(&connections, &mut participant, false, well).await, 2);
}

/// Keeps P6.
#[tokio::test]
async fn a_call_that_a_kept_connection_s_server_did_not_hear_is_sent_again() {
    let mut participant = RawParticipant::start().await;
    let (connections, _) = connections(KEPT_FOR);
    for abrupt in [false, true] {
        http_call(&connections, &mut participant, true, well).await;
        let (url, mut short) = (url(&participant), None);
        let how = Sending { fresh: false, short: &mut short };
        let sending = connections.send(&url, request, how);
        let answering = async {
            // The server closes what it has just read, as one that was about to do so anyway.
            let unheard = participant.arrival().await;
            let number = unheard.connection;
            if abrupt {
                unheard.reset();
            } else {
                drop(unheard);
            }
            let again = participant.arrival().await;
            assert_ne!(again.connection, number, "by a fresh one");
            again.answer("200 OK", b"").await;
        };
        let (sent, ()) = soon("an answer", async { tokio::join!(sending, answering) }).await;
        assert!(sent.is_ok(), "{:?}", sent.err());
    }
}

#[tokio::test]
async fn a_call_that_was_heard_or_had_a_fresh_connection_is_not_sent_again() {
    let mut participant = RawParticipant::start().await;
    let (connections, _) = connections(KEPT_FOR);
    for said in ["", "H"] {
        http_call(&connections, &mut participant, true, well).await;
        // The fresh one was new to it; the kept one has begun to answer.
        let fresh = said.is_empty();
        let (url, mut short) = (url(&participant), None);
        let sending = connections.send(&url, request, Sending { fresh, short: &mut short });
        let answering = async {
            let mut arrival = participant.arrival().await;
            arrival.write(said).await.expect("it is taken");
            drop(arrival);
        };
        let (sent, ()) = soon("a failure", async { tokio::join!(sending, answering) }).await;
        assert!(matches!(sent, Err(CallError::Answer(_))), "{said:?}");
        assert!(participant.nothing_arrived(), "{said:?}");
    }
}

/// Keeps P6.
#[tokio::test]
async fn after_a_silent_call_the_next_attempt_goes_by_a_fresh_connection() {
    let mut participant = RawParticipant::start().await;
    let (connections, clock) = connections(KEPT_FOR);
    http_call(&connections, &mut participant, false, well).await;
    http_call(&connections, &mut participant, true, well).await;
    assert_eq!(connections.kept_now(), 2);
    let url = url(&participant);
    assert!(!connections.wants_fresh(&url, 2));
    let since = clock.forward(500);
    clock.forward(500);
    connections.troubled(&url, NoAnswer::Silent { since });
    assert!(connections.wants_fresh(&url, 2) && !connections.wants_fresh(&url, 1));
    assert_eq!(http_call(&connections, &mut participant, false, well).await, 3, "all were old");
    connections.forget(participant.url("").as_str());
    assert_eq!(connections.kept_now(), 0);
}

/// Keeps P6.
#[tokio::test]
async fn too_many_look_ups_close_nobody_s_connection() {
    let mut participant = RawParticipant::start().await;
    let clock = Arc::new(Hand::default());
    let connector = connector(&clock);
    let connections = Connections::new(connector.clone(), KEPT_FOR);
    http_call(&connections, &mut participant, false, well).await;
    connector.exhaust_look_ups();
    let (unknown, mut short) = ("http://unknown.test/".parse().expect("a URL"), None);
    let how = Sending { fresh: false, short: &mut short };
    let sending = connections.send(&unknown, request, how);
    let patience = Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, sending).await.is_err(), "it waits");
    assert_eq!(short, Some(Shortage::LookUps));
    assert_eq!(http_call(&connections, &mut participant, false, well).await, 1, "the one it kept");
}

#[tokio::test]
async fn what_is_not_used_any_more_is_closed() {
    let mut participant = RawParticipant::start().await;
    let (connections, clock) = connections(KEPT_FOR);
    http_call(&connections, &mut participant, false, well).await;
    clock.forward(3_999);
    connections.tidy();
    assert_eq!(connections.kept_now(), 1);
    clock.forward(1);
    connections.tidy();
    assert_eq!(connections.kept_now(), 0);
    drop(http_call(&connections, &mut participant, false, holding).await);
    the_other_side_is_heard().await;
    connections.tidy();
    assert_eq!(connections.kept_now(), 0);
}

#[tokio::test]
async fn what_a_closed_connection_has_not_sent_is_given_back() {
    let mut connection = closed().await;
    let Ok(request) = request();
    let failed = soon("a failure", connection.send(request)).await;
    let mut failed = failed.expect_err("there is nobody");
    assert!(failed.take_message().is_some(), "{}", failed.error());
}

/// A small server's queue of connections is full: what asks for another is dropped without a word, and asked again after a
/// second, twice as long, and so on.
#[tokio::test]
async fn a_call_that_connects_for_long_takes_a_connection_that_becomes_free() {
    let (connections, _) = connections(KEPT_FOR);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let url: Url = format!("http://{address}/payment").parse().expect("a URL");
    let (connection, accepted) = tokio::join!(connections.connect(&url), listener.accept());
    let (mut served, _) = accepted.expect("a connection");
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(KEPT_FOR / 8, TcpStream::connect(address)).await {
        queued.push(connected);
        assert!(queued.len() < 100, "the queue has no end");
    }
    let mut short = None;
    let sending = connections.send(&url, request, Sending { fresh: false, short: &mut short });
    let free = async {
        // It has been at it for long by then.
        sleep(KEPT_FOR / 8).await;
        connections.keep(&url, 200, connection.expect("a connection"));
        let mut asked = [0; 4];
        served.read_exact(&mut asked).await.expect("a request");
        served.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("taken");
        asked
    };
    let (sent, asked) = soon("an answer", async { tokio::join!(sending, free) }).await;
    assert_eq!((sent.map(|_| ()).is_ok(), &asked), (true, b"POST"));
}
