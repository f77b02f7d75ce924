//! One connection of the generator to each node, and the transaction under way on them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Registry, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::script::Script;
use crate::wire::{Connection, response};

/// A connection to each node; one transaction at a time is under way on them, each of its requests
/// at the node after the one before, as a balancer has it.
#[derive(Debug)]
pub(super) struct Lane {
    /// Not the same for all, or every transaction would begin at the same node.
    first: usize,
    connections: Vec<Connection>,
    under_way: Option<UnderWay>,
    request: Vec<u8>,
}

#[derive(Debug)]
struct UnderWay {
    number: u64,
    /// When it was to begin.
    due: Instant,
    step: usize,
    /// The path of the transaction, once the coordinator has said it.
    location: String,
}

/// A transaction that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) due: Instant,
    /// Why its last answer was wrong, if it was.
    pub(super) wrong: Option<String>,
}

impl Lane {
    /// Connects to each, and waits for that.
    pub(super) fn connect(
        (addresses, tls): (&[SocketAddr], Option<&Arc<ClientConfig>>),
        registry: &Registry,
        lane: usize,
    ) -> io::Result<Self> {
        let connect = |(node, address): (usize, &SocketAddr)| {
            Self::connection((*address, tls), registry, Token(lane * addresses.len() + node))
        };
        let connections = addresses.iter().enumerate().map(connect).collect::<io::Result<_>>()?;
        Ok(Self { first: lane, connections, under_way: None, request: Vec::new() })
    }

    /// Whose a token is, of so many nodes: the lane's and the node's number.
    pub(super) fn of(token: Token, nodes: usize) -> (usize, usize) {
        (token.0 / nodes, token.0 % nodes)
    }

    fn connection(
        (address, tls): (SocketAddr, Option<&Arc<ClientConfig>>),
        registry: &Registry,
        token: Token,
    ) -> io::Result<Connection> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        let connection = Connection::new(TcpStream::from_std(stream), registry, token)?;
        connection.set_no_delay()?;
        Ok(match tls {
            None => connection,
            Some(tls) => {
                let name = ServerName::from(address.ip());
                let tls = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
                connection.by_tls(tls)
            }
        })
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self, script: &Script, number: u64, due: Instant) -> io::Result<()> {
        self.under_way = Some(UnderWay { number, due, step: 0, location: String::new() });
        self.ask(script)
    }

    fn ask(&mut self, script: &Script) -> io::Result<()> {
        let Some(UnderWay { number, step, location, .. }) = &self.under_way else { return Ok(()) };
        script.request(*number, *step, location, &mut self.request);
        let node = self.node(*step);
        self.connections[node].send(&self.request)
    }

    /// At which node this step is asked.
    fn node(&self, step: usize) -> usize {
        (self.first + step) % self.connections.len()
    }

    /// What is under way, when the connection is of no more use.
    pub(super) fn lost(&mut self, why: &io::Error) -> Option<Ended> {
        let UnderWay { due, .. } = self.under_way.take()?;
        Some(Ended { due, wrong: Some(format!("the connection was lost: {why}")) })
    }

    /// Takes what has come; says if that ended the transaction.
    pub(super) fn attend(
        &mut self,
        script: &Script,
        node: usize,
        writable: bool,
    ) -> io::Result<Option<Ended>> {
        let connection = &mut self.connections[node];
        if writable {
            connection.flush()?;
        }
        let open = connection.receive()?;
        let ended = self.answered(script, node)?;
        if open { Ok(ended) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn answered(&mut self, script: &Script, node: usize) -> io::Result<Option<Ended>> {
        let asked = self.under_way.as_ref().map(|under_way| self.node(under_way.step));
        let found = response(self.connections[node].received());
        let Some(found) = found.map_err(io::Error::other)? else { return Ok(None) };
        let Some(mut under_way) = self.under_way.take().filter(|_| asked == Some(node)) else {
            return Err(io::Error::other("an answer that nobody asked for"));
        };
        let checked = script.check(under_way.number, under_way.step, &found);
        if script.steps() > 1 && under_way.step == 0 {
            under_way.location = Script::resolved(found.location.unwrap_or_default());
        }
        let length = found.length;
        self.connections[node].take(length);
        under_way.step += 1;
        if checked.is_err() || under_way.step == script.steps() {
            return Ok(Some(Ended { due: under_way.due, wrong: checked.err() }));
        }
        self.under_way = Some(under_way);
        self.ask(script)?;
        Ok(None)
    }
}
