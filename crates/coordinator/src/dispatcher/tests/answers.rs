//! What is made of what participants send back.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::Call;
use tercet_wire::{Answer, Op};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::super::DispatcherSettings;
use super::inbox::Inbox;
use super::{Still, branch, call, call_of, dispatcher, dispatcher_by, dispatcher_with};
use crate::outbound::OutboundSettings;
use tercet_testing::{Arrival, RawParticipant};

/// Long enough to reach a participant on this machine, however busy it is; short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(500);

fn status(code: u16, excerpt: &str) -> Answer {
    Answer::Status { code, retry_after: None, excerpt: excerpt.to_owned() }
}

fn nothing(why: &str) -> Answer {
    Answer::Nothing { why: why.to_owned() }
}

/// A call that is given up after `TIMEOUT`.
fn impatient(participant: &RawParticipant) -> Call {
    let mut branch = branch(&participant.url("/payment"), "{}");
    branch.timeout = TIMEOUT;
    call_of(branch, Op::Confirm, "order-1001")
}

/// The answer to a call that the participant treats like this. What it still holds of
/// the connection is kept until the answer is there.
async fn answer_when<F: Future<Output = Option<Arrival>>>(
    make: impl Fn(&RawParticipant) -> Call,
    treat: impl FnOnce(Arrival) -> F,
) -> Answer {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, make(&participant));
    let held = treat(participant.arrival().await).await;
    let answer = inbox.answer().await;
    drop(held);
    answer
}

fn patient(participant: &RawParticipant) -> Call {
    call(&participant.url("/payment"), "order-1001")
}

#[tokio::test]
async fn the_status_line_and_the_beginning_of_the_body_are_told() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    for (queue, body, code) in [
        ("200 OK", "done", 200),
        ("204 No Content", "", 204),
        ("200 OK", "FAILURE", 200),
        ("409 Conflict", "{\"why\":\"no stock\"}", 409),
        ("500 Internal Server Error", "oops", 500),
        ("999 Whatever", "", 999),
    ] {
        inbox.send(&dispatcher, patient(&participant));
        participant.arrival().await.answer(queue, body.as_bytes()).await;
        assert_eq!(inbox.answer().await, status(code, body));
    }
}

#[tokio::test]
async fn retry_after_is_told_as_seconds_and_as_a_date() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    for (value, expected) in [
        ("2", Some(Duration::from_secs(2))),
        ("Sun, 06 Nov 1994 08:49:42 GMT", Some(Duration::from_secs(5))),
        ("soon", None),
    ] {
        inbox.send(&dispatcher, patient(&participant));
        let queue = format!("503 Service Unavailable\r\nretry-after: {value}");
        participant.arrival().await.answer(&queue, b"").await;
        let told = Answer::Status { code: 503, retry_after: expected, excerpt: String::new() };
        assert_eq!(inbox.answer().await, told);
    }
}

#[tokio::test]
async fn an_early_hint_is_no_answer() {
    let answer = answer_when(patient, |mut arrival| async move {
        arrival.write("HTTP/1.1 103 Early Hints\r\n\r\n").await.expect("taken");
        arrival.answer("200 OK", b"").await;
        None
    });
    assert_eq!(answer.await, status(200, ""));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let mut elsewhere = RawParticipant::start().await;
    for code in [301, 302, 303, 307, 308] {
        let target = elsewhere.url("/elsewhere");
        let answer = answer_when(patient, |arrival| async move {
            arrival.answer(&format!("{code} Moved\r\nlocation: {target}"), b"").await;
            None
        });
        assert_eq!(answer.await, status(code, ""));
    }
    assert!(elsewhere.nothing_arrived());
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    for _ in 0..2 {
        inbox.send(&dispatcher, patient(&participant));
        let arrival = participant.arrival().await;
        assert_eq!(arrival.header("cookie"), None);
        arrival.answer("200 OK\r\nset-cookie: session=1", b"").await;
        inbox.next().await;
    }
}

/// Keeps P9.
#[tokio::test]
async fn a_hundred_megabytes_are_cut_off() {
    const SENT: usize = 100_000_000;
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, patient(&participant));
    let mut arrival = participant.arrival().await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {SENT}\r\n\r\n");
    arrival.write(head).await.expect("the head is taken");
    let mut taken = 0;
    while taken < SENT && arrival.write(&[b'x'; 65_536]).await.is_ok() {
        taken += 65_536;
    }
    // The kernel's buffers take some of it; nobody reads it.
    assert!(taken < SENT / 2, "{taken} bytes were taken");
    assert_eq!(inbox.answer().await, status(200, &"x".repeat(1024)));
}

/// Keeps P9.
#[tokio::test]
async fn a_body_that_trickles_does_not_outlast_the_timeout_and_the_status_counts() {
    // Longer than others wait: the status must be there in time on a busy machine too.
    let unhurried = |participant: &RawParticipant| {
        let mut branch = branch(&participant.url("/payment"), "{}");
        branch.timeout = TIMEOUT * 4;
        call_of(branch, Op::Confirm, "order-1001")
    };
    let answer = answer_when(unhurried, |mut arrival| async move {
        arrival.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx").await.expect("taken");
        Some(arrival)
    });
    assert_eq!(answer.await, status(200, "x"));
}

#[tokio::test]
async fn a_connection_lost_within_the_body_does_not_undo_the_status() {
    let answer = answer_when(patient, |mut arrival| async move {
        arrival.write("HTTP/1.1 409 Conflict\r\ncontent-length: 9\r\n\r\nno").await.expect("taken");
        None
    });
    assert_eq!(answer.await, status(409, "no"));
}

#[tokio::test]
async fn a_status_that_does_not_come_in_time_is_a_timeout() {
    let answer = answer_when(impatient, |arrival| async { Some(arrival) });
    assert_eq!(answer.await, nothing("timeout after 500 ms, the branch's timeout_ms"));
    let answer = answer_when(impatient, |mut arrival| async move {
        arrival.write("HTTP/1.1 200 OK\r\ncontent-le").await.expect("taken");
        Some(arrival)
    });
    assert_eq!(answer.await, nothing("timeout after 500 ms, the branch's timeout_ms"));
}

#[tokio::test]
async fn a_status_must_come_in_the_time_for_the_first_byte_and_the_body_may_take_the_call_s() {
    let settings =
        DispatcherSettings { first_byte_timeout: TIMEOUT, ..DispatcherSettings::built_in() };
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher_with(settings), Inbox::new());
    inbox.send(&dispatcher, patient(&participant));
    let silent = participant.arrival().await;
    assert_eq!(inbox.answer().await, nothing("no first byte after 500 ms"));
    drop(silent);

    inbox.send(&dispatcher, patient(&participant));
    let mut slow = participant.arrival().await;
    slow.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await.expect("taken");
    tokio::time::sleep(TIMEOUT * 2).await;
    slow.write("ok").await.expect("taken");
    assert_eq!(inbox.answer().await, status(200, "ok"));
}

#[tokio::test]
async fn an_answer_after_the_timeout_is_taken_for_no_other_call() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, impatient(&participant));
    let late = participant.arrival().await;
    assert_eq!(inbox.answer().await, nothing("timeout after 500 ms, the branch's timeout_ms"));

    inbox.send(&dispatcher, patient(&participant));
    let second = participant.arrival().await;
    assert_ne!(second.connection, late.connection, "the late answer's connection is given up");
    // It may be refused by now; what matters is that it does not answer the second call.
    let mut late = late;
    let _ = late.write("HTTP/1.1 500 Late\r\ncontent-length: 0\r\n\r\n").await;
    second.answer("200 OK", b"in time").await;
    assert_eq!(inbox.answer().await, status(200, "in time"));
    assert!(inbox.is_empty());
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_told_as_lost() {
    let lost = nothing("connection lost before an answer");
    assert_eq!(answer_when(patient, |_| async { None }).await, lost);
    let answer = answer_when(patient, |mut arrival| async move {
        arrival.write("HTTP/1.1 2").await.expect("taken");
        None
    });
    assert_eq!(answer.await, lost);
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    for garbage in ["\0\0\0 garbage \r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "SSH-2.0-OpenSSH\r\n\r\n"]
    {
        let answer = answer_when(patient, |mut arrival| async move {
            arrival.write(garbage).await.expect("taken");
            Some(arrival)
        });
        assert_eq!(answer.await, nothing("the answer is not HTTP"), "{garbage:?}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_told_in_words() {
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = listener.local_addr().expect("an address");
    drop(listener);
    let refused = inbox.ask(&dispatcher, call(&format!("http://{free}/?token=s3cret"), "a")).await;
    assert_eq!(refused, nothing("connection refused"));

    // A label longer than DNS allows: no resolver needs to be asked to know.
    let host = format!("{}.invalid", "a".repeat(64));
    let unresolved = inbox.ask(&dispatcher, call(&format!("http://{host}/?token=s3cret"), "a"));
    assert_eq!(unresolved.await, nothing("could not resolve host"));
}

#[tokio::test]
async fn an_address_that_swallows_connections_costs_the_time_to_connect_and_not_the_calls() {
    // A listener that accepts nobody: the kernel takes as many as its backlog holds and
    // drops what comes after, as a dead machine would.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("a backlog");
    let address = listener.local_addr().expect("an address");
    let mut taken = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await {
        taken.push(stream);
    }
    let outbound = OutboundSettings { connect_timeout: TIMEOUT, ..OutboundSettings::built_in() };
    let settings = DispatcherSettings::built_in();
    let dispatcher = dispatcher_by(settings, outbound, Arc::new(Still));
    let mut inbox = Inbox::new();
    let answer = inbox.ask(&dispatcher, call(&format!("http://{address}/payment"), "a")).await;
    assert_eq!(answer, nothing("no connection in time"));
}

#[tokio::test]
async fn a_participant_without_tls_is_told_in_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let plain = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, plain).await.expect("taken");
        // Held open: closing with the hello unread would reset the connection.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    let answer = inbox.ask(&dispatcher, call(&format!("https://{address}/payment"), "a")).await;
    let Answer::Nothing { why } = answer else { panic!("{answer:?}") };
    assert!(why.starts_with("TLS failed: "), "{why}");
}

#[tokio::test]
async fn a_connection_is_used_again_after_any_ordinary_answer() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    for (queue, body) in
        [("200 OK", 0), ("500 Oops", 64 * 1024), ("409 Conflict", 10), ("200 OK", 1)]
    {
        inbox.send(&dispatcher, patient(&participant));
        let arrival = participant.arrival().await;
        assert_eq!(arrival.connection, 1);
        arrival.answer(queue, &vec![b'x'; body]).await;
        inbox.next().await;
    }
}
