//! The server itself, over real connections on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use tercet_engine::ReplyKind;
use tercet_wire::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::face::{Face, transaction};
use crate::http::{Admits, Entrance, ServerSettings, serve};

pub(super) const SETTINGS: ServerSettings = ServerSettings {
    admits: Admits::Everybody,
    max_connections: 8,
    header_read_timeout: Duration::from_secs(30),
    write_timeout: Duration::from_secs(30),
    grace: Duration::from_secs(30),
};

pub(super) struct Served {
    pub(super) address: SocketAddr,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) server: JoinHandle<()>,
}

pub(super) async fn served(face: &Face, settings: ServerSettings) -> Served {
    let entrance = Entrance::closed(&face.readiness);
    entrance.open(face.router.clone());
    served_by(entrance, settings).await
}

pub(super) async fn served_by(entrance: Entrance, settings: ServerSettings) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel();
    let server = serve(listener, entrance, settings, async {
        // A test that drops its end stops the server too.
        let _ = stopped.await;
        Duration::MAX
    });
    Served { address, stop, server: tokio::spawn(server) }
}

pub(super) async fn sent(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

/// All that comes until the other side closes.
pub(super) async fn all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let read = tokio::time::timeout(Duration::from_secs(120), read).await.expect("an end");
    // A reset is an end too.
    let _ = read;
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) const GET: &str = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Keeps P9.
#[tokio::test]
async fn a_connection_that_never_ends_its_headers_is_closed() {
    let face = Face::gone().await;
    // Long enough for those who do send their headers, however busy the machine is.
    let header_read_timeout = Duration::from_secs(1);
    let served = served(&face, ServerSettings { header_read_timeout, ..SETTINGS }).await;
    let slow = sent(served.address, "GET /livez HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
    let answer = all(slow).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    let answer = all(sent(served.address, GET).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

/// Keeps P9.
#[tokio::test]
async fn a_client_that_does_not_read_its_answers_loses_its_connection() {
    let face = Face::gone().await;
    let write_timeout = Duration::from_millis(500);
    let settings = ServerSettings { write_timeout, max_connections: 1, ..SETTINGS };
    let served = served(&face, settings).await;
    let mut deaf = TcpStream::connect(served.address).await.expect("a connection");
    // Pipelined, until neither side's buffers take any more; then the connection ends.
    let asks = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    let asking = async { while deaf.write_all(asks.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(120), asking).await.expect("it is closed");
    // Its place is free again.
    assert!(all(sent(served.address, GET).await).await.contains("200 OK"));
}

/// Keeps P9.
#[tokio::test]
async fn connections_beyond_the_cap_wait_until_one_ends() {
    let face = Face::gone().await;
    let served = served(&face, ServerSettings { max_connections: 1, ..SETTINGS }).await;
    let mut first = sent(served.address, "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.expect("the first is served");
    let mut second = sent(served.address, GET).await;
    let waits = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(waits.is_err(), "the second was served beside the first");
    drop(first);
    assert!(all(second).await.contains("200 OK"));
}

#[tokio::test]
async fn a_client_that_sends_too_much_is_heard_out_and_told_so() {
    let face = Face::gone().await;
    let served = served(&face, SETTINGS).await;
    let head = "POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 30000\r\n\r\n";
    let beyond_the_limit = " ".repeat(5_000);
    let mut stream = sent(served.address, &format!("{head}{beyond_the_limit}")).await;
    let mut byte = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(30), stream.read(&mut byte)).await;
    assert!(early.is_err(), "an answer now would meet a client that is still sending");
    stream.write_all(" ".repeat(25_000).as_bytes()).await.expect("the server still listens");
    let answer = all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_server_was_told_to_stop() {
    let (face, mut lanes) = Face::unattended().await;
    let mut served = served(&face, SETTINGS).await;
    let read = "GET /v1/transactions/order-1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let waiting = sent(served.address, read).await;
    let asked = lanes.requests.recv().await.expect("it was asked");
    let idle = sent(served.address, "").await;

    served.stop.send(()).expect("the server runs");
    assert_eq!(all(idle).await, "", "a connection with no request is closed at once");
    let early = tokio::time::timeout(Duration::from_millis(30), &mut served.server).await;
    assert!(early.is_err(), "the server ended before it had answered");
    asked.reply.send(transaction(ReplyKind::Reached, Status::Confirmed)).expect("somebody waits");
    let answer = all(waiting).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    served.server.await.expect("the server ends by itself");
    TcpStream::connect(served.address).await.expect_err("nobody listens any more");
}

#[tokio::test]
async fn what_is_not_answered_within_the_grace_is_not_waited_for() {
    let (face, mut lanes) = Face::unattended().await;
    let grace = Duration::from_millis(50);
    let served = served(&face, ServerSettings { grace, ..SETTINGS }).await;
    let read = "GET /v1/transactions/order-1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let waiting = sent(served.address, read).await;
    let _never_answered = lanes.requests.recv().await.expect("it was asked");
    served.stop.send(()).expect("the server runs");
    assert_eq!(all(waiting).await, "");
    served.server.await.expect("the server ends all the same");
}
