//! Connections written to by hand, for what an HTTP client would not do.

use std::io;
use std::net::SocketAddr;

use tercet_testing::soon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to the daemon.
#[derive(Debug)]
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("somebody listens"))
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("the connection is open");
    }

    /// Sends what the daemon may not want to read to its end.
    pub(crate) async fn try_send(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes()).await
    }

    /// The head of an answer and as much of its body as came with it; empty if the
    /// connection was closed.
    pub(crate) async fn answer(&mut self) -> String {
        let mut text = String::new();
        let reading = async {
            let mut buffer = [0; 4_096];
            while !text.contains("\r\n\r\n") {
                // A connection that is reset is closed, too.
                let Ok(len @ 1..) = self.0.read(&mut buffer).await else { return };
                text.push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
        };
        soon("an answer", reading).await;
        text
    }

    /// What comes until the connection is closed.
    pub(crate) async fn until_closed(&mut self) -> String {
        let mut bytes = Vec::new();
        // A connection that is reset is closed, too.
        let _ = soon("the connection is closed", self.0.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
