//! Ports that stay with a test while nobody listens on them.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A port on loopback. While what listens on it is stopped, any connection of any other test
/// could be given the port, and the restart would fail: so it is kept by a socket that is
/// bound to it and never listens.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _kept: Option<TcpSocket>,
}

impl Port {
    /// A free one.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn free() -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("an address");
        // Elsewhere two sockets cannot be bound to one port, not even like this; there the
        // port is only likely to be free.
        let kept = cfg!(target_os = "linux").then_some(socket);
        Self { address, _kept: kept }
    }

    /// With loopback's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on it.
    ///
    /// # Panics
    /// Somebody does already.
    pub fn listen(&self) -> TcpListener {
        bound(self.address).listen(BACKLOG).expect("nobody else listens on it")
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    // With this on both sockets the one that listens can join the one that keeps the port.
    socket.set_reuseaddr(true).expect("it can be set");
    socket.bind(address).expect("the port is free");
    socket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_can_be_listened_on_again_and_again_and_by_one_at_a_time() {
        let port = Port::free();
        for _ in 0..2 {
            let listener = port.listen();
            assert_eq!(listener.local_addr().ok(), Some(port.address()));
            let second = TcpListener::bind(port.address()).await;
            assert!(second.is_err(), "two cannot listen on one port");
        }
    }
}
