//! Connections are kept, closed and given up.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tercet_wire::Mono;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::super::connect::Connector;
use super::super::connections::{Connection, Connections};
use super::{DispatcherSettings, soon};
use tercet_testing::{Arrival, RawParticipant};

const KEPT_FOR: Duration = Duration::from_secs(4);

fn connections(kept_for: Duration) -> Connections {
    let connector = Connector::new(&DispatcherSettings::built_in()).expect("a client");
    Connections::new(connector, kept_for)
}

fn url(participant: &RawParticipant) -> Url {
    participant.url("/payment").parse().expect("a URL")
}

fn request() -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from_static(b"{}"));
    Request::post("/payment").header("host", "h").body(body).expect("a request")
}

/// Sends a request, lets the participant do with it what it likes, and keeps the connection.
async fn http_call<T>(
    connections: &Connections,
    participant: &mut RawParticipant,
    now: Mono,
    answer: impl AsyncFnOnce(Arrival) -> T,
) -> T {
    let url = url(participant);
    let sending = connections.send(&url, request(), false, now);
    let answering = async { answer(participant.arrival().await).await };
    let (sent, answered) = soon("an answer", async { tokio::join!(sending, answering) }).await;
    let (mut connection, mut response) = sent.expect("an answer");
    while connection.next(response.body_mut()).await.is_some() {}
    connections.keep(&url, connection, now);
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
    let connections = connections(KEPT_FOR);
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
    let connections = connections(KEPT_FOR);
    for (now, expected) in [(0, 1), (3_999, 1), (7_998, 1), (11_998, 2), (11_998, 2)] {
        let used = http_call(&connections, &mut participant, Mono(now), well).await;
        assert_eq!(used, expected, "at {now}");
    }
    // A fresh one stands aside from those that are kept.
    let url = url(&participant);
    let sending = connections.send(&url, request(), true, Mono(11_998));
    let (sent, used) = tokio::join!(sending, async { well(participant.arrival().await).await });
    assert!(sent.is_ok());
    assert_eq!(used, 3);
}

#[tokio::test]
async fn none_is_kept_for_no_time_at_all() {
    let mut participant = RawParticipant::start().await;
    let connections = connections(Duration::ZERO);
    for expected in 1..=3 {
        let used = http_call(&connections, &mut participant, Mono(0), well).await;
        assert_eq!(used, expected);
    }
}

#[tokio::test]
async fn one_that_the_other_side_has_closed_is_not_used() {
    let mut participant = RawParticipant::start().await;
    let connections = connections(KEPT_FOR);
    drop(http_call(&connections, &mut participant, Mono(0), holding).await);
    the_other_side_is_heard().await;
    assert_eq!(http_call(&connections, &mut participant, Mono(0), well).await, 2);
}

#[tokio::test]
async fn what_is_not_used_any_more_is_closed() {
    let mut participant = RawParticipant::start().await;
    let connections = connections(KEPT_FOR);
    http_call(&connections, &mut participant, Mono(0), well).await;
    connections.tidy(Mono(3_999));
    assert_eq!(connections.kept(), 1);
    connections.tidy(Mono(4_000));
    assert_eq!(connections.kept(), 0);
    drop(http_call(&connections, &mut participant, Mono(5_000), holding).await);
    the_other_side_is_heard().await;
    connections.tidy(Mono(5_000));
    assert_eq!(connections.kept(), 0);
}

#[tokio::test]
async fn what_a_closed_connection_has_not_sent_is_given_back() {
    let mut connection = closed().await;
    let failed = soon("a failure", connection.send(request())).await;
    let mut failed = failed.expect_err("there is nobody");
    assert!(failed.take_message().is_some(), "{}", failed.error());
}
