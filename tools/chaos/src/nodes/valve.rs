//! A way to the database that can be shut: what is sent then is neither passed on nor answered.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::ChaosError;

/// Bytes that are passed on at a time.
const AT_A_TIME: usize = 16 * 1_024;

/// The way. It is gone with this value.
#[derive(Debug)]
pub(crate) struct Valve {
    address: SocketAddr,
    is_shut: watch::Sender<bool>,
    accepts: JoinHandle<()>,
}

impl Valve {
    /// A way to this address, open.
    pub(crate) async fn to(server: &str) -> Result<Self, ChaosError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(ChaosError::io("listen on a way to the database"))?;
        let address = listener.local_addr().map_err(ChaosError::io("see where it listens"))?;
        let is_shut = watch::Sender::new(false);
        let (server, shut) = (server.to_owned(), is_shut.clone());
        let accepts = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let (server, shut) = (server.clone(), shut.clone());
                tokio::spawn(async move {
                    until_open(&mut shut.subscribe()).await;
                    if let Ok(to) = TcpStream::connect(server).await {
                        both_ways(from, to, &shut).await;
                    }
                });
            }
        });
        Ok(Self { address, is_shut, accepts })
    }

    /// Where it begins.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn shut(&self) {
        self.is_shut.send_replace(true);
    }

    pub(crate) fn open(&self) {
        self.is_shut.send_replace(false);
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

/// Until either side ends it.
async fn both_ways(from: TcpStream, to: TcpStream, shut: &watch::Sender<bool>) {
    // As the node's own connection would: small messages, each awaited.
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
    tokio::select! {
        () = one_way(from_read, to_write, shut.subscribe()) => {}
        () = one_way(to_read, from_write, shut.subscribe()) => {}
    }
}

async fn one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut shut: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; AT_A_TIME];
    loop {
        let read = from.read(&mut bytes).await;
        until_open(&mut shut).await;
        match read {
            Ok(read) if read > 0 && to.write_all(&bytes[..read]).await.is_ok() => {}
            Ok(_) | Err(_) => return,
        }
    }
}

async fn until_open(shut: &mut watch::Receiver<bool>) {
    // Whoever could shut it and is gone has left it as it is.
    let _ = shut.wait_for(|shut| !*shut).await;
}
