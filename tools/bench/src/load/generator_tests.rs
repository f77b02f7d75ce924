//! What the generator makes of a coordinator that stands still.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use super::{Counted, Driven, Gids, Kind, Load, Pace, Script, Shape, Until};
use crate::sink::Profile;

/// How long it stands still, once: far longer than a busy machine lets anybody wait.
const STILL: Duration = Duration::from_secs(2);
/// What is taken for a wait, in microseconds: half of that.
const LONG_US: u64 = 1_000_000;
/// Transactions each second.
const RATE: f64 = 30.0;

/// Answers every begin on one connection, and stands still before the twentieth.
fn coordinator(listener: TcpListener, status: &'static str) {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut bytes = [0; 16 * 1024];
        for number in 1.. {
            if stream.read(&mut bytes).map_or(0, |count| count) == 0 {
                return;
            }
            if number == 20 {
                thread::sleep(STILL);
            }
            let answer = format!(
                "HTTP/1.1 201 Created\r\ntercet-status: {status}\r\ncontent-length: 0\r\n\r\n"
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
}

fn load(pace: Pace, until: Until, status: &'static str) -> Counted {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    coordinator(listener, status);
    let shape = Shape {
        kind: Kind::Tcc,
        branches: 2,
        payload_bytes: 200,
        profile: Profile::Accept,
        refused_of: None,
        driven: Driven::Coordinator,
        gids: Gids::Generated,
    };
    let script = Script::new(shape, address, address);
    let warm_up = Duration::ZERO;
    let addresses = &[address];
    let load = Load { addresses, tls: None, script: &script, connections: 1, pace, warm_up, until };
    load.run(&mut |_| {}).expect("answers")
}

#[test]
fn who_would_have_come_while_it_stood_still_has_waited_too() {
    let until = Until::Passed(STILL + Duration::from_secs(1));
    let counted = load(Pace::Rate(RATE), until, "confirmed");
    assert_eq!(counted.wrong, 0, "{:?}", counted.first_wrong);
    // Sixty were to begin in that time, thirty of them at least half of it before its end.
    let waited = counted.latency.count_between(LONG_US, u64::MAX);
    assert!((27..=60).contains(&waited), "{waited} of {}", counted.latency.len());
}

#[test]
fn in_a_closed_loop_only_the_one_under_way_has() {
    let counted = load(Pace::Closed, Until::Begun(100), "confirmed");
    assert_eq!((counted.ended, counted.wrong), (100, 0));
    assert_eq!(counted.latency.count_between(LONG_US, u64::MAX), 1);
}

#[test]
fn what_is_answered_wrongly_is_counted_and_told() {
    let counted = load(Pace::Closed, Until::Begun(5), "cancelled");
    assert_eq!((counted.ended, counted.wrong), (5, 5));
    let first = counted.first_wrong.expect("told");
    assert!(first.contains("confirmed") && first.contains("cancelled"), "{first}");
}
