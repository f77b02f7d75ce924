//! A participant that does what the test says, byte by byte: what arrives is handed to
//! the test, and nothing is answered until the test does.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::soon;

/// A participant on a port of its own that reads requests and answers only what it is told.
#[derive(Debug)]
pub struct RawParticipant {
    address: String,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

/// A request, and the connection it came by. Dropped, it closes the connection.
#[derive(Debug)]
pub struct Arrival {
    /// The number of the connection, from 1.
    pub connection: usize,
    /// Method, path and version.
    pub request_line: String,
    /// Names in lower case, sorted.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    stream: TcpStream,
    again: mpsc::UnboundedSender<Arrival>,
}

impl RawParticipant {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// There is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for connection in 1.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(receive(stream, connection, sender.clone()));
            }
        });
        Self { address, arrivals }
    }

    /// Its `host:port`.
    #[must_use]
    pub fn host_port(&self) -> &str {
        &self.address
    }

    /// Its URL for this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    ///
    /// # Panics
    /// It does not come.
    pub async fn arrival(&mut self) -> Arrival {
        soon("a call", self.arrivals.recv()).await.expect("the participant runs")
    }

    /// Whether no request waits to be looked at.
    #[must_use]
    pub fn nothing_arrived(&mut self) -> bool {
        self.arrivals.try_recv().is_err()
    }
}

/// Reads one request. A connection that ends without one is nobody's concern.
async fn receive(
    mut stream: TcpStream,
    connection: usize,
    sender: mpsc::UnboundedSender<Arrival>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a head in ASCII");
    let mut lines = head.trim_end().lines();
    let request_line = lines.next().expect("a request line").to_owned();
    let mut headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").expect("a header"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    headers.sort();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let again = sender.clone();
    sender.send(Arrival { connection, request_line, headers, body, stream, again }).ok()
}

impl Arrival {
    /// This header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The other side has gone.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Ends the connection by a reset, as a machine does that knows nothing of it.
    ///
    /// # Panics
    /// The system does not let us.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a connection");
    }

    /// Answers as one should and waits for the next request on the same connection.
    /// `status_and_headers` is like `200 OK\r\nretry-after: 3`.
    ///
    /// # Panics
    /// The other side has gone.
    pub async fn answer(mut self, status_and_headers: &str, body: &[u8]) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status_and_headers}\r\ncontent-length: {length}\r\n\r\n");
        self.write(head).await.expect("the head is taken");
        self.write(body).await.expect("the body is taken");
        tokio::spawn(receive(self.stream, self.connection, self.again));
    }
}
