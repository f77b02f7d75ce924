//! Connects to the first of several addresses that answers.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::shortage;

/// An address that has not answered for so long gets company. Source: RFC 8305, 5.
const STAGGER: Duration = Duration::from_millis(250);

/// As many addresses of a name are tried as are sensible: each takes a socket.
const MOST: usize = 8;

/// What came of it.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) connected: io::Result<(TcpStream, SocketAddr)>,
    /// Those that failed, or had not answered when another did that began later.
    pub(super) worse: Vec<SocketAddr>,
}

/// Connects to one of these, within this time: the first is tried alone, the next beside it when
/// it has failed or has not answered for its share of the time, and so on. Whoever limits the time
/// as a whole does so around it.
pub(super) async fn dial(addresses: &[SocketAddr], within: Duration) -> Dialled {
    let addresses = &addresses[..addresses.len().min(MOST)];
    let share = within / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut untried = addresses.iter().copied();
    let mut trying = FuturesUnordered::new();
    let mut tried = Vec::with_capacity(addresses.len());
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    let mut next = pin!(sleep(share.min(STAGGER)));
    let mut is_next = true;
    loop {
        if std::mem::take(&mut is_next)
            && let Some(address) = untried.next()
        {
            tried.push(address);
            trying.push(async move { (address, TcpStream::connect(address).await) });
            next.set(sleep(share.min(STAGGER)));
        }
        tokio::select! {
            biased;
            ended = trying.next() => match ended {
                Some((address, Ok(stream))) => {
                    let before = tried.iter().position(|other| *other == address);
                    tried.truncate(before.unwrap_or_default());
                    return Dialled { connected: Ok((stream, address)), worse: tried };
                }
                // The others would meet the same, and it says nothing about any of them.
                Some((address, Err(error))) if is_ours(&error, address) => {
                    return Dialled { connected: Err(error), worse: Vec::new() };
                }
                Some((_, Err(error))) => {
                    last = error;
                    is_next = true;
                }
                None => return Dialled { connected: Err(last), worse: tried },
            },
            () = &mut next, if untried.len() > 0 => is_next = true,
        }
    }
}

/// Whether it was this process that lacked something. That there is no address to connect from
/// says of IPv6 that the machine has none, and else that all ports are taken.
pub(super) fn is_ours(error: &io::Error, address: SocketAddr) -> bool {
    shortage::is_ours(error) || (address.is_ipv4() && shortage::is_out_of_ports(error))
}

#[cfg(test)]
mod tests {
    use tercet_testing::soon;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// An address that swallows what is sent to it, for as long as the rest is held: a listener
    /// that accepts nobody, whose backlog is full.
    async fn swallowing() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(1).expect("a backlog");
        let address = listener.local_addr().expect("an address");
        let mut taken = Vec::new();
        let patience = Duration::from_millis(300);
        while let Ok(Ok(stream)) = tokio::time::timeout(patience, TcpStream::connect(address)).await
        {
            taken.push(stream);
        }
        (address, (listener, taken))
    }

    async fn listening() -> (SocketAddr, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        (listener.local_addr().expect("an address"), listener)
    }

    async fn refusing() -> SocketAddr {
        listening().await.0
    }

    /// Keeps P6.
    #[tokio::test]
    async fn a_second_address_is_tried_when_the_first_swallows_what_is_sent() {
        let ((dead, _held), (well, _listener)) = (swallowing().await, listening().await);
        let within = Duration::from_secs(1);
        let Dialled { connected, worse } = soon("one of them", dial(&[dead, well], within)).await;
        assert_eq!(connected.expect("a connection").1, well);
        assert_eq!(worse, [dead], "it is to come after the other from now on");
        // Seven dead ones before it leave it its share as well.
        let mut many = vec![dead; 7];
        many.push(well);
        let dialled = tokio::time::timeout(within, dial(&many, within)).await;
        assert_eq!(dialled.expect("within its time").connected.expect("a connection").1, well);
    }

    #[tokio::test]
    async fn a_refusal_does_not_wait_for_the_share_of_its_address() {
        let (refused, (well, _listener)) = (refusing().await, listening().await);
        // Its share would be an hour; its turn comes after 250 ms at the latest.
        let dialled = soon("the second", dial(&[refused, well], Duration::from_hours(2))).await;
        assert_eq!(dialled.connected.expect("a connection").1, well);
        assert_eq!(dialled.worse, [refused]);
        let none = soon("a refusal", dial(&[refused, refused], Duration::from_hours(2))).await;
        let error = none.connected.expect_err("nobody is there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(dial(&[], Duration::from_secs(1)).await.connected.is_err());
    }

    #[tokio::test]
    async fn the_first_is_used_when_it_answers() {
        let ((one, _first), (two, _second)) = (listening().await, listening().await);
        let dialled = soon("the first", dial(&[one, two], Duration::from_secs(1))).await;
        assert_eq!(dialled.connected.expect("a connection").1, one);
        assert!(dialled.worse.is_empty());
    }
}
