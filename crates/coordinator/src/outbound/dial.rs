//! Connects to the first of several addresses that answers.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::connect::ConnectError;
use super::shortage::{self, Shortage, Socket, Sockets};

/// An address that has not answered for so long gets company. Source: RFC 8305, 5.
const STAGGER: Duration = Duration::from_millis(250);

/// As many addresses of a name are tried as are sensible: each takes a socket.
const MOST: usize = 8;

/// What came of it.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) connected: Result<Connected, ConnectError>,
    /// Those that failed, or had not answered when another did that began later.
    pub(super) worse: Vec<SocketAddr>,
}

/// A connection, with the right to its socket.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) tcp: TcpStream,
    pub(super) socket: Socket,
    pub(super) address: SocketAddr,
}

/// Connects to one of these, within this time: the first is tried alone, the next beside it when
/// it has failed or has not answered for its share of the time, and so on. Each takes a socket; with
/// none left, those that are being tried are waited for. Whoever limits the time as a whole does so
/// around it.
pub(super) async fn dial(addresses: &[SocketAddr], within: Duration, sockets: &Sockets) -> Dialled {
    let addresses = &addresses[..addresses.len().min(MOST)];
    let share = within / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut untried = addresses.iter().copied();
    let mut trying = FuturesUnordered::new();
    let mut tried = Vec::with_capacity(addresses.len());
    let mut failure = None;
    let mut next = pin!(sleep(share.min(STAGGER)));
    let mut is_next = true;
    loop {
        if std::mem::take(&mut is_next) && untried.len() > 0 {
            next.set(sleep(share.min(STAGGER)));
            match sockets.take() {
                Ok(socket) => {
                    let Some(address) = untried.next() else { continue };
                    tried.push(address);
                    trying
                        .push(async move { (address, TcpStream::connect(address).await, socket) });
                }
                Err(short) if trying.is_empty() => return Dialled::short(short),
                Err(_) => {}
            }
        }
        tokio::select! {
            biased;
            ended = trying.next() => match ended {
                Some((address, Ok(tcp), socket)) => {
                    let before = tried.iter().position(|other| *other == address);
                    tried.truncate(before.unwrap_or_default());
                    let connected = Ok(Connected { tcp, socket, address });
                    return Dialled { connected, worse: tried };
                }
                // The others would meet the same, and it says nothing about any of them.
                Some((address, Err(error), _)) if is_ours(&error, address) => {
                    return Dialled::short(Shortage::OpenFiles);
                }
                Some((_, Err(error), _)) => {
                    if failure.is_none() || !is_unreachable(&error) {
                        failure = Some(error);
                    }
                    is_next = true;
                }
                None => {
                    let none = || io::Error::new(io::ErrorKind::NotFound, "no address");
                    let failure = ConnectError::Tcp(failure.unwrap_or_else(none));
                    return Dialled { connected: Err(failure), worse: tried };
                }
            },
            () = &mut next, if untried.len() > 0 => is_next = true,
        }
    }
}

impl Dialled {
    fn short(shortage: Shortage) -> Self {
        Self { connected: Err(shortage.into()), worse: Vec::new() }
    }
}

/// Whether this machine has no way to such an address: of several failures the one that says least.
fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable)
}

/// Whether it was this process that lacked something. That there is no address to connect from
/// says of IPv6 that the machine has none, and else that all ports are taken.
fn is_ours(error: &io::Error, address: SocketAddr) -> bool {
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

    /// A share of it is never waited for.
    const LONG: Duration = Duration::from_hours(2);

    fn plenty() -> Sockets {
        Sockets::new(64)
    }

    fn failure(dialled: Dialled) -> io::ErrorKind {
        match dialled.connected {
            Err(ConnectError::Tcp(error)) => error.kind(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_address_to_connect_from_is_our_shortage_on_ipv4_alone() {
        let none = || io::Error::from_raw_os_error(99);
        let (four, six) = ("127.0.0.1:1", "[::1]:1");
        assert!(is_ours(&none(), four.parse().expect("an address")));
        assert!(!is_ours(&none(), six.parse().expect("an address")));
        let files = io::Error::from_raw_os_error(24);
        assert!(is_ours(&files, six.parse().expect("an address")));
    }

    /// An address to which this machine has no way.
    fn unreachable() -> SocketAddr {
        // TCP knows no broadcast.
        "255.255.255.255:9".parse().expect("an address")
    }

    /// Keeps P6.
    #[tokio::test]
    async fn a_dead_participant_is_not_our_shortage_whatever_its_other_address_is() {
        for addresses in [[refusing().await, unreachable()], [unreachable(), refusing().await]] {
            let dialled = soon("a failure", dial(&addresses, LONG, &plenty())).await;
            assert_eq!(failure(dialled), io::ErrorKind::ConnectionRefused, "{addresses:?}");
        }
    }

    /// Keeps P6.
    #[tokio::test]
    async fn each_address_that_is_tried_takes_a_socket() {
        let ((dead, _held), (well, _listener)) = (swallowing().await, listening().await);
        let (one, two) = (Sockets::new(1), Sockets::new(2));
        let refused = soon("the second", dial(&[refusing().await, well], LONG, &one)).await;
        let connected = refused.connected.expect("a connection, by the socket of the first");
        assert!(one.take().is_err(), "the connection has it");
        let none = soon("a shortage", dial(&[well], LONG, &one)).await;
        assert!(matches!(none.connected, Err(ConnectError::Shortage(Shortage::OpenFiles))));
        drop(connected);
        assert!(one.take().is_ok());
        // Without one for the second, the first is waited for.
        let waiting = tokio::time::timeout(STAGGER * 3, dial(&[dead, well], LONG, &one)).await;
        assert!(waiting.is_err(), "{waiting:?}");
        let second = soon("the second", dial(&[dead, well], LONG, &two)).await;
        assert_eq!(second.connected.expect("a connection").address, well);
    }

    /// Keeps P6.
    #[tokio::test]
    async fn a_second_address_is_tried_when_the_first_swallows_what_is_sent() {
        let ((dead, _held), (well, _listener)) = (swallowing().await, listening().await);
        let within = Duration::from_secs(1);
        let Dialled { connected, worse } =
            soon("one of them", dial(&[dead, well], within, &plenty())).await;
        assert_eq!(connected.expect("a connection").address, well);
        assert_eq!(worse, [dead], "it is to come after the other from now on");
        // Seven dead ones before it leave it its share as well.
        let mut many = vec![dead; 7];
        many.push(well);
        let dialled = tokio::time::timeout(within, dial(&many, within, &plenty())).await;
        assert_eq!(
            dialled.expect("within its time").connected.expect("a connection").address,
            well
        );
    }

    #[tokio::test]
    async fn a_refusal_does_not_wait_for_the_share_of_its_address() {
        let (refused, (well, _listener)) = (refusing().await, listening().await);
        // Its share would be an hour; its turn comes after 250 ms at the latest.
        let dialled = soon("the second", dial(&[refused, well], LONG, &plenty())).await;
        assert_eq!(dialled.connected.expect("a connection").address, well);
        assert_eq!(dialled.worse, [refused]);
        let none = soon("a refusal", dial(&[refused, refused], LONG, &plenty())).await;
        assert_eq!(failure(none), io::ErrorKind::ConnectionRefused);
        assert!(dial(&[], LONG, &plenty()).await.connected.is_err());
    }

    #[tokio::test]
    async fn the_first_is_used_when_it_answers() {
        let ((one, _first), (two, _second)) = (listening().await, listening().await);
        let dialled = soon("the first", dial(&[one, two], LONG, &plenty())).await;
        assert_eq!(dialled.connected.expect("a connection").address, one);
        assert!(dialled.worse.is_empty());
    }
}
