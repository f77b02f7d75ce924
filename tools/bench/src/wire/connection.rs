//! A connection that nobody waits for: what can be read is read, what can be written is
//! written, the rest stays.

use std::io::{self, ErrorKind, Read as _, Write as _};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConnection;

/// Room for what comes in, in bytes; it doubles when it is full.
const ROOM: usize = 16 * 1024;

/// A connection and what is under way on it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What is spoken on it, if it is not HTTP itself.
    tls: Option<Box<ClientConnection>>,
    incoming: Vec<u8>,
    filled: usize,
    outgoing: Vec<u8>,
}

impl Connection {
    /// Takes a stream over and has it watched under `token`.
    pub(crate) fn new(
        mut stream: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, tls: None, incoming: vec![0; ROOM], filled: 0, outgoing: Vec::new() })
    }

    /// The same connection, on which TLS is spoken. Its handshake goes with the first request.
    pub(crate) fn by_tls(self, tls: ClientConnection) -> Self {
        Self { tls: Some(Box::new(tls)), ..self }
    }

    /// Sends small packets at once. A stream that is still being connected cannot be told.
    pub(crate) fn set_no_delay(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)
    }

    /// Sends; what the system does not take now goes with [`Connection::flush`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(bytes)?;
            return self.flush_tls();
        }
        if !self.outgoing.is_empty() {
            self.outgoing.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = self.write(bytes)?;
        self.outgoing.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Sends what could not be sent before.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.tls.is_some() {
            return self.flush_tls();
        }
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let outgoing = std::mem::take(&mut self.outgoing);
        let sent = self.write(&outgoing)?;
        self.outgoing.extend_from_slice(&outgoing[sent..]);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                // A stream that is still being connected takes nothing either.
                Err(error) if is_later(&error) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    fn flush_tls(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if is_later(&error) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive_by_tls(&mut self) -> io::Result<bool> {
        while let Some(tls) = &mut self.tls {
            match tls.read_tls(&mut self.stream) {
                Ok(0) => return Ok(false),
                Ok(_) => {
                    let state = tls.process_new_packets().map_err(io::Error::other)?;
                    let end = self.filled + state.plaintext_bytes_to_read();
                    if end > self.incoming.len() {
                        self.incoming.resize(end.next_power_of_two(), 0);
                    }
                    tls.reader().read_exact(&mut self.incoming[self.filled..end])?;
                    self.filled = end;
                }
                Err(error) if is_later(&error) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // What a handshake has to say.
        self.flush_tls()?;
        Ok(true)
    }

    /// Reads what is there. False: the other side has closed.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        if self.tls.is_some() {
            return self.receive_by_tls();
        }
        loop {
            if self.filled == self.incoming.len() {
                self.incoming.resize(self.incoming.len() * 2, 0);
            }
            match self.stream.read(&mut self.incoming[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.filled += count;
                    // Less than there was room for: nothing is left, and what comes next is
                    // told anew. It saves a read that only says so.
                    if self.filled < self.incoming.len() {
                        return Ok(true);
                    }
                }
                Err(error) if is_later(&error) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What has come and was not taken.
    pub(crate) fn received(&self) -> &[u8] {
        &self.incoming[..self.filled]
    }

    /// Takes the first bytes of what has come.
    pub(crate) fn take(&mut self, count: usize) {
        self.incoming.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
