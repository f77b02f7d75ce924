//! A participant that costs next to nothing: one thread, canned answers, no state. What it
//! costs is taken from the machine that is measured, so it is counted and shown.

mod profile;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
pub(crate) use profile::Profile;
use profile::{Reply, reply};

use crate::clock::{self, Alarm};
use crate::wire::{Connection, request};

const LISTENER: Token = Token(0);
const ALARM: Token = Token(1);
const FIRST: usize = 2;

/// Listens on a free port of the loopback interface, says on stdout which, and answers until
/// its standard input ends: so it goes when whoever started it does.
///
/// # Errors
/// It cannot listen, or polling fails.
pub(crate) fn serve() -> io::Result<()> {
    let mut sink = Sink::new()?;
    println!("{}", sink.address);
    io::stdout().flush()?;
    std::thread::spawn(|| {
        let mut byte = [0];
        while io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
        std::process::exit(0);
    });
    sink.run()
}

struct Sink {
    poll: Poll,
    address: SocketAddr,
    listener: TcpListener,
    connections: HashMap<Token, Connection>,
    /// Never used twice, so that no late answer goes to somebody else.
    next: usize,
    alarm: Alarm,
    later: BinaryHeap<Reverse<(Instant, Token, &'static [u8])>>,
}

impl Sink {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            address: listener.local_addr()?,
            alarm: Alarm::new(poll.registry(), ALARM)?,
            poll,
            listener,
            connections: HashMap::new(),
            next: FIRST,
            later: BinaryHeap::new(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    ALARM => self.answer_what_is_due(),
                    token => self.attend(token, event.is_writable()),
                }
            }
            if let Some(Reverse((due, ..))) = self.later.peek() {
                self.alarm.set(*due)?;
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.take(stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Of the one that tried to connect, not ours.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, stream: TcpStream) -> io::Result<()> {
        let token = Token(self.next);
        self.next += 1;
        let connection = Connection::new(stream, self.poll.registry(), token)?;
        connection.set_no_delay()?;
        self.connections.insert(token, connection);
        Ok(())
    }

    /// Reads what came on a connection and answers it. One that fails or ends is dropped: its
    /// caller knows what to do.
    fn attend(&mut self, token: Token, writable: bool) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if writable && connection.flush().is_err() {
            self.connections.remove(&token);
            return;
        }
        let open = connection.receive().unwrap_or(false);
        let later = &mut self.later;
        let answered = answer(connection, |due, bytes| later.push(Reverse((due, token, bytes))));
        if !open || answered.is_err() {
            self.connections.remove(&token);
        }
    }

    fn answer_what_is_due(&mut self) {
        let now = clock::now();
        while let Some(Reverse((due, token, bytes))) = self.later.peek().copied() {
            if due > now {
                return;
            }
            self.later.pop();
            if let Some(connection) = self.connections.get_mut(&token)
                && connection.send(bytes).is_err()
            {
                self.connections.remove(&token);
            }
        }
    }
}

/// Answers every request that has come in whole.
fn answer(
    connection: &mut Connection,
    mut later: impl FnMut(Instant, &'static [u8]),
) -> io::Result<()> {
    while let Some(found) =
        request(connection.received()).map_err(|error| io::Error::other(error.to_string()))?
    {
        let (reply, length) = (reply(found.path, found.attempt), found.length);
        connection.take(length);
        match reply {
            Reply::Now(bytes) => connection.send(bytes)?,
            Reply::Later(pause, bytes) => later(clock::now() + pause, bytes),
            Reply::Never => {}
        }
    }
    Ok(())
}
