//! Participants that say more than anybody needs, as fast as they can, or what is written as it
//! was long ago; and a coordinator that lacks what it needs itself.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::Call;
use tercet_wire::{Answer, Op};

use super::super::DispatcherSettings;
use super::inbox::Inbox;
use super::{Outcome, Still, branch, call, call_of, dispatcher, dispatcher_by, soon};
use crate::outbound::OutboundSettings;
use tercet_testing::{Arrival, RawParticipant};

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";

fn patient(participant: &RawParticipant) -> Call {
    call(&participant.url("/payment"), "order-1001")
}

fn impatient(participant: &RawParticipant, timeout: Duration) -> Call {
    let mut branch = branch(&participant.url("/payment"), "{}");
    branch.timeout = timeout;
    call_of(branch, Op::Confirm, "order-1001")
}

/// Says this for as long as anybody listens; how much was taken.
async fn without_end(mut arrival: Arrival, piece: Vec<u8>) -> usize {
    let mut taken = 0;
    while arrival.write(&piece).await.is_ok() {
        taken += piece.len();
    }
    taken
}

async fn answered(head: &str) -> Answer {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, patient(&participant));
    let mut arrival = participant.arrival().await;
    arrival.write(head).await.expect("it is taken");
    let answer = inbox.answer().await;
    drop(arrival);
    answer
}

fn nothing(why: &str) -> Answer {
    Answer::Nothing { why: why.to_owned() }
}

/// Keeps P6, P9.
#[tokio::test]
async fn what_has_no_end_is_cut_off_by_its_size_before_its_time() {
    let too_much = nothing("more than 262144 bytes before an answer");
    let long_line = |name: &str| format!("{name}: {}\r\n", "x".repeat(1_000));
    let endless = [
        HINT.repeat(100),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
        // One head that does not end, in one line and in many that are one.
        "x".repeat(4_096),
        long_line(" folded"),
    ];
    for piece in endless {
        let mut participant = RawParticipant::start().await;
        let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
        inbox.send(&dispatcher, patient(&participant));
        let mut arrival = participant.arrival().await;
        if !piece.starts_with("HTTP") {
            arrival.write("HTTP/1.1 200 OK\r\na: b").await.expect("it is taken");
            if piece.starts_with(' ') {
                arrival.write("\r\n").await.expect("it is taken");
            }
        }
        let saying = tokio::spawn(without_end(arrival, piece.clone().into_bytes()));
        assert_eq!(inbox.answer().await, too_much, "{:?}", &piece[..20]);
        let taken = soon("the end of the connection", saying).await.expect("no panic");
        // The kernel's buffers take some of it.
        assert!(taken < 32 * 1024 * 1024, "{taken} bytes were taken");
    }
}

/// Keeps P6.
#[tokio::test]
async fn interim_answers_one_by_one_do_not_put_off_the_timeout() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, impatient(&participant, Duration::from_millis(300)));
    let mut arrival = participant.arrival().await;
    let saying = tokio::spawn(async move {
        while arrival.write(HINT).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(inbox.answer().await, nothing("timeout after 300 ms, the branch's timeout_ms"));
    soon("the end of the connection", saying).await.expect("no panic");
}

/// Keeps P9.
#[tokio::test]
async fn a_body_in_the_smallest_of_chunks_is_cut_off() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, patient(&participant));
    let mut arrival = participant.arrival().await;
    arrival.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.expect("taken");
    let saying = tokio::spawn(without_end(arrival, b"1\r\nx\r\n".repeat(1_000)));
    let expected = Answer::Status { code: 200, retry_after: None, excerpt: "x".repeat(1_024) };
    assert_eq!(inbox.answer().await, expected, "the status has decided");
    soon("the end of the connection", saying).await.expect("no panic");
}

#[tokio::test]
async fn old_ways_of_writing_headers_are_read() {
    let second = Some(Duration::from_secs(2));
    let table = [
        // RFC 9112, 5.2: a fold is a space.
        "HTTP/1.1 503 Down\r\nx-why: on\r\n and\r\n\tso on\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 Down\r\nretry-after:\r\n 2\r\ncontent-length: 0\r\n\r\n",
        // RFC 9112, 5.1: what stands before the colon is no part of the name.
        "HTTP/1.1 503 Down\r\nretry-after : 2\r\ncontent-length \t: 0\r\n\r\n",
    ];
    for head in table {
        let expected = Answer::Status { code: 503, retry_after: second, excerpt: String::new() };
        assert_eq!(answered(head).await, expected, "{head:?}");
    }
}

#[tokio::test]
async fn more_than_a_hundred_header_lines_are_named_as_that() {
    let lines = |count: usize| {
        let lines: String = (1..count).map(|n| format!("x-{n}: 1\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n")
    };
    let ok = Answer::Status { code: 200, retry_after: None, excerpt: String::new() };
    assert_eq!(answered(&lines(100)).await, ok);
    let too_many = nothing("the answer has more than 100 header lines");
    assert_eq!(answered(&lines(101)).await, too_many);
    assert_eq!(answered(&lines(5_000)).await, too_many);
}

/// Keeps P6.
#[tokio::test]
async fn a_call_for_which_there_is_no_socket_is_not_made_and_counts_against_nobody() {
    let mut participant = RawParticipant::start().await;
    let outbound = OutboundSettings { sockets: 1, ..OutboundSettings::built_in() };
    let dispatcher = dispatcher_by(DispatcherSettings::built_in(), outbound, Arc::new(Still));
    let mut inbox = Inbox::new();
    inbox.send(&dispatcher, call(&participant.url("/payment"), "a1"));
    let holding = participant.arrival().await;
    for n in 0..8 {
        // Over distinct transactions, which would open a breaker if they failed.
        let mut branch = branch(&participant.url("/payment"), "{}");
        branch.timeout = Duration::from_millis(100);
        inbox.send(&dispatcher, call_of(branch, Op::Try, &format!("b{n}")));
    }
    for _ in 0..8 {
        assert_eq!(inbox.ended().await.1, Outcome::NotMade);
    }
    let shown = dispatcher.participants();
    assert_eq!((shown[0].calls, shown[0].failures), (0, 0));
    assert_eq!(shown[0].breaker, tercet_engine::BreakerState::Closed);
    // One that waits for it gets the socket when it is free, kept connections with it.
    let mut elsewhere = RawParticipant::start().await;
    inbox.send(&dispatcher, call(&elsewhere.url("/stock"), "c1"));
    holding.answer("200 OK", b"").await;
    assert_eq!(inbox.next().await.0.gid.as_str(), "a1");
    elsewhere.arrival().await.answer("200 OK", b"").await;
    assert_eq!(inbox.next().await.0.gid.as_str(), "c1");
}
